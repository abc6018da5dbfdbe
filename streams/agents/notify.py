"""notify: alerts and acknowledgements become notices, and each destination is told its own.

For one batch of an alerts partition, in this order: decide on an overlay (pure, nothing mutated); books delivered to
the changelog, in front of them the rows that are owed with them (`streams.agents.alert_books`), upon which the overlay
becomes state; then, beside the next batches, rows in ClickHouse; only then the batch is acknowledged (docs/adr/0007).

The parts: `alert_partitions` has the books of the partitions that are ours, `bookkeeping` keeps what a step made of
them, `telling` tells it, `alert_forgetting` lets go of customers.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from faust.types import AppT

from schemas.alerts import Acknowledgement, AlertRow, alert_key, decode_alert_record
from schemas.erasures import FORGETTING_KEY, decode_forgetting
from schemas.interaction import Micros
from schemas.records import DeadLetter
from streams.agents.alert_books import PartitionBooks
from streams.agents.alert_forgetting import CLOSING_PATIENCE, AlertForgetting, Erasures
from streams.agents.alert_partitions import AlertPartitions
from streams.agents.bookkeeping import PAYING_PATIENCE, Bookkeeper, Store
from streams.agents.lanes import Batch, Fenced, Rest
from streams.agents.refusals import Refusals, dead_letter_of
from streams.agents.telling import Destination, Telling
from streams.core.alerting.acknowledge import acknowledge
from streams.core.alerting.decide import decide
from streams.core.alerting.flood import Gate
from streams.core.alerting.outbox import Waiting
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.recount import recounted
from streams.core.alerting.shelf import Shelf
from streams.core.alerting.wake import wake
from streams.kafka.store import State

log = logging.getLogger(__name__)

DUE_AT_ONCE: Final = 1_000
"""Books that one step wakes; the rest follow in the next."""


class Notify:
    """The handler of alert batches; `tick` is called every second or so, `close` at the end."""

    def __init__(
        self,
        *,
        app: AppT,
        policy: AlertPolicy,
        destinations: Mapping[str, Destination],
        books: Callable[[int], State],
        producer: Callable[[], AIOKafkaProducer],
        store: Store,
        topic: str,
        changelog: str,
        changelog_written: Callable[[int, int], None],
        refusals: Refusals,
        erasures: Erasures,
        clock: Callable[[], Micros] = lambda: time.time_ns() // 1000,
        first_pause: float = 0.5,
        summary_patience: float = 2.0,
        closing_patience: float = CLOSING_PATIENCE,
        paying_patience: float = PAYING_PATIENCE,
    ) -> None:
        self._policy = policy
        self._refusals = refusals
        self._clock = clock
        self._partitions = AlertPartitions(app, topic, books, self._take_over)
        self._bookkeeper = Bookkeeper(
            producer=producer,
            store=store,
            changelog=changelog,
            changelog_written=changelog_written,
            take_up=self._take_up,
            paying_patience=paying_patience,
        )
        self._telling = Telling(
            self._partitions,
            self._bookkeeper,
            policy,
            destinations,
            clock,
            first_pause=first_pause,
            summary_patience=summary_patience,
        )
        self._forgetting = AlertForgetting(erasures, self._bookkeeper, store, policy, clock, closing_patience)

    @property
    def is_paying(self) -> bool:
        """Whether rows are being written that are owed."""
        return self._bookkeeper.is_paying

    async def __call__(self, batch: Batch) -> Rest | None:
        """Handle one batch; what is returned waits for its rows. Raises `Fenced` when the partition is lost."""
        alerts: list[ConsumerRecord] = []
        for record in batch.records:
            if record.key != FORGETTING_KEY:
                alerts.append(record)
                continue
            await self._handle(batch, alerts)  # whose rows are written before anything is forgotten
            alerts = []
            forgetting = decode_forgetting(record.value)
            await self._forgetting.take_in(forgetting, self._partitions.of(batch), batch)
        rows = await self._handle(batch, alerts)
        batch.check()
        return rows

    async def tick(self) -> None:
        """Wake what is due in the partitions that are ours, and take up what waits in those that have just come."""
        if not self._partitions.is_settled():
            return
        for partition in self._partitions.assigned():
            if partition.lock.locked() or partition.debts.is_full:
                continue  # who works on it, and ClickHouse, is not waited for: other partitions go on
            try:
                async with partition.lock:
                    await self._wake(partition)
            except Fenced:
                log.info("partition fenced while waking", extra={"tp": partition.lease.tp})

    def backlog(self) -> dict[str, int]:
        """How many notices wait for each destination here."""
        return self._telling.backlog()

    def failing(self) -> dict[str, int]:
        """Destinations that are down, with the attempts since they last took something."""
        return self._telling.failing()

    async def close(self) -> None:
        """Stop telling, and write what can be written in a moment; what waits stays in the books, what is owed in front
        of them.
        """
        await self._telling.stop()
        await self._bookkeeper.close()
        await self._telling.close()

    def _take_over(self, partition: PartitionBooks) -> None:
        for key, book in recounted(partition.stored, partition.keys(), self._policy).items():
            partition.replace(key, book)
        self._bookkeeper.inherit(partition)
        self._telling.take_over(partition)

    def _take_up(self, partition: int, key: bytes, items: Iterable[Waiting]) -> None:
        self._telling.take_up(partition, key, items)

    async def _handle(self, batch: Batch, records: Sequence[ConsumerRecord]) -> "asyncio.Task[None] | None":
        if not records:
            return None
        partition = self._partitions.of(batch)
        while True:
            await partition.debts.room()  # without the lock: what came of telling needs no debt of its own
            async with partition.lock:
                if not partition.debts.is_full:
                    return await self._decide(partition, batch, records)

    async def _decide(
        self, partition: PartitionBooks, batch: Batch, records: Sequence[ConsumerRecord]
    ) -> "asyncio.Task[None] | None":
        shelf = Shelf(partition.stored.get)
        rows, letters = self._take_in(records, shelf, self._clock())
        if letters:
            await self._refusals.send(batch, letters)
        return await self._bookkeeper.commit(partition, batch, shelf, rows)

    def _take_in(
        self, records: Iterable[ConsumerRecord], shelf: Shelf, now: Micros
    ) -> tuple[list[AlertRow], list[DeadLetter]]:
        rows: list[AlertRow] = []
        letters: list[DeadLetter] = []
        gate = Gate(shelf, now, self._policy)
        for record in records:
            try:
                said = decode_alert_record(record.value)
                key = alert_key(said)
                book = shelf.get(key)
                if isinstance(said, Acknowledgement):
                    done = acknowledge(book, said, gate, now, self._policy)
                else:
                    done = decide(book, said, gate, now, self._policy)
            except (
                Exception
            ) as error:  # a record that cannot be used is its own dead letter, not its neighbours'
                stage = "decode" if isinstance(error, msgspec.MsgspecError) else "process"
                letters.append(dead_letter_of(record, stage, type(error).__name__, str(error), now))
                continue
            shelf.put(key, done.book)
            rows += done.rows
        return rows + gate.rows, letters

    async def _wake(self, partition: PartitionBooks) -> None:
        now = self._clock()
        due = partition.agenda.take(now, DUE_AT_ONCE)
        if not due:
            return
        shelf = Shelf(partition.stored.get)
        gate = Gate(shelf, now, self._policy)
        rows: list[AlertRow] = []
        for key in due:
            done = wake(shelf.get(key), gate, now, self._policy)
            shelf.put(key, done.book)
            rows += done.rows
        await self._bookkeeper.commit(partition, partition.lease, shelf, rows + gate.rows)
        for key in due:
            partition.agenda.put(key, shelf.get(key).due)
