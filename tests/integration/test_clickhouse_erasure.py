"""A customer is erased from every table and every file of ClickHouse; others, and what comes later, are not."""

import time
from collections.abc import Iterator
from dataclasses import replace as with_changes

import pytest
from msgspec.structs import replace

from schemas.alerts import AlertRow
from schemas.findings import Contribution, Evidence, Finding, FindingChange, Light
from schemas.records import (
    DeadLetter,
    Fading,
    IdentityChange,
    IdentityRow,
    Journey,
    OffsetRange,
    PlacedInteraction,
    SinkBatch,
)
from sinks.clickhouse.client import ClickHouseTarget
from sinks.clickhouse.erasure import WRITING_SECONDS, Erasing, begin, erasing_client, unfinished
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.personal_rows import DELETIONS
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.receipts import Receipt, erased_interactions, record_erased, record_receipt
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call, instant
from tests.clickhouse_server import Database

AT = instant("2026-03-01T10:00Z")
ID = "0123456789abcdef" * 2
ANN, NUMBER, ADDRESS = "crm:PLANTED-4711", "phone:+359888471147", "email:planted@example.com"
NAMES = (ANN, NUMBER, ADDRESS)
BOB = "crm:bob"
HASHING = Pseudonyms(b"the key of the tests")
PERSONAL = tuple(one.table for one in DELETIONS if not one.private)


def everything(
    customer: str, number: int, *, names: tuple[str, ...] = (), by: str | None = None
) -> SinkBatch:
    """A row for every table. `names` are linked with the customer; `by` names whom the interaction is stored under."""
    said = {name.partition(":")[0]: name.partition(":")[2] for name in names if not name.startswith("crm:")}
    it = call(AT + number, by=customer, id=f"c{number}", topic="t", at_offset=number, text=customer, **said)
    it = replace(it, customer=by or customer)
    evidence = Evidence(*it.key, "t", 0, number, AT, "phone", {"customer": customer})
    sentence = f"{' '.join((customer, *names))} called {number} times."
    finding = Finding(
        f"f{number}", "repeat_contact", "v1", "contacts", customer, "severe", 10.0, "phone", "open", AT, None,
        evidence.identity, (evidence,), (), sentence, "Call.", (), AT,
    )  # fmt: skip
    journey = Journey(
        f"j{number}", customer, AT, AT, False, 1, 1, ("phone",), ("phone",), (), None, None, None, None, None
    )
    line = Contribution(f"f{number}", "repeat_contact", "phone", "severe", AT, 10_000, sentence, 10.0)
    return SinkBatch(
        version=number,
        links_seen=number,
        interactions=(PlacedInteraction(it, f"j{number}"),),
        journeys=(journey,),
        retracted=((customer, f"gone{number}"),),
        received=(OffsetRange("t", 0, number, number),),
        findings=(FindingChange("raised", finding, AT, "completed", None, 1),),
        lights=(Light(customer, AT, 10_000, "red", (), (line,)),),
        fading=Fading(1, 0, 0),
        alerts=(
            AlertRow(
                f"f{number}", customer, "repeat_contact", "severe", "raised", "", "suppressed", "", AT, 1
            ),
        ),
        identities=tuple(IdentityRow(name, customer, False, AT, (f"x/{number}",)) for name in names),
        identity_changes=tuple(
            IdentityChange(name, name, customer, "merge", AT, "operator:eve", f"{name} is {customer}")
            for name in names
        ),
    )


def let_go(*batches: SinkBatch) -> SinkBatch:
    """What the workers write when they let go of a customer: nothing stands any more."""
    journeys = [journey for batch in batches for journey in batch.journeys]
    return SinkBatch(
        version=5,
        links_seen=5,
        retracted=tuple((one.customer, one.journey_id) for one in journeys),
        lights=tuple(
            Light(customer, AT, 0, "green", (), ()) for customer in {one.customer for one in journeys}
        ),
        findings=tuple(
            replace(raised, kind="withdrawn", sequence=2, finding=replace(raised.finding, state="withdrawn"))
            for batch in batches
            for raised in batch.findings
        ),
        fading=Fading(1, 0, 0),
        identities=tuple(one._replace(removed=True) for batch in batches for one in batch.identities),
        identity_changes=tuple(
            one._replace(kind="unmerge", before=one.after, after=one.identifier)
            for batch in batches
            for one in batch.identity_changes
        ),
    )


def letter(offset: int, value: str) -> SinkBatch:
    return SinkBatch(
        dead_letters=(
            DeadLetter("t", 1, offset, value.encode(), value.encode(), (), "decode", "e", "m", AT),
        ),
        received=(OffsetRange("t", 1, offset, offset),),
    )


@pytest.fixture(params=[HASHING, CLEAR], ids=["hashed", "clear"])
def pseudonyms(request: pytest.FixtureRequest) -> Pseudonyms:
    chosen: Pseudonyms = request.param
    return chosen


@pytest.fixture
def writer(clickhouse: Database, pseudonyms: Pseudonyms) -> Iterator[ClickHouseWriter]:
    # The names of customers were recorded once by the test before; each test has a database without them.
    writer = ClickHouseWriter(clickhouse.target, Pseudonyms(pseudonyms._key))
    yield writer
    writer.close_sync()


@pytest.fixture
def erasing(clickhouse: Database, pseudonyms: Pseudonyms) -> Iterator[Erasing]:
    client = erasing_client(clickhouse.target)
    begun = begin(client, clickhouse.target, ID, NAMES, pseudonyms)
    yield begun
    begun.finish()
    client.disconnect()


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that names people, in all versions, as it was written."""
    private = private_database(database.target.database)
    return {
        one.table: sorted(
            database.rows(f"SELECT * FROM {f'`{private}`.' if one.private else ''}{one.table}"), key=repr
        )
        for one in DELETIONS
    }


def forget(erasing: Erasing) -> dict[str, int]:
    """What the command does once the workers are done."""
    time.sleep(WRITING_SECONDS)
    found = erasing.survey()
    erasing.delete(found)
    assert erasing.survey() == {}
    return found


def test_nothing_of_the_customer_is_left_and_all_of_the_others(
    writer: ClickHouseWriter, clickhouse: Database, erasing: Erasing, pseudonyms: Pseudonyms
) -> None:
    # One of Bob's that was taken for hers for a while: in an earlier version the row names her.
    bobs = everything(BOB, 1, names=("phone:+359888000001",))
    writer.write_sync(letter(1, "somebody else's"))
    writer.write_sync(bobs)
    before = contents(clickhouse)
    writer.write_sync(SinkBatch(interactions=everything(BOB, 1, by=ANN).interactions))
    # From before it was known whose the number is: rows under an earlier name.
    earlier, hers = everything(NUMBER, 2, names=(ADDRESS,)), everything(ANN, 3, names=(NUMBER, ADDRESS))
    writer.write_sync(earlier)
    writer.write_sync(hers)
    writer.write_sync(letter(2, ANN))
    rows_before, balance = contents(clickhouse), clickhouse.rows("SELECT * FROM reconciliation")
    assert all(rows_before[table] != before[table] for table in PERSONAL)

    erasing.collect()
    assert {id_ for _, id_, _ in erasing.interactions()} == {"c2", "c3"}
    erasing.note_letters((one, "d1") for one in erasing.letters() if ANN.encode() in one.value)
    assert erasing.bytes_of_letters() == ["d1"]
    assert erasing.held() == {"interactions": 2, "journeys": 2, "findings": 2, "alerts": 2, "dead letters": 1}
    erasing.told()
    writer.write_sync(let_go(earlier, hers))
    found = forget(erasing)
    assert set(found) == {*PERSONAL, *([] if pseudonyms.clear else ["identifiers_raw"])}
    assert contents(clickhouse) == before
    assert clickhouse.rows("SELECT * FROM reconciliation") == balance


def test_what_came_later_stays_and_the_same_rows_can_come_again(
    writer: ClickHouseWriter, clickhouse: Database, erasing: Erasing
) -> None:
    hers = everything(ANN, 2, names=(NUMBER, ADDRESS))
    writer.write_sync(hers)
    erasing.collect()
    erasing.told()
    time.sleep(0.002)
    # The worker lets go, and a new call comes, from the same number.
    writer.write_sync(let_go(hers))
    new = everything(ANN, 7, names=(NUMBER,))
    writer.write_sync(new)
    found = forget(erasing)
    assert found["findings_history_raw"] == 2
    views = {
        "interactions": "id",
        "journeys": "journey_id",
        "findings": "finding_id",
        "findings_history": "finding_id",
        "alerts": "finding_id",
        "alerts_history": "finding_id",
    }
    for view, column in views.items():
        assert [row[0][-1] for row in clickhouse.rows(f"SELECT {column} FROM {view}")] == ["7"], view
    assert clickhouse.rows("SELECT kind, links_seen FROM identity") == [("phone", 7)]
    assert clickhouse.rows("SELECT kind, change FROM identity_history") == [("phone", "merge")]
    assert clickhouse.rows("SELECT customer, light FROM lights") == [(ANN, "red")]
    assert not clickhouse.rows("SELECT 1 FROM identity_raw WHERE kind = 'email'")

    # An insert of rows that were here before is an insert like any other.
    writer.write_sync(hers)
    assert clickhouse.row("SELECT count() FROM placed_interactions_raw WHERE id = 'c2'") == (1,)
    assert clickhouse.row("SELECT count() FROM findings_history_raw WHERE finding_id = 'f2'") == (1,)


def test_a_row_that_is_written_during_the_deletion_stays(
    writer: ClickHouseWriter, clickhouse: Database, erasing: Erasing
) -> None:
    hers = everything(ANN, 2, names=(NUMBER,))
    writer.write_sync(hers)
    erasing.collect()
    erasing.told()
    writer.write_sync(let_go(hers))
    time.sleep(WRITING_SECONDS)
    found = erasing.survey()
    writer.write_sync(everything(ANN, 7, names=(NUMBER,)))
    erasing.delete(found)
    for view in ("interactions", "journeys", "findings", "lights", "alerts"):
        assert clickhouse.row(f"SELECT count() FROM {view} WHERE customer = '{ANN}'") == (1,), view


def test_an_erasure_is_found_again_until_it_is_finished(clickhouse: Database, erasing: Erasing) -> None:
    erasing.note("by", "eve")
    erasing.note_facts([("crm", "f-1"), ("crm", "f-1")])
    client = erasing_client(clickhouse.target)
    (found,) = unfinished(client, clickhouse.target)
    assert (found.id, found.names, found.noted("by"), found.noted("else")) == (ID, NAMES, "eve", None)
    assert found.facts() == [("crm", "f-1")]
    assert unfinished(client, clickhouse.target, older_than=3_600) == []
    found.finish()
    assert unfinished(client, clickhouse.target) == []
    client.disconnect()


def test_the_receipt_and_the_hashes_name_nobody_and_a_later_receipt_replaces(clickhouse: Database) -> None:
    client = clickhouse.client()
    hidden = HASHING.erased_identity("desk", "c1")
    record_erased(client, ID, [hidden, hidden])
    assert erased_interactions(client) == {hidden}
    receipt = Receipt(ID, AT, "eve", None, HASHING.erased_customer(ANN).hex(), {}, None, None, 1)
    record_receipt(client, receipt)
    record_receipt(
        client, receipt._replace(counts={"journeys_raw": 2}, finished_at=AT, gone_at=AT, version=2)
    )
    assert clickhouse.rows("SELECT id, counts, finished_at IS NULL FROM erasures") == [
        (ID, {"journeys_raw": 2}, 0)
    ]
    client.disconnect()


def test_the_statements_for_a_cluster_parse(clickhouse: Database) -> None:
    said: list[str] = []

    class Noting:
        """A client that only listens."""

        def execute(self, sql: str, *_: object, **__: object) -> list[tuple[int]]:
            said.append(sql)
            return [(0,)]

    target = with_changes(ClickHouseTarget("db"), cluster="main")
    begun = begin(Noting(), target, ID, NAMES, HASHING)
    begun.delete(PERSONAL)
    begun.finish()
    altering = [sql for sql in said if sql.startswith(("ALTER", "CREATE", "DROP"))]
    assert len(altering) > len(PERSONAL)
    for sql in altering:
        assert "ON CLUSTER 'main'" in sql
        assert clickhouse.rows(f"EXPLAIN AST {sql}")
    assert all("_raw_local ON CLUSTER" in sql for sql in altering if sql.startswith("ALTER"))
