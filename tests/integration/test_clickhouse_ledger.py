"""The ledger against a model of sets: each source offset counts once, whatever is written how often."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.records import Coordinates, DeadLetter, PlacedInteraction, SinkBatch
from sinks.clickhouse.ledger import BUCKET
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call
from tests.clickhouse_server import Database

TOPIC = "touchline.phone"
OFFSETS = st.sets(st.sampled_from([0, 1, 2, 3, BUCKET - 1, BUCKET, 2**40]))
FATES = ("received", "stored", "superseded", "dead")


@pytest.fixture
def writer(clickhouse: Database) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    yield writer
    writer.close_sync()


def batch(
    received: set[int] = frozenset(),  # type: ignore[assignment]
    stored: set[int] = frozenset(),  # type: ignore[assignment]
    superseded: set[int] = frozenset(),  # type: ignore[assignment]
    dead: set[int] = frozenset(),  # type: ignore[assignment]
    incarnation: int = 1,
) -> SinkBatch:
    calls = [
        call("2026-03-01T10:00Z", by="crm:ann", id=str(n), topic=TOPIC, partition=0, at_offset=n)
        for n in stored
    ]
    return SinkBatch(
        interactions=tuple(PlacedInteraction(it, "j") for it in calls),
        received=tuple(Coordinates(TOPIC, 0, n) for n in received),
        superseded=tuple(Coordinates(TOPIC, 0, n) for n in superseded),
        dead_letters=tuple(DeadLetter(TOPIC, 0, n, None, b"", (), "decode", "e", "m", 0) for n in dead),
        incarnation=incarnation,
    )


def reconciled(database: Database, incarnation: int = 1) -> tuple[object, ...]:
    return database.row(
        "SELECT received, stored, superseded, dead, missing, surplus, balanced FROM reconciliation "
        "WHERE incarnation = %(incarnation)s",
        incarnation=incarnation,
    )


def test_an_offset_that_was_stored_and_replaced_counts_as_superseded(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    writer.write_sync(batch(received={0, 1}, stored={0}))
    writer.write_sync(batch(stored={1}, superseded={0}))
    assert reconciled(clickhouse) == (2, 1, 1, 0, 0, 0, True)


def test_dead_counts_only_where_the_record_was_not_used(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    """A record that a fixed contract accepts the second time it is read."""
    writer.write_sync(batch(received={0, 1}, dead={0, 1}))
    writer.write_sync(batch(received={0}, stored={0}))
    assert reconciled(clickhouse) == (2, 1, 0, 1, 0, 0, True)


def test_a_loss_and_a_surplus_do_not_cancel_out(writer: ClickHouseWriter, clickhouse: Database) -> None:
    writer.write_sync(batch(received={0, 1}, stored={1, 2}))
    assert reconciled(clickhouse) == (2, 2, 0, 0, 1, 1, False)


def test_what_is_still_under_way_is_missing(writer: ClickHouseWriter, clickhouse: Database) -> None:
    writer.write_sync(batch(received={0, 1, 2}))
    assert reconciled(clickhouse) == (3, 0, 0, 0, 3, 0, False)


def test_a_range_of_the_ledger_ends_at_a_hundred_thousand(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    writer.write_sync(batch(received={5, BUCKET - 1, BUCKET, BUCKET + 3}, stored={5}))
    assert clickhouse.rows(
        "SELECT offset_from, offset_to, received, stored, missing FROM ledger ORDER BY offset_from"
    ) == [(5, BUCKET - 1, 2, 1, 1), (BUCKET, BUCKET + 3, 2, 0, 2)]


_lives = iter(range(1_000, 10**9))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(FATES, OFFSETS)), min_size=1, max_size=4), st.data())
def test_writes_in_any_order_and_number_unite(
    writer: ClickHouseWriter, clickhouse: Database, writes: list[dict[str, set[int]]], data: st.DataObject
) -> None:
    life = next(_lives)
    repeated = data.draw(st.permutations(writes + writes))
    model: dict[str, set[int]] = defaultdict(set)
    for write in repeated:
        writer.write_sync(batch(**write, incarnation=life))
        for fate in FATES:
            model[fate] |= write[fate]
    received, stored, superseded, dead = (model[fate] for fate in FATES)
    accounted = stored | superseded | dead
    expected = (
        len(received),
        len(stored - superseded),
        len(superseded),
        len(dead - stored - superseded),
        len(received - accounted),
        len(accounted - received),
        received == accounted,
    )
    if received | accounted:
        assert reconciled(clickhouse, life) == expected
