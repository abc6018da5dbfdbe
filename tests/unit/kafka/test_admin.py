"""Topics compared with what they should be."""

from datetime import timedelta

from schemas.sightings import SIGHTING_BYTES
from schemas.topics import ALL
from streams.core.identification.known_sightings import GENERATION
from streams.kafka.admin import Difference, FoundTopic, Layout, compare

LAYOUT = Layout("t.", partitions=8)


def as_wanted(**changes: FoundTopic) -> dict[str, FoundTopic]:
    """All topics as they should be, with the given ones changed (`dead_letters` names `t.dead-letters`)."""
    found = {name: FoundTopic(topic.partitions(8), topic.config()) for name, topic in LAYOUT.topics().items()}
    return found | {f"t.{name.replace('_', '-')}": topic for name, topic in changes.items()}


def test_topics_as_they_should_be_differ_in_nothing() -> None:
    found = compare(LAYOUT, as_wanted())
    assert (found.missing, found.differences, len(found.existing)) == ((), (), len(ALL))


def test_an_empty_broker_misses_all_in_their_order() -> None:
    assert compare(LAYOUT, {}).missing == tuple(f"t.{topic.name}" for topic in ALL)


def test_topics_of_others_are_none_of_our_business() -> None:
    assert compare(LAYOUT, as_wanted() | {"other": FoundTopic(1, {})}).differences == ()


def test_another_number_of_partitions_is_a_difference_that_stops_workers() -> None:
    found = compare(LAYOUT, as_wanted(phone=FoundTopic(4, ALL[0].config())))
    assert found.differences == (Difference("t.phone", "partitions", "8", "4"),)
    assert found.partitions_differ
    assert str(found.differences[0]) == "t.phone: partitions is 4, expected 8"


def test_the_logs_of_identity_have_one_partition_whatever_the_others_have() -> None:
    found = compare(LAYOUT, as_wanted(links=FoundTopic(8, LAYOUT.topics()["t.links"].config())))
    assert found.differences == (Difference("t.links", "partitions", "1", "8"),)


def test_corrections_are_kept_a_week_beyond_the_horizon() -> None:
    longer = Layout("t.", partitions=8, horizon=timedelta(days=60))
    assert longer.topics()["t.corrections"].config(longer.horizon)["retention.ms"] == str(67 * 86_400_000)
    found = compare(longer, as_wanted())
    assert [(one.topic, one.what, one.expected) for one in found.differences] == [
        ("t.corrections", "retention.ms", str(67 * 86_400_000))
    ]


def test_sightings_are_bounded_in_bytes_by_segments_that_can_go() -> None:
    config = LAYOUT.topics()["t.sightings"].config()
    assert config["retention.bytes"] == str(64 * 2**20)
    assert int(config["segment.bytes"]) * 4 == 64 * 2**20, (
        "the broker deletes whole segments, never the last one"
    )
    assert config["retention.ms"] == str(7 * 86_400_000)
    known = int(config["retention.bytes"]) // SIGHTING_BYTES
    assert GENERATION < known < 2 * GENERATION, "a start knows about as much as who has always read"


def test_another_retention_is_a_difference_that_stops_nobody() -> None:
    changed = {**LAYOUT.topics()["t.phone"].config(), "retention.ms": "1"}
    found = compare(LAYOUT, as_wanted(phone=FoundTopic(8, changed)))
    assert [(one.topic, one.what, one.found) for one in found.differences] == [
        ("t.phone", "retention.ms", "1")
    ]
    assert not found.partitions_differ


def test_configuration_that_is_not_ours_is_not_compared() -> None:
    more = {**LAYOUT.topics()["t.phone"].config(), "segment.bytes": "1"}
    assert compare(LAYOUT, as_wanted(phone=FoundTopic(8, more))).differences == ()


def test_cleanup_policies_are_a_set_in_any_order() -> None:
    wanted = LAYOUT.topics()["t.timelines"]
    assert wanted.cleanup == "compact"
    both = {**wanted.config(), "cleanup.policy": "delete,compact"}
    found = compare(LAYOUT, as_wanted(timelines=FoundTopic(8, both)))
    assert [one.what for one in found.differences] == ["cleanup.policy"]


def test_a_broker_that_does_not_tell_its_configuration_is_compared_by_partitions_only() -> None:
    found = compare(
        LAYOUT, {name: FoundTopic(topic.partitions(8), None) for name, topic in LAYOUT.topics().items()}
    )
    assert (found.differences, found.config_known) == ((), False)
