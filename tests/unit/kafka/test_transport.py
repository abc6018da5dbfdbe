"""The batch consumer's bookkeeping: offsets to commit, records in flight, ends of partitions, the fence on delivery."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.structs import ConsumerRecord
from faust.tables.recovery import Recovery
from faust.types import TP
from mode.utils.queues import FlowControlQueue

from streams.app import faust_app
from streams.kafka import transport
from streams.kafka.access import KafkaAccess
from streams.kafka.transport import Consumer, Transport
from streams.settings import Settings

RAW, CHANGELOG = TP("touchline.phone", 0), TP("touchline.timelines", 0)


def record(offset: int, tp: TP = RAW) -> ConsumerRecord:
    return ConsumerRecord(tp.topic, tp.partition, offset, 1_000, 0, b"k", b"v", None, 1, 1, ())


class Desk:
    """A consumer that is connected to nothing; `delivered` is what Faust's streams would get."""

    def __init__(self, consumer: Consumer, callback: Callable[[Any], Awaitable[None]]) -> None:
        self.consumer = consumer
        self.delivered: list[tuple[TP, list[int]]] = []
        self._callback = callback

    async def deliver(self, *offsets: int, tp: TP = RAW, generation: int = 1) -> None:
        records = [record(offset, tp) for offset in offsets]
        self.consumer.fetched[tp] = offsets[-1]
        key: Any = TopicPartition(tp.topic, tp.partition)
        await self.consumer._deliver({key: records}, self.consumer._get_active_partitions(), generation)


@pytest.fixture
async def desk(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Desk:
    app = faust_app(Settings(), KafkaAccess("127.0.0.1:1"), tmp_path)
    app.consumer_generation_id = 1
    desk: Desk

    async def callback(message: Any) -> None:
        assert message.generation_id == 1
        desk.delivered.append((message.tp, [one.offset for one in message.value]))

    async def unused(*_: Any, **__: Any) -> None:
        pytest.fail("not part of this test")

    consumer = app.transport.create_consumer(
        callback, on_partitions_revoked=unused, on_partitions_assigned=unused
    )
    assert isinstance(consumer, Consumer)
    app.consumer = consumer
    monkeypatch.setattr(type(app), "in_recovery", False, raising=False)
    monkeypatch.setattr(consumer, "_is_changelog_tp", lambda tp: tp == CHANGELOG)
    consumer._set_active_tps({RAW, CHANGELOG})
    desk = Desk(consumer, callback)
    return desk


def test_the_app_uses_this_transport(tmp_path: Any) -> None:
    assert isinstance(faust_app(Settings(), KafkaAccess("127.0.0.1:1"), tmp_path).transport, Transport)


async def test_one_fetch_of_a_partition_is_one_event_with_all_its_records(desk: Desk) -> None:
    await desk.deliver(3, 4, 5)
    await desk.deliver(0, 1, tp=CHANGELOG)
    assert desk.delivered == [(RAW, [3, 4, 5]), (CHANGELOG, [0, 1])]
    assert desk.consumer._read_offset[RAW] == 5


async def test_the_offset_to_commit_follows_the_greatest_acknowledged_one(desk: Desk) -> None:
    consumer = desk.consumer
    assert consumer._new_offset(RAW) is None
    consumer._acked[RAW] = [9, 19, 29]
    consumer._acked_index[RAW] = {9, 19, 29}
    assert consumer._new_offset(RAW) == 30
    assert consumer._new_offset(RAW) is None, "nothing new since"


async def test_a_partition_with_too_much_in_flight_is_not_fetched_until_half_of_it_is_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "IN_FLIGHT_RECORDS", 4)
    consumer = desk.consumer
    await desk.deliver(0)
    await desk.deliver(1, 2)
    assert RAW in consumer._get_active_partitions()
    await desk.deliver(3)
    assert RAW not in consumer._get_active_partitions()
    consumer.release(RAW, 0)
    assert RAW not in consumer._get_active_partitions()
    consumer._drained.clear()
    consumer.release(RAW, 2)
    assert RAW in consumer._get_active_partitions()
    assert consumer._drained.is_set()


async def test_what_was_fetched_before_the_brake_is_still_delivered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "IN_FLIGHT_RECORDS", 1)
    await desk.deliver(0)
    await desk.deliver(1)
    assert [offsets for _, offsets in desk.delivered] == [[0], [1]]


async def test_room_is_given_back_once(desk: Desk) -> None:
    await desk.deliver(0, 1, 2)
    await desk.deliver(3)
    desk.consumer.release(RAW, 2)
    desk.consumer.release(RAW, 2)
    desk.consumer.release(RAW, 99)
    assert desk.consumer._in_flight[RAW] == 1


async def test_records_that_are_fetched_again_take_no_more_room(desk: Desk) -> None:
    # Faust resumes the partitions at the end of a recovery and seeks only then.
    consumer = desk.consumer
    consumer._thread = Thread({RAW: 123})
    await desk.deliver(0, 1, 2)
    await desk.deliver(0, 1, 2)
    consumer.release(RAW, 2)
    consumer.release(RAW, 2)
    assert consumer._in_flight[RAW] == 0
    assert await consumer.read_ends() == {RAW: 123}


async def test_an_end_is_found_again_after_a_seek_in_the_middle_of_a_delivery(desk: Desk) -> None:
    consumer = desk.consumer
    consumer._thread = Thread({RAW: 123})
    await desk.deliver(0, 1, 2)
    consumer.fetched.clear()
    consumer.release(RAW, 2)
    assert await consumer.read_ends() == {RAW: 123}


async def test_a_changelog_takes_no_room(desk: Desk) -> None:
    await desk.deliver(*range(10), tp=CHANGELOG)
    assert desk.consumer._in_flight[CHANGELOG] == 0


async def test_a_full_stream_does_not_hold_up_a_rebalance(desk: Desk) -> None:
    async def stuck(_message: Any) -> None:
        await asyncio.Event().wait()

    desk.consumer.callback = stuck
    delivering = asyncio.create_task(desk.deliver(0))
    await asyncio.sleep(0)
    assert not delivering.done()
    desk.consumer.stop_flow()
    await asyncio.wait_for(delivering, 5)


async def test_seeking_back_forgets_acknowledgements_and_what_is_in_flight(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = desk.consumer
    await desk.deliver(0, 1)
    consumer._acked[RAW], consumer._acked_index[RAW] = [1], {1}

    async def committed() -> dict[TP, int]:
        return {RAW: 7}

    monkeypatch.setattr(consumer, "seek_to_committed", committed)
    await consumer.perform_seek()
    assert consumer._new_offset(RAW) is None
    assert consumer._in_flight[RAW] == 0
    assert consumer._committed_offset[RAW] == 7
    consumer.release(RAW, 1)
    assert consumer._in_flight[RAW] == 0, "a late answer of a forgotten batch gives nothing back"


async def test_a_revocation_gives_back_all_room_before_faust_is_told(desk: Desk) -> None:
    consumer = desk.consumer
    await desk.deliver(0, 1)
    seen: list[int] = []

    async def told(_revoked: set[TP]) -> None:
        seen.append(consumer._in_flight[RAW])

    consumer._on_partitions_revoked = told
    await consumer.on_partitions_revoked({RAW})
    assert seen == [0]
    assert consumer.fetched == {}


class Thread:
    taken_from = None

    def __init__(self, ends: dict[TP, int]) -> None:
        self._ends = ends

    async def call_thread(self, function: Any) -> dict[TP, int]:
        return await function()  # type: ignore[no-any-return]

    async def read_ends(self) -> dict[TP, int]:
        return self._ends


async def test_what_is_under_way_is_known_until_it_is_acknowledged(desk: Desk) -> None:
    consumer = desk.consumer
    assert consumer.under_way(RAW) is None
    await desk.deliver(0, 1)
    await desk.deliver(2, 5)
    consumer.release(RAW, 1)
    assert consumer.under_way(RAW) == 5
    consumer.release(RAW, 5)
    assert consumer.under_way(RAW) is None


async def test_an_end_counts_only_when_all_that_was_fetched_is_acknowledged(desk: Desk) -> None:
    consumer = desk.consumer
    consumer._thread = Thread({RAW: 123})
    assert await consumer.read_ends() == {RAW: 123}, "an empty partition is read to its end"
    consumer.fetched[RAW] = 1
    assert await consumer.read_ends() == {}, "taken from the fetcher and not delivered yet"
    await desk.deliver(0, 1)
    assert await consumer.read_ends() == {}, "delivered and not acknowledged yet"
    consumer.release(RAW, 1)
    assert await consumer.read_ends() == {RAW: 123}


def assigned(**states: Any) -> SimpleNamespace:
    """An aiokafka consumer with one partition of this state."""
    partition = TopicPartition(RAW.topic, RAW.partition)
    assignment = SimpleNamespace(tps=[partition], state_value=lambda _: SimpleNamespace(**states))
    return SimpleNamespace(_subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)))


@pytest.mark.parametrize(
    ("position", "highwater", "valid", "timestamp", "ends"),
    [
        (5, 5, True, 9, {RAW: 9_000}),
        (4, 5, True, 9, {}),
        (0, 0, True, 9, {RAW: 9_000}),
        (5, None, True, 9, {}),
        (5, 5, False, 9, {}),
        (5, 5, True, None, {}),
    ],
    ids=["at the end", "before it", "empty", "never fetched", "no position", "no answer"],
)
async def test_the_end_is_where_the_position_meets_the_highwater(
    desk: Desk,
    position: int,
    highwater: int | None,
    valid: bool,
    timestamp: int | None,
    ends: dict[TP, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread = desk.consumer._new_consumer_thread()
    found = assigned(position=position, highwater=highwater, has_valid_position=valid, timestamp=timestamp)
    monkeypatch.setattr(thread, "_ensure_consumer", lambda: found)
    assert await thread.read_ends() == ends


async def test_lag_is_what_is_not_committed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = desk.consumer
    monkeypatch.setattr(consumer, "highwater", lambda _tp: 10)
    assert consumer.lag(RAW) == 0, "nothing is known before the first commit"
    consumer._committed_offset[RAW] = 7
    assert consumer.lag(RAW) == 3
    consumer._committed_offset[RAW] = 12
    assert consumer.lag(RAW) == 0


class Positions:
    """The consumer's thread with aiokafka's own bookkeeping of positions, and no broker."""

    def __init__(self, desk: Desk) -> None:
        self.thread = desk.consumer._thread
        self.assignment = Assignment([TopicPartition(*RAW), TopicPartition(*CHANGELOG)])
        self.fetcher = SimpleNamespace(_records={}, seek_to=self.seek, request_offset_reset=self.reset)
        self.reset_to_beginning: list[TopicPartition] = []
        self.committed: dict[TopicPartition, int | None] = {}
        self.thread._consumer = SimpleNamespace(
            _fetcher=self.fetcher,
            _subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=self.assignment)),
            seek_to_committed=self.seek_to_committed,
        )
        self.thread.taken_from = self.assignment
        self.thread.call_thread = self.call  # type: ignore[method-assign]

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return await function(*args)

    def at(self, tp: TP, position: int) -> None:
        self.assignment.state_value(TopicPartition(*tp)).seek(position)

    def position(self, tp: TP) -> int:
        position: int = self.assignment.state_value(TopicPartition(*tp)).position
        return position

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.assignment.state_value(tp).seek(offset)

    def reset(self, tps: list[TopicPartition], strategy: int) -> None:
        assert strategy == OffsetResetStrategy.EARLIEST
        self.reset_to_beginning += tps

    async def seek_to_committed(self) -> dict[TopicPartition, int | None]:
        return self.committed


@pytest.fixture
async def positions(desk: Desk) -> Positions:
    return Positions(desk)


async def test_records_of_a_paused_partition_are_read_again(desk: Desk, positions: Positions) -> None:
    """They were taken, so the position is behind them; nothing else would ever go back where nothing is committed."""
    positions.at(RAW, 13)
    desk.consumer.pause_partitions([RAW])
    await desk.deliver(7, 12)
    assert desk.delivered == []
    assert positions.position(RAW) == 7


@pytest.mark.parametrize("how", ["flow", "generation"])
async def test_what_a_rebalance_cuts_off_is_read_again(desk: Desk, positions: Positions, how: str) -> None:
    positions.at(RAW, 13)
    if how == "flow":
        desk.consumer.stop_flow()
    await desk.deliver(0, 12, generation=1 if how == "flow" else 0)
    assert desk.delivered == []
    assert desk.consumer._in_flight[RAW] == 0
    assert positions.position(RAW) == 0


async def test_a_position_never_goes_forward(desk: Desk, positions: Positions) -> None:
    """The end of a recovery may have gone back further, to what is committed."""
    positions.at(RAW, 3)
    desk.consumer.pause_partitions([RAW])
    await desk.deliver(7, 12)
    assert positions.position(RAW) == 3


async def test_positions_of_another_assignment_are_left_alone(desk: Desk, positions: Positions) -> None:
    positions.at(RAW, 13)
    positions.thread.taken_from = Assignment([TopicPartition(*RAW)])
    desk.consumer.pause_partitions([RAW])
    await desk.deliver(7, 12)
    assert positions.position(RAW) == 13


async def test_a_partition_without_a_commit_is_sought_to_its_beginning(positions: Positions) -> None:
    raw, changelog = TopicPartition(*RAW), TopicPartition(*CHANGELOG)
    positions.committed = {raw: None, changelog: 4}
    assert await positions.thread.seek_to_committed() == positions.committed
    assert positions.reset_to_beginning == [raw]


async def test_the_fetcher_never_sees_the_set_that_a_rebalance_empties(
    positions: Positions,
) -> None:
    """aiokafka takes an empty set for "all partitions", and would give away what nobody delivers."""
    active = {RAW}
    seen: list[set[TP]] = []

    async def fetched_records(partitions: set[TP], **_: Any) -> dict[TP, Any]:
        active.clear()
        seen.append(set(partitions))
        return {}

    positions.fetcher.fetched_records = fetched_records
    positions.fetcher._closed = False
    positions.fetcher._subscriptions = SimpleNamespace(fetch_context=nullcontext)
    positions.thread._consumer._closed = False
    consumer = positions.thread._consumer
    await positions.thread._fetch_records(consumer, active, 0.1)
    assert seen == [{RAW}]
    assert await positions.thread._fetch_records(consumer, set(), 0.1) == {}
    assert seen == [{RAW}], "an empty set asks for nothing"


async def test_whoever_had_nothing_gets_nothing_of_an_assignment_before_its_recovery(desk: Desk) -> None:
    """Its timelines are not read yet; nothing was revoked, so that Faust has not halted the flow."""
    consumer = desk.consumer
    log = Log(desk, committed=0, end=3)
    consumer._set_active_tps(set())
    draining = asyncio.create_task(consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event())))

    async def told(_assigned: set[TP], _generation: int) -> None:
        """What Faust does before it pauses the new partitions takes a while."""
        consumer._drained.set()
        for _ in range(50):
            await asyncio.sleep(0)
        consumer.pause_partitions([RAW])

    consumer._on_partitions_assigned = told
    await consumer.on_partitions_assigned({RAW, CHANGELOG}, 1)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    assert log.read == []
    assert desk.delivered == []


class Log:
    """A partition of a broker, and the consumer's thread that reads it: each answer takes a few turns of the loop."""

    def __init__(self, desk: Desk, committed: int, end: int) -> None:
        self.position = self._committed = committed
        self._end = end
        self.read: list[range] = []
        desk.consumer._getmany = self.getmany
        desk.consumer.seek_to_committed = self.seek_to_committed

    async def getmany(self, active_partitions: set[TP], **_: float) -> dict[TopicPartition, Any]:
        if RAW not in active_partitions or self.position == self._end:
            await asyncio.sleep(0)
            return {}
        offsets = range(self.position, self._end)
        self.position = self._end
        self.read.append(offsets)
        return {TopicPartition(*RAW): [record(offset) for offset in offsets]}

    async def seek_to_committed(self) -> dict[TP, int]:
        self.position = self._committed
        for _ in range(10):
            await asyncio.sleep(0)
        return {RAW: self._committed}


async def test_what_is_fetched_while_the_flow_stops_is_read_again(desk: Desk) -> None:
    consumer = desk.consumer
    log = Log(desk, committed=289, end=367)

    async def answered_too_late(active_partitions: set[TP], **_: float) -> dict[TopicPartition, Any]:
        fetched = await log.getmany(active_partitions)
        consumer.stop_flow()
        return fetched

    consumer._getmany = answered_too_late
    draining = asyncio.create_task(consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event())))
    for _ in range(50):
        await asyncio.sleep(0)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    assert log.read == [range(289, 367)]
    assert desk.delivered == []
    assert log.position == 289


async def test_what_is_fetched_while_the_end_of_a_recovery_seeks_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust clears the queues of all agents when it resumes the flow, right after it has sought back."""
    app, consumer = desk.consumer.app, desk.consumer
    queue: FlowControlQueue[Any] = FlowControlQueue(flow_control=app.flow_control, clear_on_resume=True)

    async def callback(message: Any) -> None:
        await app.flow_control.acquire()
        queue.put_nowait([one.offset for one in message.value])

    async def nothing() -> None:
        """Stands for what needs a running app."""

    consumer.callback = callback
    log = Log(desk, committed=289, end=367)
    monkeypatch.setattr(consumer, "assignment", lambda: {RAW, CHANGELOG})
    monkeypatch.setattr(app, "_fetcher", SimpleNamespace(maybe_start=nothing), raising=False)
    monkeypatch.setattr(app, "assignor", SimpleNamespace(assigned_standbys=set), raising=False)
    monkeypatch.setattr(app, "on_rebalance_complete", SimpleNamespace(send=nothing))
    app.flow_control.resume()
    consumer.pause_partitions([RAW])
    draining = asyncio.create_task(consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event())))
    tables = SimpleNamespace(values=list, on_actives_ready=lambda: None, on_standbys_ready=lambda: None)
    recovery = Recovery(app, tables)
    monkeypatch.setattr(recovery, "_is_changelog_tp", lambda tp: tp == CHANGELOG)
    await recovery.on_recovery_completed(1)
    for _ in range(50):
        await asyncio.sleep(0)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    assert log.read, "nothing was fetched at all"
    arrived = [queue.get_nowait() for _ in range(queue.qsize())]
    assert arrived[-1:] == [list(range(289, 367))]
