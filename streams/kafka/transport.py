"""The micro-batch transport: Faust agents get one event per poll and partition, its value the list of records.

Stock Faust spends 65-95 microseconds a record on tasks, futures and sensors. Here that cost falls once a batch.
`Transport` is plugged in at Faust's own extension point; it leans on private methods of faust-streaming and aiokafka,
which tests/contracts/test_faust_internals.py guards.

Differences from the stock consumer, each with its reason:

- source partitions deliver batches; changelog partitions too, to a store that understands them (`TimelineStore`);
- records in flight are bounded per partition (Faust's own bound counts events, here batches);
- the offset to commit is the greatest acknowledged one + 1: batches of a partition are acknowledged in order;
- a wait with every partition under back-pressure ends when one drains, not after a second;
- what was fetched and cannot be delivered is fetched again: the position goes back, also where nothing is committed;
- nothing is delivered between the seek that ends a recovery and the resumption of the flow, which empties all queues,
  nor between an assignment and its recovery, also where nothing was assigned before;
- records come as `Record`, a batch made at once, not as `ConsumerRecord` (`streams.kafka.fetched`);
- the fetcher's long poll is shorter, so that a partition that resumes is not late.
"""

import asyncio
import logging
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.interaction import Micros
from streams.kafka.fetched import FetchedResults, Record
from streams.kafka.foreign_names import remember_bytes

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 200
"""How long the broker may hold a fetch that has nothing to return."""

IN_FLIGHT_RECORDS = 20_000
"""Records of one partition that are fetched but not acknowledged; above it the partition is not fetched."""

Records = list[Record]


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    taken_from: Any = None
    """The assignment to which the records fetched last belong."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        remember_bytes()
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, Records]:
        # Runs in the consumer's thread. Nothing is awaited between taking records and noting them, so
        # `read_ends`, which runs there too, never sees a position whose records are not noted.
        # A copy, since Faust empties its set when a rebalance begins, and aiokafka takes an empty one for "all".
        active = set(active_partitions)
        if not active:
            return {}
        fetcher = consumer._fetcher
        if not isinstance(fetcher._records, FetchedResults):
            fetcher._records = FetchedResults(fetcher._records.items())
        fetched: dict[TP, Records] = await super()._fetch_records(consumer, active, timeout, max_records)
        self.taken_from = self._assignment()
        for partition, records in fetched.items():
            self.consumer.fetched[TP(partition.topic, partition.partition)] = records[-1].offset
        return fetched

    def _assignment(self) -> Any:
        """aiokafka's own record of what is assigned; another object after each rebalance."""
        subscription = self._ensure_consumer()._subscription.subscription
        return subscription.assignment if subscription is not None else None

    async def unread(self, offsets: dict[TP, int], taken_from: Any) -> None:
        """Go back to these offsets: what was taken from there has not been delivered. Never forward.

        After a rebalance there is nothing to do: every position is then found anew.
        """
        assignment = self._assignment()
        if assignment is None or assignment is not taken_from:
            return
        for tp, offset in offsets.items():
            partition = TopicPartition(tp.topic, tp.partition)
            state = assignment.state_value(partition) if partition in assignment.tps else None
            if state is not None and state.has_valid_position and state.position > offset:
                self._ensure_consumer()._fetcher.seek_to(partition, offset)

    async def seek_to_committed(self) -> dict[TP, int | None]:
        """Seek every partition to its committed offset; where nothing is committed, to the beginning.

        aiokafka leaves a partition without a commit where it is, behind records that may never have been delivered.
        """
        offsets: dict[TP, int | None] = await self.call_thread(self._seek_to_committed)
        return offsets

    async def _seek_to_committed(self) -> dict[TP, int | None]:
        consumer = self._ensure_consumer()
        offsets: dict[TP, int | None] = await consumer.seek_to_committed()
        assigned = self._assignment()
        if assigned is not None:
            fresh = [tp for tp, offset in offsets.items() if not offset and tp in assigned.tps]
            consumer._fetcher.request_offset_reset(fresh, OffsetResetStrategy.EARLIEST)
        return offsets

    async def read_ends(self) -> dict[TP, Micros]:
        """Partitions whose fetch position has reached the end, with the time of the answer that said so."""
        assignment = self._ensure_consumer()._subscription.subscription.assignment
        ends: dict[TP, Micros] = {}
        for partition in assignment.tps if assignment else ():
            state = assignment.state_value(partition)
            if state is None or not state.has_valid_position or state.timestamp is None:
                continue
            if state.highwater is not None and state.position >= state.highwater:
                ends[TP(partition.topic, partition.partition)] = state.timestamp * 1000
        return ends


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's aiokafka consumer, delivering batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_flight: dict[TP, int] = defaultdict(int)
        self._batch_sizes: dict[tuple[TP, int], int] = {}
        self._drained = asyncio.Event()
        self.fetched: dict[TP, int] = {}
        """Last offset taken from the fetcher; written by the consumer's thread."""
        self._delivered: dict[TP, int] = {}

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's detector of standstills looks at nothing: it fails on a partition whose position is being asked for.

        So it is after each recovery; and our watchdog knows better (`streams.agents.watchdog`).
        """

    async def read_ends(self) -> dict[TP, Micros]:
        """Partitions that are read, handled and acknowledged to their end, and as of when that was known."""
        ends: dict[TP, Micros] = await self._thread.call_thread(self._thread.read_ends)
        return {
            tp: at
            for tp, at in ends.items()
            if not self._in_flight[tp] and self.fetched.get(tp, -1) <= self._delivered.get(tp, -1)
        }

    def fetched_at(self, tp: TP | None = None) -> int | None:
        """When a broker last answered a fetch, of one partition or of any: milliseconds since the epoch."""
        seen = self._seen(tp)
        return max((state.timestamp for state in seen if state.timestamp is not None), default=None)

    def is_held_back(self, tp: TP) -> bool:
        """Whether a partition is not to be fetched, because too much of it is under way."""
        return tp in self._buffered_partitions

    def under_way(self, tp: TP) -> int | None:
        """The last offset that was delivered of a partition while any of it is not acknowledged; else None."""
        return self._delivered.get(tp) if self._in_flight[tp] else None

    def lag(self, tp: TP) -> int:
        """Records of the partition that are not committed, as far as the last fetch knows; 0 when not known."""
        highwater, committed = self.highwater(tp), self._committed_offset[tp]
        return max(0, highwater - committed) if highwater and committed is not None else 0

    def _seen(self, tp: TP | None = None) -> list[Any]:
        assignment = self._thread._ensure_consumer()._subscription.subscription.assignment
        tps = assignment.tps if assignment else ()
        chosen = tps if tp is None else [one for one in tps if (one.topic, one.partition) == tp]
        states = [assignment.state_value(partition) for partition in chosen]
        return [state for state in states if state is not None]

    async def _drain_messages(self, fetcher: Any) -> None:
        stopped, fetcher_stopped = self._stopped.is_set, fetcher._stopped.is_set
        try:
            while not (stopped() or fetcher_stopped()):
                if self.flow_active and not self._get_active_partitions():
                    await self._wait_until_drained()
                    continue
                records, active = await self._wait_next_records(0.5)
                generation = self.app.consumer_generation_id
                if not self.flow_active:
                    await self._seek_back()
                elif records:
                    await self._deliver(records, active or set(), generation)
                await asyncio.sleep(0)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _seek_back(self) -> None:
        """Fetched while the flow was stopped: read it again. The end of the rebalance seeks once more."""
        try:
            await self.perform_seek()
        except KafkaError as error:  # the assignment is changing under our feet
            log.info("not sought back: %r", error)

    async def _deliver(self, fetched: dict[TP, Records], active: set[TP], generation: int) -> None:
        taken_from = self._thread.taken_from
        waiting = {TP(tp.topic, tp.partition): records for tp, records in fetched.items()}
        for tp, records in list(waiting.items()):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break
            if tp not in active and tp not in self._buffered_partitions:
                continue
            del waiting[tp]
            message = self._to_message(tp, records[-1])
            message.key, message.value = None, records
            if not self._is_changelog_tp(tp):
                self._take_in_flight(tp, message.offset, len(records))
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
            self._read_offset[tp] = self._delivered[tp] = message.offset
        if waiting and not self.should_stop:
            undelivered = {tp: records[0].offset for tp, records in waiting.items()}
            await self._thread.call_thread(self._thread.unread, undelivered, taken_from)

    def _take_in_flight(self, tp: TP, offset: int, size: int) -> None:
        # At the end of a recovery Faust resumes the partitions and then seeks: what was fetched in between comes again.
        self._in_flight[tp] += size - self._batch_sizes.get((tp, offset), 0)
        self._batch_sizes[tp, offset] = size
        if self._in_flight[tp] >= IN_FLIGHT_RECORDS:
            self.on_buffer_full(tp)

    def release(self, tp: TP, offset: int) -> None:
        """Give back the room of the batch that ends at `offset`: it is acknowledged, or abandoned."""
        size = self._batch_sizes.pop((tp, offset), 0)
        if not size:
            return
        self._in_flight[tp] -= size
        if self._in_flight[tp] <= IN_FLIGHT_RECORDS // 2:
            self.on_buffer_drop(tp)
            self._drained.set()

    async def _wait_until_drained(self) -> None:
        self._drained.clear()
        await self.wait_first(self._drained.wait(), self.suspend_flow.wait(), timeout=0.5)

    def _forget_in_flight(self) -> None:
        self._batch_sizes.clear()
        self._in_flight.clear()
        self._buffered_partitions.clear()
        self.fetched.clear()
        self._delivered.clear()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Every batch in flight belongs to the generation that ends: nothing of it will be acknowledged."""
        self._forget_in_flight()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Nothing is delivered until the recovery has read what belongs to it.

        Faust halts the flow where partitions are revoked; whoever had none would get records before it pauses them.
        """
        self.stop_flow()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Back to the committed offsets; what is in flight will be read again.

        Nothing is delivered from then on until Faust resumes the flow, which it does next: it empties the queues of all
        agents with that, and what had come into them since the seek would never be read again.
        """
        self.stop_flow()
        for tp in list(self._acked):
            self._acked[tp].clear()
            self._acked_index[tp].clear()
        self._forget_in_flight()
        await super().perform_seek()

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        offset: int = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset


class Transport(driver.Transport):  # type: ignore[misc]
    """The aiokafka transport with the batch consumer."""

    Consumer = Consumer
