"""Lanes: order within a partition, partitions side by side, joining, the fence, and the end of the process."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.agents import lanes
from streams.agents.lanes import EXIT_BUG, Batch, Fenced, Lanes
from tests.unit.agents.fakes import HERE, App, Event

THERE = TP("t", 1)


class Stream:
    """An agent's stream that a test feeds."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, *events: Event) -> None:
        for event in events:
            self._queue.put_nowait(event)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[Any]:
        while (event := await self._queue.get()) is not None:
            yield event


class Gate:
    """A handler that stands still in front of each batch until it is let through."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Batch] = asyncio.Queue()
        self.handled: list[tuple[TP, list[int]]] = []
        self._open = asyncio.Semaphore(0)

    async def __call__(self, batch: Batch) -> None:
        self.arrived.put_nowait(batch)
        await self._open.acquire()
        batch.check()
        self.handled.append((batch.tp, [record.offset for record in batch.records]))

    def let_through(self, number: int = 1) -> None:
        for _ in range(number):
            self._open.release()

    async def next(self) -> Batch:
        return await asyncio.wait_for(self.arrived.get(), 5)


async def idle(road: Lanes, *tps: TP) -> None:
    async with asyncio.timeout(5):
        while not all(map(road.idle, tps)):
            await asyncio.sleep(0)


async def settled() -> None:
    """Everything that may go on has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)


def start(
    app: App, handler: Any, max_records: int = 100, at_once: int = 1
) -> tuple[Stream, Lanes, "asyncio.Task[None]"]:
    stream = Stream()
    road = Lanes(app, handler, max_records=max_records, at_once=at_once)
    return stream, road, asyncio.create_task(road.run(stream.events()))


async def finish(stream: Stream, task: "asyncio.Task[None]") -> None:
    stream.end()
    await asyncio.wait_for(task, 5)


async def test_what_piles_up_behind_a_slow_sink_becomes_one_batch() -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate)
    stream.put(app.event(1, 2))
    await gate.next()
    stream.put(app.event(3), app.event(4, 5), app.event(6))
    await asyncio.sleep(0)
    gate.let_through(2)
    await gate.next()
    await idle(road, HERE)
    assert gate.handled == [(HERE, [1, 2]), (HERE, [3, 4, 5, 6])]
    assert app.acks == [(HERE, 2), (HERE, 3), (HERE, 5), (HERE, 6)]
    assert app.consumer.released == app.acks
    assert road.acknowledged == 2
    await finish(stream, task)


async def test_joining_stops_at_the_limit_but_never_cuts_a_fetched_batch() -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate, max_records=3)
    stream.put(app.event(0), app.event(1, 2), app.event(3), app.event(4), app.event(5, 6, 7, 8), app.event(9))
    gate.let_through(9)
    await asyncio.sleep(0)
    await idle(road, HERE)
    sizes = [len(offsets) for _, offsets in gate.handled]
    assert [offset for _, offsets in gate.handled for offset in offsets] == list(range(10))
    assert max(sizes) == 4
    assert all(size <= 3 or size == 4 for size in sizes)
    await finish(stream, task)


async def test_a_partition_that_waits_does_not_hold_up_another() -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate)
    stream.put(app.event(1), app.event(1, tp=THERE))
    first, second = await gate.next(), await gate.next()
    assert {first.tp, second.tp} == {HERE, THERE}
    gate.let_through(2)
    await idle(road, HERE, THERE)
    await finish(stream, task)


async def test_batches_of_one_partition_never_overlap() -> None:
    app = App()
    under_way: dict[TP, int] = {HERE: 0, THERE: 0}
    order: dict[TP, list[int]] = {HERE: [], THERE: []}

    async def handler(batch: Batch) -> None:
        under_way[batch.tp] += 1
        assert under_way[batch.tp] == 1
        for _ in range(3):
            await asyncio.sleep(0)
        order[batch.tp] += [record.offset for record in batch.records]
        under_way[batch.tp] -= 1

    stream, road, task = start(app, handler, max_records=2)
    for offset in range(40):
        stream.put(app.event(offset), app.event(offset, tp=THERE))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await idle(road, HERE, THERE)
    assert order == {HERE: list(range(40)), THERE: list(range(40))}
    await finish(stream, task)


@pytest.mark.parametrize(
    "lose",
    [lambda app: setattr(app, "rebalancing_count", 1), lambda app: setattr(app, "consumer_generation_id", 2)],
    ids=["rebalance begins", "next generation"],
)
async def test_a_batch_is_abandoned_when_its_partition_is_lost_on_the_way(
    lose: Callable[[App], None],
) -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate)
    stream.put(app.event(1), app.event(2))
    await gate.next()
    lose(app)
    gate.let_through(2)
    await idle(road, HERE)
    assert gate.handled == []
    assert app.acks == []
    assert app.consumer.released == [], "the room may be that of the same records, read again"
    assert road.acknowledged == 0
    await finish(stream, task)


async def test_what_a_batch_waits_for_is_waited_for_beside_the_next_ones_and_all_are_acknowledged_in_order() -> (
    None
):
    app = App()
    ends: list[asyncio.Future[None]] = []
    handled: list[int] = []

    async def handler(batch: Batch) -> "asyncio.Future[None] | None":
        handled.append(batch.last_offset)
        if batch.last_offset == 3:
            return None
        ends.append(asyncio.get_running_loop().create_future())
        return ends[-1]

    stream, road, task = start(app, handler, max_records=1, at_once=3)
    stream.put(*(app.event(number) for number in range(1, 6)))
    await settled()
    assert handled == [1, 2, 3, 4], (
        "no more than three are waited for; the third waits only for those before it"
    )
    ends[1].set_result(None)
    await settled()
    assert (handled, app.acks) == ([1, 2, 3, 4], []), "the first one is waited for"
    ends[0].set_result(None)
    await settled()
    assert (handled, app.acks) == ([1, 2, 3, 4, 5], [(HERE, 1), (HERE, 2), (HERE, 3)])
    assert not road.idle(HERE)
    ends[2].set_result(None)
    ends[3].set_result(None)
    await idle(road, HERE)
    assert app.acks == [(HERE, number) for number in range(1, 6)]
    assert road.acknowledged == 5
    await finish(stream, task)


async def test_a_batch_whose_partition_is_lost_while_it_waits_is_not_acknowledged() -> None:
    app = App()
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(_batch: Batch) -> "asyncio.Future[None]":
        return end

    stream, road, task = start(app, handler, at_once=2)
    stream.put(app.event(1))
    await settled()
    app.consumer_generation_id = 2
    end.set_result(None)
    await idle(road, HERE)
    assert app.acks == []
    assert road.acknowledged == 0
    await finish(stream, task)


async def test_closing_waits_for_what_is_under_way_and_takes_nothing_more() -> None:
    app = App()
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    handled: list[int] = []

    async def handler(batch: Batch) -> "asyncio.Future[None]":
        handled.append(batch.last_offset)
        return end

    stream, road, task = start(app, handler, max_records=1, at_once=2)
    stream.put(*(app.event(number) for number in range(1, 4)))
    await settled()
    closing = asyncio.create_task(road.close(5.0))
    await settled()
    assert not closing.done()
    end.set_result(None)
    await asyncio.wait_for(closing, 5)
    stream.put(app.event(4, tp=THERE))
    await settled()
    assert handled == [1, 2]
    assert app.acks == [(HERE, 1), (HERE, 2)]
    assert road.idle(HERE)
    await finish(stream, task)


async def test_closing_does_not_wait_for_ever() -> None:
    app = App()
    waiting: list[asyncio.Future[None]] = []

    async def handler(_batch: Batch) -> "asyncio.Future[None]":
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    stream, road, task = start(app, handler, at_once=2)
    stream.put(app.event(1))
    await settled()
    await asyncio.wait_for(road.close(0.01), 5)
    assert waiting[0].cancelled()
    assert app.acks == []
    await finish(stream, task)


async def test_somebody_elses_cancellation_ends_the_process_and_not_the_lane_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        raise RuntimeError("the process would be gone")

    monkeypatch.setattr(lanes, "end_process", end)
    app = App()
    theirs: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(_batch: Batch) -> None:
        await theirs  # as of a delivery that a library has given up

    stream, road, _task = start(app, handler)
    stream.put(app.event(1))
    await settled()
    theirs.cancel()
    await idle(road, HERE)
    assert statuses == [EXIT_BUG]
    assert app.acks == []


async def test_an_unforeseen_error_while_a_batch_waits_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        raise asyncio.CancelledError  # the process would be gone

    monkeypatch.setattr(lanes, "end_process", end)
    app = App()
    bug: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(_batch: Batch) -> "asyncio.Future[None]":
        return bug

    stream, road, task = start(app, handler, at_once=2)
    stream.put(app.event(1))
    await settled()
    bug.set_exception(ValueError("a bug"))
    await idle(road, HERE)
    assert statuses == [EXIT_BUG]
    assert app.acks == []
    await finish(stream, task)


async def test_batches_taken_before_and_after_a_rebalance_are_never_joined() -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate)
    stream.put(app.event(1))
    await gate.next()
    stream.put(app.event(2))
    await asyncio.sleep(0)
    app.rebalancing_count += 1
    stream.put(app.event(1, 2))
    await asyncio.sleep(0)
    gate.let_through(3)
    await idle(road, HERE)
    assert gate.handled == [(HERE, [1, 2])]
    await finish(stream, task)


async def test_batches_of_two_generations_are_never_joined() -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate)
    stream.put(app.event(1), app.event(2), app.event(1, 2, generation=2), app.event(3, generation=2))
    app.consumer_generation_id = 2
    gate.let_through(4)
    await asyncio.sleep(0)
    await idle(road, HERE)
    assert gate.handled == [(HERE, [1, 2, 3])]
    assert app.acks == [(HERE, 2), (HERE, 3)]
    await finish(stream, task)


async def test_the_end_of_the_stream_cancels_what_is_under_way_without_acknowledging() -> None:
    app, gate = App(), Gate()
    stream, road, task = start(app, gate)
    stream.put(app.event(1))
    await gate.next()
    await finish(stream, task)
    await idle(road, HERE)
    assert app.acks == []


class Ended(BaseException):
    """What stands in for the end of the process."""


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError(), SystemExit(3)])
async def test_an_unforeseen_error_ends_the_process_and_acknowledges_nothing(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        raise Ended

    monkeypatch.setattr(lanes, "end_process", end)
    app = App()

    async def handler(_batch: Batch) -> None:
        raise error

    road = Lanes(app, handler, max_records=10)
    road._waiting[HERE] = deque([(0, app.event(1))])
    with pytest.raises(Ended):
        await road._lane(HERE)
    assert statuses == [EXIT_BUG]
    assert app.acks == []


def test_end_process_ends_this_process_with_that_status() -> None:
    import subprocess
    import sys

    code = "from streams.agents.lanes import end_process\ntry: end_process(70)\nfinally: print('not reached')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (70, b"")


def test_fence_compares_the_generation_of_the_batch_with_the_group() -> None:
    app = App(consumer_generation_id=4)
    app.batch([], generation=4).check()
    with pytest.raises(Fenced, match="t/0"):
        app.batch([], generation=3).check()


@given(st.lists(st.tuples(st.sampled_from([HERE, THERE]), st.integers(1, 5)), max_size=40), st.integers(1, 9))
def test_every_record_is_handled_once_and_in_order(fetched: list[tuple[TP, int]], limit: int) -> None:
    async def scenario() -> None:
        app = App()
        seen: dict[TP, list[int]] = {HERE: [], THERE: []}

        async def handler(batch: Batch) -> None:
            await asyncio.sleep(0)
            seen[batch.tp] += [record.offset for record in batch.records]

        stream, road, task = start(app, handler, max_records=limit)
        ends = {HERE: 0, THERE: 0}
        for tp, size in fetched:
            stream.put(app.event(*range(ends[tp], ends[tp] + size), tp=tp))
            ends[tp] += size
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
        await idle(road, HERE, THERE)
        assert seen == {tp: list(range(end)) for tp, end in ends.items()}
        await finish(stream, task)

    asyncio.run(scenario())
