"""One lane a partition: batches of a partition one after the other, partitions side by side.

An agent hands every event to its lane and goes on; the lane joins what has piled up into one batch, so that a slow
sink makes batches larger and not the queue longer. What a batch still has to wait for when it is handled (its rows)
is waited for beside the next ones, up to a number; acknowledged they are in their order. A batch that its owner may no
longer write is abandoned: it was not acknowledged, and whoever owns the partition reads it again.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NoReturn, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError, KafkaUnavailableError
from aiokafka.structs import ConsumerRecord
from faust.types import TP, AppT, EventT

from streams.agents.outages import OUTAGES

log = logging.getLogger(__name__)

T = TypeVar("T")

EXIT_BUG: Final = 70
"""Exit status after an exception that nobody foresaw (sysexits.h: EX_SOFTWARE)."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between attempts at something that is down: doubled each time, up to the longest."""

PASSING: Final = (KafkaTimeoutError, KafkaUnavailableError)
"""Kafka errors that pass by themselves although the library does not call them retriable."""


def connection_lost(error: BaseException) -> bool:
    """Whether aiokafka has written to a connection that is closed already, which uvloop tells by a `RuntimeError`."""
    return isinstance(error, RuntimeError) and "handler is closed" in str(error)


class Fenced(Exception):
    """The partition is no longer ours, or a rebalance is under way: stop, write nothing more."""


class Unavailable(Exception):
    """Something outside is down for now; the attempt may be repeated as it is."""


@dataclass
class Batch:
    """Consecutive records of one partition, read in one generation of the consumer group.

    `rebalances` is how many rebalances had begun when it was taken. `app.rebalancing` would not do: it is still set
    while the first batches after a rebalance are delivered, and nobody would read those again.
    """

    app: AppT
    tp: TP
    generation: int
    rebalances: int
    events: list[EventT] = field(default_factory=list)
    records: list[ConsumerRecord] = field(default_factory=list)

    @property
    def last_offset(self) -> int:
        """The offset of the last record."""
        return int(self.records[-1].offset)

    def check(self) -> None:
        """Raise `Fenced` unless the partition is still ours; called before each side effect."""
        app = self.app
        if app.consumer_generation_id != self.generation or app.rebalancing_count != self.rebalances:
            raise Fenced(f"{self.tp.topic}/{self.tp.partition}")

    def acknowledge(self) -> None:
        """Every effect is durable: let the offset be committed."""
        for event in self.events:
            event.ack()
        self.release()

    def release(self) -> None:
        """Give back the room that the records took in flight."""
        for event in self.events:
            self.app.consumer.release(self.tp, event.message.offset)


Rest = Awaitable[object]
Handler = Callable[[Batch], Awaitable[Rest | None]]
"""Handles one batch. What it returns is waited for beside the next batches of the partition: the batch is acknowledged
once it has ended, and all before it are acknowledged. None: nothing is to be waited for."""


async def finish(batch: Batch, rest: Rest | None, before: Rest | None = None) -> None:
    """Acknowledge a batch that was handled, after the rest of it and after the batch `before`.

    Raises `Fenced` when the partition is lost meanwhile.
    """
    if rest is not None:
        await rest
    if before is not None:
        await before
    batch.check()
    batch.acknowledge()


class Lanes:
    """Dispatches an agent's events to one lane a partition."""

    def __init__(self, app: AppT, handler: Handler, *, max_records: int, at_once: int = 1) -> None:
        """`max_records` one batch has at the most (one fetched batch is never cut); `at_once` batches of a partition
        may be waited for. Those that wait only for the ones before them do not count.
        """
        self._app = app
        self._handler = handler
        self._max_records = max_records
        self._at_once = at_once
        self._waiting: dict[TP, deque[tuple[int, EventT]]] = {}
        self._tasks: dict[TP, asyncio.Task[None]] = {}
        self._finishing: dict[TP, deque[asyncio.Task[None]]] = {}
        self._resting: dict[TP, deque[asyncio.Task[None]]] = {}
        """Of those that finish the ones that have a rest of their own."""
        self._closing = False
        self.acknowledged = 0

    async def run(self, events: AsyncIterator[EventT]) -> None:
        """Take events until the stream ends. Never acknowledges by itself."""
        try:
            async for event in events:
                tp = event.message.tp
                self._waiting.setdefault(tp, deque()).append((self._app.rebalancing_count, event))
                if tp not in self._tasks and not self._closing:
                    self._tasks[tp] = asyncio.create_task(
                        self._lane(tp), name=f"lane {tp.topic}/{tp.partition}"
                    )
        finally:
            for task in self._under_way():
                task.cancel()

    async def close(self, patience: float) -> None:
        """Take no more batches; wait for those under way, so many seconds at the most. What is not acknowledged then
        is read again by whoever owns the partition next.
        """
        self._closing = True
        until = time.monotonic() + patience
        while under_way := self._under_way():
            left = until - time.monotonic()
            if left > 0:
                await asyncio.wait(under_way, timeout=left)
                continue
            for task in under_way:
                task.cancel()
            await asyncio.wait(under_way)
            return

    def _under_way(self) -> list[asyncio.Task[None]]:
        return [*self._tasks.values(), *chain.from_iterable(self._finishing.values())]

    def idle(self, tp: TP) -> bool:
        """Whether nothing that was fetched of this partition is still under way."""
        return tp not in self._tasks and not self._finishing.get(tp)

    async def _lane(self, tp: TP) -> None:
        finishing = self._finishing.setdefault(tp, deque())
        resting = self._resting.setdefault(tp, deque())
        try:
            while self._waiting[tp] and not self._closing:
                if len(resting) >= self._at_once:
                    await asyncio.wait((resting[0],))
                    continue
                batch = self._next_batch(tp)
                try:
                    batch.check()
                    rest = await self._handler(batch)
                except Fenced:
                    _abandoned(tp)
                    continue
                before = finishing[-1] if finishing else None
                if rest is None and before is None:
                    await self._finish(batch, None, None)
                    continue
                task = asyncio.create_task(
                    self._finish(batch, rest, before), name=f"end of a batch of {tp.topic}/{tp.partition}"
                )
                finishing.append(task)
                task.add_done_callback(finishing.remove)
                if rest is not None:
                    resting.append(task)
                    task.add_done_callback(resting.remove)
        except BaseException as error:
            if _is_ours(error):
                raise
            _unforeseen(tp)
        finally:
            self._tasks.pop(tp, None)

    async def _finish(self, batch: Batch, rest: Rest | None, before: Rest | None) -> None:
        try:
            await finish(batch, rest, before)
            self.acknowledged += 1
        except Fenced:
            _abandoned(batch.tp)
        except BaseException as error:
            if _is_ours(error):
                raise
            _unforeseen(batch.tp)

    def _next_batch(self, tp: TP) -> Batch:
        waiting = self._waiting[tp]
        rebalances, first = waiting[0]
        batch = Batch(self._app, tp, first.message.generation_id, rebalances)
        while waiting:
            taken, event = waiting[0]
            records = event.message.value
            if (taken, event.message.generation_id) != (rebalances, batch.generation):
                break
            if batch.records and len(batch.records) + len(records) > self._max_records:
                break
            waiting.popleft()
            batch.events.append(event)
            batch.records.extend(records)
        return batch


def _abandoned(tp: TP) -> None:
    # Its room in flight was given back when the rebalance began.
    log.info("batch abandoned: partition fenced", extra={"tp": tp})


def _is_ours(error: BaseException) -> bool:
    """Whether it is the cancellation of this very task. A cancelled future of somebody else's looks like one, and would
    end the lane without a word, its batch never acknowledged and never read again.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _unforeseen(tp: TP) -> NoReturn:
    log.critical("unforeseen error in %s/%s", tp.topic, tp.partition, exc_info=True)
    end_process(EXIT_BUG)


async def insist(attempt: Callable[[], Awaitable[T]], batch: Batch, what: str) -> T:
    """Repeat the attempt until it succeeds, with capped backoff, while the partition is ours.

    `what` is its name in the log, which tells of it now and then (`streams.agents.outages`).
    Only what may pass by itself is repeated: `Unavailable`, Kafka's retriable errors, a lost connection. Raises
    `Fenced` when the partition is lost meanwhile; any other error is a bug and goes up.
    """
    pause, outage, who = FIRST_PAUSE, OUTAGES.of(what), object()
    try:
        while True:
            batch.check()
            try:
                answer = await attempt()
            except Unavailable as error:
                reason = str(error)
            except KafkaError as error:
                if not (error.retriable or isinstance(error, PASSING)):
                    raise
                reason = repr(error)
            except RuntimeError as error:
                if not connection_lost(error):
                    raise
                reason = repr(error)
            else:
                outage.answered(who)
                return answer
            outage.failed(who, reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
    finally:
        outage.gave_up(who)


def end_process(status: int) -> NoReturn:
    """End the process at once: Faust would acknowledge a batch whose agent raised, which would lose it."""
    logging.shutdown()
    os._exit(status)
