"""The views: filters are right and use the indexes, steps are numbered as the contract says."""

from collections.abc import Iterator

import pytest

from schemas.alerts import AlertRow
from schemas.findings import Contribution, Finding, FindingChange, Identity, Light
from schemas.records import (
    Coordinates,
    DeadLetter,
    Fading,
    IdentityChange,
    IdentityRow,
    Journey,
    PlacedInteraction,
    SinkBatch,
)
from schemas.vocabulary import INTERACTION_TYPES
from sinks.clickhouse.client import connect
from sinks.clickhouse.dictionary import EXAMPLES
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.receipts import Receipt, record_receipt
from sinks.clickhouse.writer import ClickHouseWriter
from streams.core.facets import is_contact
from tests.builders import call, instant, interaction, revised
from tests.clickhouse_server import Database


@pytest.fixture
def writer(clickhouse: Database) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    yield writer
    writer.close_sync()


def test_steps_are_numbered_along_the_timeline_and_ties_broken_by_code_point(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    at, later = "2026-03-01T10:00Z", "2026-03-01T10:00:01.5Z"
    timeline = [
        call(at, by="crm:ann", source="Z", id="b"),
        call(at, by="crm:ann", source="a", id="Z"),
        call(at, by="crm:ann", source="a", id="a"),
        call(at, by="crm:ann", source="Я", id="\U0001f600"),
        call(later, by="crm:ann", source="A", id="0"),
    ]
    shuffled = [timeline[n] for n in (3, 0, 4, 2, 1)]
    other = PlacedInteraction(call(at, by="crm:bob"), "j2")
    writer.write_sync(SinkBatch(interactions=(*(PlacedInteraction(i, "j1") for i in shuffled), other)))
    steps = clickhouse.rows(
        "SELECT step, source, id, seconds_since_previous FROM journey_steps WHERE journey_id = 'j1' ORDER BY step"
    )
    assert [(source, id_) for _, source, id_, _ in steps] == [i.key for i in timeline]
    assert [step for step, *_ in steps] == [1, 2, 3, 4, 5]
    assert [gap for *_, gap in steps] == [None, 0.0, 0.0, 0.0, 1.5]
    assert clickhouse.rows("SELECT step FROM journey_steps WHERE customer = 'crm:bob'") == [(1,)]


def test_a_contact_is_what_the_core_calls_one(writer: ClickHouseWriter, clickhouse: Database) -> None:
    every = [
        interaction(channel, kind, "2026-03-01T10:00Z", by="crm:ann", id=f"{channel}/{kind}/{direction}",
                    direction=direction)
        for channel, kinds in INTERACTION_TYPES.items()
        for kind in kinds
        for direction in (("inbound", "outbound") if channel in ("phone", "email") else (None,))
    ]  # fmt: skip
    writer.write_sync(SinkBatch(interactions=tuple(PlacedInteraction(i, "j1") for i in every)))
    seen = dict(clickhouse.rows("SELECT id, is_contact FROM interactions"))
    assert seen == {i.id: is_contact(i) for i in every}
    assert len(set(seen.values())) == 2


def test_a_filter_never_shows_an_outdated_version(writer: ClickHouseWriter, clickhouse: Database) -> None:
    """Every interaction moves to another customer, journey and month; each version has its own part."""
    clickhouse.rows("SYSTEM STOP MERGES placed_interactions_raw")
    try:
        start = instant("2026-01-01")
        before = [call(start + n, by=f"crm:{n % 50}", id=f"{n:06d}", at_offset=n) for n in range(30_000)]
        after = [revised(i, occurred_at=instant("2026-02-01"), customer="crm:moved") for i in before]
        for version, state in ((1, before), (2, after)):
            rows = tuple(PlacedInteraction(i, f"j{version}") for i in state)
            writer.write_sync(SinkBatch(version=version, interactions=rows))
        assert clickhouse.row("SELECT uniqExact(_part) FROM placed_interactions_raw") == (2,)
        for outdated in (
            "customer = 'crm:7'", "journey_id = 'j1'", "occurred_at < '2026-01-15'", "revision = 0"
        ):  # fmt: skip
            assert clickhouse.rows(f"SELECT id FROM interactions WHERE {outdated}") == [], outdated
        inexact = "SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 0"
        control = f"SELECT count() FROM placed_interactions_raw FINAL WHERE customer = 'crm:7' {inexact}"
        assert clickhouse.row(control) > (0,), "without the view's settings outdated versions would show"
        assert clickhouse.row("SELECT count() FROM interactions WHERE customer = 'crm:moved'") == (30_000,)
        assert clickhouse.row("SELECT max(step), count() FROM journey_steps WHERE journey_id = 'j2'") == (
            30_000,
            30_000,
        )
    finally:
        clickhouse.rows("SYSTEM START MERGES placed_interactions_raw")


REACHES = {
    "SELECT * FROM interactions WHERE customer = 'crm:7'": "by_customer",
    "SELECT * FROM interactions WHERE journey_id = 'j7'": "by_journey",
    "SELECT * FROM interactions WHERE occurred_at > '2026-05-01'": "by_time",
    "SELECT * FROM journey_steps WHERE journey_id = 'j7'": "by_journey",
    "SELECT * FROM journey_steps WHERE customer = 'crm:7'": "by_customer",
    "SELECT * FROM journeys WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM journeys WHERE journey_id = 'j7'": "by_journey",
    "SELECT * FROM journeys WHERE started_at > '2026-05-01'": "by_start",
}


def test_a_filter_on_a_view_reaches_the_index(writer: ClickHouseWriter, clickhouse: Database) -> None:
    start = instant("2026-03-01")
    calls = [call(start + n, by=f"crm:{n}", id=str(n)) for n in range(100)]
    journeys = tuple(
        Journey(f"j{n}", f"crm:{n}", start, start, False, 1, 1, (), (), (), None, None, None, None, None)
        for n in range(100)
    )
    rows = tuple(PlacedInteraction(it, f"j{n}") for n, it in enumerate(calls))
    writer.write_sync(SinkBatch(interactions=rows, journeys=journeys))
    for query, index in REACHES.items():
        plan = "\n".join(line for (line,) in clickhouse.rows(f"EXPLAIN indexes = 1 {query}"))
        assert index in plan, f"{query}\n{plan}"


@pytest.mark.parametrize("view", EXAMPLES)
def test_the_example_of_the_data_dictionary_runs(
    writer: ClickHouseWriter, clickhouse: Database, view: str
) -> None:
    it = call("2026-03-01T10:00Z", by="crm:ann", ends="unresolved")
    mine = Journey(
        "j1", "crm:ann", it.occurred_at, it.occurred_at, False, 2, 2, ("phone",), ("phone",), (), None, None, None,
        False, False,
    )  # fmt: skip
    letter = DeadLetter("t", 0, 1, None, b"", (), "decode", "not_json", "expected an object", it.occurred_at)
    lasting = instant("2200-01-01")
    severe = Finding(
        "f1", "overcharge", "v1", "dearer", "crm:ann", "severe", 10.0, "phone", "open", lasting, None,
        Identity(*it.key), (), (), "Charged too much.", "Pay back.",
    )  # fmt: skip
    line = Contribution("f1", "overcharge", "phone", "severe", lasting, 10_000, severe.sentence)
    batch = SinkBatch(
        interactions=(PlacedInteraction(it, "j1"),),
        journeys=(mine,),
        dead_letters=(letter,),
        received=(Coordinates("t", 0, 5),),
        findings=(FindingChange("raised", severe, lasting, "completed"),),
        lights=(Light("crm:ann", lasting, 10_000, "red", (), (line,)),),
        alerts=(
            AlertRow(
                "f1", "crm:ann", "overcharge", "severe", "raised", "", "suppressed", "no_route", lasting, 1
            ),
        ),
        fading=Fading(1, 2_250, 6_750),
        identities=(IdentityRow("crm:ann", "crm:ann", False, it.occurred_at, ("crm/7",)),),
        identity_changes=(
            IdentityChange(
                "contract:C", "contract:C", "crm:ann", "merge", it.occurred_at, "operator:bob", "Hers."
            ),
        ),
    )
    writer.write_sync(batch)
    at = it.occurred_at
    receipt = Receipt("e1", at, "root", None, "00" * 16, {"journeys_raw": 1}, at, at, at)
    client = connect(clickhouse.target)
    record_receipt(client, receipt)
    client.disconnect()
    assert len(clickhouse.rows(EXAMPLES[view][1])) == 1
