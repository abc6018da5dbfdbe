"""Group commit, order of the tables and the life of connections, with a client that only takes notes."""

import asyncio
import threading
from collections.abc import Callable

import msgspec
import pytest

from schemas.erasures import ErasureDone
from schemas.records import Coordinates, DeadLetter, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.client import ClickHouseTarget
from sinks.clickhouse.errors import SinkUnavailable
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.rows import Rows
from sinks.clickhouse.writer import GROUP_ROWS, SECOND_GROUP_ROWS, ClickHouseWriter
from tests.builders import call

JOURNEY = Journey(
    "j1", "crm:ann", 1, 2, False, 1, 1, ("phone",), ("phone",), (), None, None, None, None, None
)


class Notes:
    """What all clients were asked to do; `gate` holds inserts back until it is set."""

    def __init__(self) -> None:
        self.inserts: list[tuple[str, int]] = []
        self.connected = 0
        self.disconnected = 0
        self.gate = threading.Event()
        self.gate.set()
        self.fail: Callable[[str], None] = lambda _: None

    def connect(self, _: ClickHouseTarget) -> "NotingClient":
        self.connected += 1
        return NotingClient(self)


class NotingClient:
    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def insert(self, table: str, rows: Rows) -> None:
        assert self.notes.gate.wait(20)
        self.notes.fail(table)
        if rows.size:
            self.notes.inserts.append((table, rows.size))

    def disconnect(self) -> None:
        self.notes.disconnected += 1


@pytest.fixture
def notes() -> Notes:
    return Notes()


def writer_of(notes: Notes, connections: int = 1) -> ClickHouseWriter:
    return ClickHouseWriter(ClickHouseTarget("db", connections=connections), CLEAR, client=notes.connect)  # type: ignore[arg-type]


def received(count: int = 1) -> SinkBatch:
    return SinkBatch(received=tuple(Coordinates("t", 0, n) for n in range(count)))


def placed(name: str) -> SinkBatch:
    return SinkBatch(interactions=(PlacedInteraction(call(1, id=name, topic="t"), None),))


def test_the_ledger_is_written_last(notes: Notes) -> None:
    writer = writer_of(notes)
    letter = DeadLetter("t", 0, 2, None, None, (), "decode", "e", "m", 0)
    writer.write_sync(placed("a")._replace(dead_letters=(letter,), journeys=(JOURNEY,)))
    assert [table for table, _ in notes.inserts] == [
        "dead_letters_raw",
        "placed_interactions_raw",
        "journeys_raw",
        "ledger_raw",
    ]


def test_the_ledger_is_not_written_when_rows_failed(notes: Notes) -> None:
    def fail(table: str) -> None:
        if table == "journeys_raw":
            raise EOFError

    notes.fail = fail
    with pytest.raises(SinkUnavailable):
        writer_of(notes).write_sync(placed("a"))
    assert [table for table, _ in notes.inserts] == ["placed_interactions_raw"]


def test_what_hashes_stand_for_is_written_before_the_ledger_and_as_often_as_it_takes(notes: Notes) -> None:
    writer = ClickHouseWriter(ClickHouseTarget("db"), Pseudonyms(b"key"), client=notes.connect)  # type: ignore[arg-type]
    journey = msgspec.structs.replace(JOURNEY, customer="phone:+359888000111")
    batch = received()._replace(journeys=(journey,))

    def fail(table: str) -> None:
        if "identifiers_raw" in table:
            raise EOFError

    notes.fail = fail
    with pytest.raises(SinkUnavailable):
        writer.write_sync(batch)
    assert [table for table, _ in notes.inserts] == ["journeys_raw"]
    notes.inserts.clear()
    notes.fail = lambda _: None
    writer.write_sync(batch)
    assert [table for table, _ in notes.inserts] == [
        "journeys_raw",
        "`touchline_private`.identifiers_raw",
        "ledger_raw",
    ]


async def test_who_waits_goes_together(notes: Notes) -> None:
    writer = writer_of(notes)
    notes.gate.clear()
    writes = [asyncio.create_task(writer.write(placed(str(n)))) for n in range(10)]
    await asyncio.sleep(0)
    notes.gate.set()
    await asyncio.gather(*writes)
    assert [size for table, size in notes.inserts if table == "placed_interactions_raw"] == [1, 9]
    await writer.close()


async def test_a_second_group_starts_beside_the_first_only_when_it_is_worth_an_insert(notes: Notes) -> None:
    writer = writer_of(notes, connections=2)
    notes.gate.clear()
    large = received(SECOND_GROUP_ROWS - 3)._replace(interactions=placed("large").interactions)
    batches = [placed("first"), placed("a"), large, placed("b"), placed("c"), placed("d")]
    writes = [asyncio.create_task(writer.write(batch)) for batch in batches]
    await asyncio.sleep(0)
    notes.gate.set()
    await asyncio.gather(*writes)
    sizes = [size for table, size in notes.inserts if table == "placed_interactions_raw"]
    assert sorted(sizes) == [1, 2, 3], "the first alone; the three that are enough together; who came later"
    await writer.close()


async def test_what_was_written_makes_no_group_worth_an_insert(notes: Notes) -> None:
    writer = writer_of(notes, connections=2)
    await writer.write(received(SECOND_GROUP_ROWS))
    notes.gate.clear()
    writes = [asyncio.create_task(writer.write(placed(name))) for name in "abc"]
    await asyncio.sleep(0)
    notes.gate.set()
    await asyncio.gather(*writes)
    assert [size for table, size in notes.inserts if table == "placed_interactions_raw"] == [1, 2]
    await writer.close()


async def test_the_end_waits_for_what_was_to_be_written(notes: Notes) -> None:
    writer = writer_of(notes)
    notes.gate.clear()
    writes = [asyncio.create_task(writer.write(placed(name))) for name in "ab"]
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    notes.gate.set()
    await closing
    assert await asyncio.gather(*writes) == [None, None]
    assert notes.disconnected == notes.connected


def test_whoever_is_erased_is_forgotten_here_too_and_recorded_again_should_they_return(notes: Notes) -> None:
    writer = ClickHouseWriter(ClickHouseTarget("db"), Pseudonyms(b"key"), client=notes.connect)  # type: ignore[arg-type]
    batch = SinkBatch(journeys=(msgspec.structs.replace(JOURNEY, customer="phone:+359888000111"),))
    for one in (batch, batch, SinkBatch(erasures=(ErasureDone("e1", 0),)), batch):
        writer.write_sync(one)
    recorded = [size for table, size in notes.inserts if "identifiers_raw" in table]
    assert recorded == [1, 1], "once before, once after"


async def test_who_writes_after_the_end_hears_that_it_is_over_and_may_come_again(notes: Notes) -> None:
    writer = writer_of(notes)
    await writer.close()
    with pytest.raises(SinkUnavailable, match="closed"):
        await writer.write(placed("late"))
    assert notes.inserts == []


async def test_a_group_ends_before_it_grows_too_large(notes: Notes) -> None:
    writer = writer_of(notes)
    notes.gate.clear()
    half = GROUP_ROWS // 2
    writes = [asyncio.create_task(writer.write(received(size))) for size in (1, half, half, 1)]
    await asyncio.sleep(0)
    notes.gate.set()
    await asyncio.gather(*writes)
    assert len([table for table, _ in notes.inserts if table == "ledger_raw"]) == 3
    await writer.close()


async def test_a_batch_larger_than_a_group_is_written_alone(notes: Notes) -> None:
    writer = writer_of(notes)
    await writer.write(received(GROUP_ROWS + 1))
    assert notes.inserts == [("ledger_raw", 1)]
    await writer.close()


async def test_everybody_of_a_failed_group_is_told_and_the_connection_goes(notes: Notes) -> None:
    writer = writer_of(notes)

    def fail(_: str) -> None:
        raise ConnectionResetError("gone")

    notes.fail = fail
    outcomes = await asyncio.gather(*(writer.write(received()) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SinkUnavailable] * 3
    assert notes.disconnected == notes.connected > 0
    notes.fail = lambda _: None
    await writer.write(received())
    await writer.close()
    assert notes.disconnected == notes.connected


async def test_a_caller_that_gave_up_does_not_harm_its_group(notes: Notes) -> None:
    writer = writer_of(notes)
    notes.gate.clear()
    impatient, patient = (asyncio.create_task(writer.write(placed(name))) for name in "ab")
    await asyncio.sleep(0)
    impatient.cancel()
    notes.gate.set()
    await patient
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await writer.close()


async def test_connections_are_used_again(notes: Notes) -> None:
    writer = writer_of(notes, connections=3)
    for _ in range(5):
        await writer.write(received())
    assert notes.connected == 1
    await writer.close()
    assert notes.disconnected == 1
