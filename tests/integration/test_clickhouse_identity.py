"""Identity in the tables: which row of an interaction is shown, who is whom, and rows of old under the present name."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from schemas.findings import Finding, FindingChange, Identity
from schemas.interaction import DAY, Interaction, Micros
from schemas.records import IdentityChange, IdentityRow, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.client import connect
from sinks.clickhouse.errors import SinkMisconfigured
from sinks.clickhouse.hash_key import hold_to_key, id_key_of
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call, instant
from tests.clickhouse_server import Database

START = instant("2026-03-01T10:00Z")
NUMBER, OTHER = "phone:+359888123456", "phone:+359888000000"
KEY = b"the key of the tests"
HASHED = Pseudonyms(KEY)


@pytest.fixture
def writer(clickhouse: Database) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(clickhouse.target, Pseudonyms(KEY))
    yield writer
    writer.close_sync()


def stored(name: str) -> str:
    return HASHED.customers[name]


def journey(customer: str, journey_id: str, interactions: int = 1) -> Journey:
    return Journey(
        journey_id, customer, START, START, True, interactions, 1, ("phone",), ("phone",), (), None, None, None, None,
        None,
    )  # fmt: skip


def known(name: str, customer: str, **more: object) -> IdentityRow:
    row = IdentityRow(name, customer, False, START, ("crm/7", "telephony/c1"))
    return row._replace(**more)  # type: ignore[arg-type]


def under(
    it: Interaction, customer: str, *, version: int, links_seen: int, beyond_horizon: bool = False
) -> SinkBatch:
    moved = PlacedInteraction(replace(it, customer=customer), customer, beyond_horizon)
    return SinkBatch(version=version, links_seen=links_seen, interactions=(moved,))


def customers_of(database: Database, view: str = "interactions") -> list[str]:
    return [name for (name,) in database.rows(f"SELECT customer FROM {view} ORDER BY customer")]


# --- which row is shown --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_who_knew_more_has_the_say_whatever_the_versions_of_the_partitions(
    writer: ClickHouseWriter, clickhouse: Database, reverse: bool
) -> None:
    it = call(START, by=NUMBER, id="c1")
    earlier = under(it, NUMBER, version=10**15, links_seen=5)
    later = under(it, "crm:A1", version=3, links_seen=6)
    for batch in (later, earlier) if reverse else (earlier, later):
        writer.write_sync(batch)
    assert customers_of(clickhouse) == ["crm:A1"]
    writer.write_sync(under(replace(it, revision=1), NUMBER, version=1, links_seen=0))
    assert customers_of(clickhouse) == [stored(NUMBER)], "a higher revision wins over all knowledge"


def test_within_one_position_the_evaluation_decides_and_what_came_too_late_never_does(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    it = call(START, by=NUMBER, id="c1")
    for batch in (
        under(it, "crm:B", version=2**64 - 1, links_seen=2**64 - 2),
        under(it, "crm:A", version=7, links_seen=2**64 - 1),
        under(it, "crm:C", version=6, links_seen=2**64 - 1),
        under(it, "crm:D", version=2**64 - 1, links_seen=2**64 - 1, beyond_horizon=True),
    ):
        writer.write_sync(batch)
    assert customers_of(clickhouse) == ["crm:A"]
    assert clickhouse.row("SELECT row_version FROM placed_interactions_raw WHERE customer = 'crm:A'") == (
        (2**64 - 1) << 64 | 7,
    )


# --- who is whom ---------------------------------------------------------------------------------------------


def test_a_batch_may_tell_of_more_identifiers_than_a_query_can_hold(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    names = [f"email:someone.with.a.long.name.{number}@mail.example.com" for number in range(10_000)]
    writer.write_sync(SinkBatch(version=1, journeys=(journey(names[7], "j1"),)))
    writer.write_sync(SinkBatch(links_seen=9, identities=tuple(known(name, "crm:A1") for name in names)))
    assert clickhouse.row("SELECT count() FROM identity") == (10_000,)
    assert clickhouse.rows("SELECT name, customer FROM renamed_customers") == [(stored(names[7]), "crm:A1")]


def test_an_identity_is_replaced_by_what_is_known_later_and_goes_when_it_is_linked_no_more(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    def shown() -> list[tuple[object, ...]]:
        return clickhouse.rows(
            "SELECT customer, kind, identifier, name, shared, evidence FROM identity ORDER BY kind"
        )

    bare = stored(NUMBER)[len("phone:") :]
    later = SinkBatch(
        links_seen=9, identities=(known(NUMBER, NUMBER, shared=True), known("crm:A1", "crm:A1"))
    )
    writer.write_sync(later)
    writer.write_sync(SinkBatch(links_seen=8, identities=(known(NUMBER, "crm:A1"),)))
    evidence = ["crm/7", "telephony/c1"]
    assert shown() == [
        ("crm:A1", "crm_id", "A1", "crm:A1", False, evidence),
        (stored(NUMBER), "phone", bare, stored(NUMBER), True, evidence),
    ]
    writer.write_sync(SinkBatch(links_seen=10, identities=(known(NUMBER, NUMBER, removed=True),)))
    assert shown() == [("crm:A1", "crm_id", "A1", "crm:A1", False, evidence)]


def test_the_history_says_who_and_why_once(writer: ClickHouseWriter, clickhouse: Database) -> None:
    merge = IdentityChange(NUMBER, NUMBER, "crm:A1", "merge", START, "learnt", None)
    reason = "+359888123456 is not hers"
    unmerge = IdentityChange(NUMBER, "crm:A1", NUMBER, "unmerge", START + DAY, "operator:ann", reason)
    writer.write_sync(SinkBatch(links_seen=4, identity_changes=(merge,)))
    writer.write_sync(SinkBatch(links_seen=5, identity_changes=(merge, unmerge)))
    bare = stored(NUMBER)[len("phone:") :]
    assert clickhouse.rows(
        "SELECT change, name, before, after, decided_by, reason FROM identity_history ORDER BY changed_at"
    ) == [
        ("merge", stored(NUMBER), stored(NUMBER), "crm:A1", "learnt", None),
        ("unmerge", stored(NUMBER), "crm:A1", stored(NUMBER), "operator:ann", f"{bare} is not hers"),
    ]


# --- rows of old under the present name ----------------------------------------------------------------------


def of_old(customer: str, name: str, at: Micros = START) -> SinkBatch:
    """What is stored of a customer for good."""
    it = call(at, by=customer, id=name, topic="t")
    raised = Finding(
        f"f{name}", "overcharge", "v1", "dearer", customer, "minor", 1.0, "phone", "settled", at, None,
        Identity(*it.key), (), (), "Dearer.", "Refund.",
    )  # fmt: skip
    return SinkBatch(
        version=1,
        links_seen=1,
        interactions=(PlacedInteraction(it, f"j{name}"),),
        journeys=(journey(customer, f"j{name}"),),
        findings=(FindingChange("settled", raised, at, "horizon", None, 2),),
    )


VIEWS = ("interactions", "journeys", "journey_steps", "findings", "findings_history", "customers")


def test_rows_of_a_customer_who_became_another_stand_under_the_present_name(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    for batch in (of_old(NUMBER, "old"), of_old("crm:A1", "her"), of_old(OTHER, "not")):
        writer.write_sync(batch)
    writer.write_sync(SinkBatch(interactions=(PlacedInteraction(call(START, id="nobody"), None),)))
    writer.write_sync(
        SinkBatch(links_seen=2, identities=(known(NUMBER, "crm:A1"), known("crm:A1", "crm:A1")))
    )
    for view in VIEWS:
        there = [name for name in customers_of(clickhouse, view) if name is not None]
        expected = ["crm:A1", stored(OTHER)] if view == "customers" else ["crm:A1", "crm:A1", stored(OTHER)]
        assert there == expected, view
    assert clickhouse.row("SELECT count() FROM interactions WHERE customer IS NULL") == (1,)
    assert clickhouse.row("SELECT journeys, interactions FROM customers WHERE customer = 'crm:A1'") == (2, 2)
    assert clickhouse.rows(f"SELECT id FROM interactions WHERE customer = '{stored(NUMBER)}'") == []
    assert clickhouse.rows("SELECT id FROM interactions WHERE customer = 'crm:A1' ORDER BY id") == [
        ("her",),
        ("old",),
    ]

    writer.write_sync(SinkBatch(links_seen=3, identities=(known(NUMBER, NUMBER),)))
    for view in VIEWS:
        assert stored(NUMBER) in customers_of(clickhouse, view), f"{view}: it was undone"
    assert clickhouse.row("SELECT journeys FROM customers WHERE customer = 'crm:A1'") == (1,)
    writer.write_sync(SinkBatch(links_seen=2, identities=(known(NUMBER, "crm:A1"),)))
    assert stored(NUMBER) in customers_of(clickhouse, "journeys"), "what was known earlier comes too late"
    writer.write_sync(SinkBatch(links_seen=4, identities=(known(NUMBER, "crm:A1", removed=True),)))
    assert stored(NUMBER) in customers_of(clickhouse, "journeys")


def test_an_identifier_that_never_was_a_customer_costs_the_views_nothing(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    writer.write_sync(of_old("crm:A1", "her"))
    writer.write_sync(SinkBatch(links_seen=2, identities=(known(NUMBER, "crm:A1"), known(OTHER, "crm:A1"))))
    assert clickhouse.rows("SELECT * FROM renamed_customers_raw") == []


def test_a_moved_interaction_is_never_under_two_names(writer: ClickHouseWriter, clickhouse: Database) -> None:
    """Identity is told first, the move follows, or the other way round: one row, one person, all the while."""
    writer.write_sync(of_old(NUMBER, "c1"))
    writer.write_sync(SinkBatch(links_seen=2, identities=(known(NUMBER, "crm:A1"),)))
    assert customers_of(clickhouse, "customers") == ["crm:A1"]
    moved = of_old("crm:A1", "c1")._replace(
        links_seen=2, version=1, journeys=(journey("crm:A1", "new"),), findings=()
    )
    writer.write_sync(moved)
    assert customers_of(clickhouse) == ["crm:A1"]
    assert customers_of(clickhouse, "customers") == ["crm:A1"]
    writer.write_sync(SinkBatch(version=2, links_seen=2, retracted=((NUMBER, "jc1"),)))
    assert clickhouse.rows("SELECT customer, journey_id FROM journeys") == [("crm:A1", "new")]


# --- what hashes stand for -----------------------------------------------------------------------------------


def clear_names(database: Database) -> dict[str, str]:
    """What hashes stand for, as those with the right to it read it."""
    private = private_database(database.target.database)
    return dict(database.rows(f"SELECT name, clear_name FROM `{private}`.identifiers"))


def test_those_with_the_right_to_it_learn_what_a_hash_stands_for(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    for customer in (NUMBER, "crm:A1", NUMBER):
        writer.write_sync(of_old(customer, "c1"))
    assert clear_names(clickhouse) == {stored(NUMBER): NUMBER}


def test_a_failed_write_does_not_lose_what_a_hash_stands_for(clickhouse: Database) -> None:
    pseudonyms = Pseudonyms(b"another key")
    writer = ClickHouseWriter(clickhouse.target, pseudonyms)
    try:
        unnamed = SinkBatch(interactions=(PlacedInteraction(call(START, by=NUMBER, source=""), None),))
        with pytest.raises(Exception, match="source_is_named"):
            writer.write_sync(unnamed)
        writer.write_sync(SinkBatch(interactions=(PlacedInteraction(call(START, by=NUMBER), None),)))
    finally:
        writer.close_sync()
    assert clear_names(clickhouse) == {pseudonyms.customers[NUMBER]: NUMBER}


def test_a_database_has_one_key(clickhouse: Database) -> None:
    hold_to_key(clickhouse.target, HASHED)
    hold_to_key(clickhouse.target, Pseudonyms(KEY))
    with pytest.raises(SinkMisconfigured, match=r"another key.*TOUCHLINE_IDENTITY__HASH_KEY"):
        hold_to_key(clickhouse.target, Pseudonyms(b"another"))
    with pytest.raises(SinkMisconfigured, match="TOUCHLINE_IDENTITY__CLEAR_TEXT"):
        hold_to_key(clickhouse.target, CLEAR)


@pytest.mark.parametrize("customer", [NUMBER, "crm:A1"])
def test_a_database_in_clear_text_is_not_gone_on_with_in_hashes(clickhouse: Database, customer: str) -> None:
    """Also where customers have strong names, and only a column of interactions holds the number."""
    clear = ClickHouseWriter(clickhouse.target, CLEAR)
    it = replace(call(START, by=customer), phone=NUMBER.removeprefix("phone:"))
    clear.write_sync(SinkBatch(interactions=(PlacedInteraction(it, None),)))
    clear.close_sync()
    with pytest.raises(SinkMisconfigured, match="in clear text: set TOUCHLINE_IDENTITY__CLEAR_TEXT=true"):
        hold_to_key(clickhouse.target, HASHED)
    hold_to_key(clickhouse.target, CLEAR)
    with pytest.raises(SinkMisconfigured, match="in clear text"):
        hold_to_key(clickhouse.target, HASHED)


def test_a_database_without_weak_identifiers_may_be_gone_on_with_in_hashes(clickhouse: Database) -> None:
    clear = ClickHouseWriter(clickhouse.target, CLEAR)
    clear.write_sync(of_old("crm:A1", "c1"))
    clear.close_sync()
    hold_to_key(clickhouse.target, HASHED)


# --- the key of ids ------------------------------------------------------------------------------------------


def read_id_key(database: Database, pseudonyms: Pseudonyms) -> bytes:
    client = connect(database.target)
    try:
        return id_key_of(client, pseudonyms)
    finally:
        client.disconnect()


def test_ids_of_a_new_database_have_a_key_that_whoever_has_the_key_of_the_names_has(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    assert read_id_key(clickhouse, HASHED) == b"", "nobody has begun it"
    first = hold_to_key(clickhouse.target, HASHED)
    assert len(first) == 32
    assert KEY not in first
    writer.write_sync(SinkBatch(journeys=(journey("crm:A1", "j1"),)))
    assert hold_to_key(clickhouse.target, Pseudonyms(KEY)) == first == read_id_key(clickhouse, HASHED)
    assert read_id_key(clickhouse, Pseudonyms(b"another")) == b""
    assert read_id_key(clickhouse, CLEAR) == b""


def test_a_database_that_was_begun_before_ids_had_a_key_goes_on_without(
    clickhouse: Database, caplog: pytest.LogCaptureFixture
) -> None:
    began = [(HASHED.fingerprint, START)]
    clickhouse.client().execute("INSERT INTO hash_keys_raw (fingerprint, at) VALUES", began)
    assert hold_to_key(clickhouse.target, HASHED) == b"" == read_id_key(clickhouse, HASHED)
    assert "`touchline replay`" in caplog.text


def test_journeys_from_before_there_was_any_key_keep_their_ids(clickhouse: Database) -> None:
    clear = ClickHouseWriter(clickhouse.target, CLEAR)
    clear.write_sync(SinkBatch(journeys=(journey("crm:A1", "j1"),)))
    clear.close_sync()
    assert hold_to_key(clickhouse.target, HASHED) == b""
    assert hold_to_key(clickhouse.target, HASHED) == b"", "also once the fingerprint is there"


def test_clear_text_has_ids_without_a_key(clickhouse: Database) -> None:
    assert hold_to_key(clickhouse.target, CLEAR) == b""
