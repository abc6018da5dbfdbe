"""notify: alerts and acknowledgements become notices, and each destination is told its own.

For one batch of an alerts partition, in this order: decide on an overlay (pure, nothing mutated); books delivered to
the changelog, in front of them the rows that are owed with them (`streams.agents.alert_books`), upon which the overlay
becomes state; then, beside the next batches, rows in ClickHouse; only then the batch is acknowledged (docs/adr/0007).
Telling waits for no row: what waits to be told is part of the books, so a crash forgets none, and a destination that is
down holds up no partition. What came of an attempt goes the same way: changelog, state, rows.

Behind the withdrawals of a customer who is forgotten stands that they are all: then all rows are written, the books go,
once nothing waits in them, with what was owed before, and last it is stored that the partition has forgotten.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from faust.types import TP, AppT

from schemas.alerts import Acknowledgement, AlertRow, alert_key, decode_alert_record
from schemas.erasures import FORGETTING_KEY, ErasureDone, Forgetting, decode_forgetting
from schemas.interaction import Micros
from schemas.notices import Delivered, Notice, Outcome, Passing, Refused
from schemas.records import DeadLetter, SinkBatch
from streams.agents.alert_books import LARGEST_DEBT, LATEST_KEY, PartitionBooks, encode_latest, encode_owed
from streams.agents.lanes import EXIT_BUG, Batch, Fenced, Rest, Unavailable, end_process, insist
from streams.agents.refusals import Refusals, dead_letter_of
from streams.agents.summaries import Part, joined, of_one_incident
from streams.agents.tellers import Place, Teller
from streams.core.alerting.acknowledge import acknowledge
from streams.core.alerting.book import Decided, decode_book, encode_book, head_of
from streams.core.alerting.decide import decide
from streams.core.alerting.flood import Gate
from streams.core.alerting.forget import books_of, forget
from streams.core.alerting.outbox import (
    Receipt,
    Waiting,
    delivered,
    refused,
    sending,
    unsure,
    waiting,
)
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.shelf import Shelf
from streams.core.alerting.wake import wake
from streams.core.identification.known_erasures import Forgotten
from streams.kafka.delivery import deliver
from streams.kafka.store import State

log = logging.getLogger(__name__)

DUE_AT_ONCE: Final = 1_000
"""Books that one step wakes; the rest follow in the next."""

PATIENCE: Final = 30.0
"""Seconds that what came of an attempt waits for a rebalance to end; then the next owner says it again."""


CLOSING_PATIENCE: Final = 10.0
"""Seconds that destinations have to hear that the findings of a customer who is forgotten are withdrawn."""

PAYING_PATIENCE: Final = 2.0
"""Seconds that rows have to be written when a worker stops; what is owed then, the next owner writes."""


class Erasures(Protocol):
    """What this worker knows of erasures (`streams.agents.knowledge`)."""

    async def read_to_end(self) -> None:
        """Return when the logs are read to where they end now."""

    def erasure(self, id_: str, /) -> Forgotten | None:
        """A complete erasure."""

    def is_of(self, customer: str, customers: frozenset[bytes], /) -> bool:
        """Whether a customer is among the hashes of an erasure."""


class Destination(Protocol):
    """One place that is told."""

    async def send(self, notice: Notice, now: Micros) -> Outcome:
        """Say it once; whatever goes wrong is an outcome, not an exception."""

    async def close(self) -> None:
        """Let go of connections."""


class _Gone:
    """A destination that is configured no more, though something still waits for it."""

    async def send(self, notice: Notice, now: Micros) -> Outcome:  # noqa: ARG002
        return Refused("the destination is configured no more")

    async def close(self) -> None:
        return None


Store = Callable[[SinkBatch, Batch], Awaitable[None]]
"""Writes rows, for as long as it takes; raises `Fenced` when the partition is lost meanwhile."""


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
        self._app = app
        self._policy = policy
        self._destinations = dict(destinations)
        self._books = books
        self._producer = producer
        self._store = store
        self._topic = topic
        self._changelog = changelog
        self._changelog_written = changelog_written
        self._refusals = refusals
        self._clock = clock
        self._first_pause = first_pause
        self._summary_patience = summary_patience
        self._erasures = erasures
        self._closing_patience = closing_patience
        self._paying_patience = paying_patience
        self._summaries: set[tuple[str, str]] = set()
        self._partitions: dict[int, PartitionBooks] = {}
        self._tellers: dict[str, Teller] = {}
        self._paying: set[asyncio.Task[None]] = set()

    async def __call__(self, batch: Batch) -> Rest | None:
        """Handle one batch; what is returned waits for its rows. Raises `Fenced` when the partition is lost."""
        alerts: list[ConsumerRecord] = []
        for record in batch.records:
            if record.key != FORGETTING_KEY:
                alerts.append(record)
                continue
            await self._handle(batch, alerts)  # whose rows are written before anything is forgotten
            alerts = []
            await self._forget(batch, decode_forgetting(record.value))
        rows = await self._handle(batch, alerts)
        batch.check()
        return rows

    async def _handle(self, batch: Batch, records: Sequence[ConsumerRecord]) -> "asyncio.Task[None] | None":
        if not records:
            return None
        partition = self._partition(batch)
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
        return await self._commit(partition, batch, shelf, rows)

    async def _forget(self, batch: Batch, forgetting: Forgetting) -> None:
        """Let go of the books of customers who are forgotten; or say that nothing is left of them here."""
        number = batch.tp.partition
        partition = self._partition(batch)
        if forgetting.done:
            async with partition.lock:
                await self._pay_all(partition, batch, Shelf(partition.stored.get))
            done = tuple(ErasureDone(id_, number) for id_ in forgetting.ids)
            await self._store(SinkBatch(erasures=done), batch)
            return
        is_forgotten = await self._forgotten(batch, forgetting.ids)
        keys = books_of(partition.keys(), is_forgotten)
        until = time.monotonic() + self._closing_patience
        while any(self._waits(partition, key) for key in keys) and time.monotonic() < until:
            await asyncio.sleep(0.1)
            batch.check()
        async with partition.lock:
            shelf = Shelf(partition.stored.get)
            forget(shelf, partition.keys(), is_forgotten)
            await self._pay_all(partition, batch, shelf)

    async def _pay_all(self, partition: PartitionBooks, batch: Batch, shelf: Shelf) -> None:
        """Rows and debts before books, for once: no owner to come writes what was owed of whoever is forgotten."""
        await partition.debts.all_paid()
        await self._put(partition, batch, {}, shelf)

    async def _forgotten(self, batch: Batch, ids: Sequence[str]) -> Callable[[str], bool]:
        """Whether a customer is one of those whom these erasures name."""
        erasures = self._erasures
        if any(erasures.erasure(id_) is None for id_ in ids):
            await insist(self._read_erasures, batch, "topic of erasures")
        known = [erasure for id_ in ids if (erasure := erasures.erasure(id_)) is not None]
        if len(known) < len(ids):
            log.warning("erasures that are not in their log are passed over: %s", ", ".join(ids))
        customers = frozenset[bytes]().union(*(erasure.customers for erasure in known))
        return lambda customer: erasures.is_of(customer, customers)

    async def _read_erasures(self) -> None:
        try:
            await self._erasures.read_to_end()
        except KafkaError as error:
            raise Unavailable(str(error)) from error

    @staticmethod
    def _waits(partition: PartitionBooks, key: bytes) -> bool:
        book = partition.stored.get(key)
        return book is not None and head_of(book).waiting > 0

    async def tick(self) -> None:
        """Wake what is due in the partitions that are ours, and take up what waits in those that have just come."""
        if self._app.rebalancing or self._app.in_recovery:
            return
        ours = sorted(tp for tp in self._app.consumer.assignment() if tp.topic == self._topic)
        for number in self._partitions.keys() - {tp.partition for tp in ours}:
            del self._partitions[number]
        for tp in ours:
            partition = self._partition(self._lease(tp))
            if partition.lock.locked() or partition.debts.is_full:
                continue  # who works on it, and ClickHouse, is not waited for: other partitions go on
            try:
                async with partition.lock:
                    await self._wake(partition)
            except Fenced:
                log.info("partition fenced while waking", extra={"tp": tp})

    def backlog(self) -> dict[str, int]:
        """How many notices wait for each destination here."""
        return {name: teller.backlog for name, teller in self._tellers.items()}

    def failing(self) -> dict[str, int]:
        """Destinations that are down, with the attempts since they last took something."""
        return {name: teller.failures for name, teller in self._tellers.items() if teller.failures}

    async def close(self) -> None:
        """Stop telling, and write what can be written in a moment; what waits stays in the books, what is owed in front
        of them.
        """
        await asyncio.gather(*(teller.close() for teller in self._tellers.values()))
        if self._paying:
            await asyncio.wait(self._paying, timeout=self._paying_patience)
        unpaid = list(self._paying)
        for task in unpaid:
            task.cancel()
        await asyncio.gather(*unpaid, return_exceptions=True)
        await asyncio.gather(*(destination.close() for destination in self._destinations.values()))

    def _lease(self, tp: TP) -> Batch:
        return Batch(self._app, tp, self._app.consumer_generation_id, self._app.rebalancing_count)

    def _partition(self, batch: Batch) -> PartitionBooks:
        number = batch.tp.partition
        partition = self._partitions.get(number)
        if partition is None or not partition.is_of(batch):
            lease = Batch(batch.app, batch.tp, batch.generation, batch.rebalances)
            partition = PartitionBooks(lease, self._books(number))
            self._partitions[number] = partition
            for key, rows in partition.inherited.items():
                self._pay(partition, lease, key, rows)
            for key in partition.waiting:
                self._take_over(partition, key)
                self._take_up(number, key, waiting(decode_book(partition.stored[key])))
        return partition

    def _take_over(self, partition: PartitionBooks, key: bytes) -> None:
        """An owner before may have told what waits, and ended before it was stored: who may have heard that a finding
        stands has to hear its end.
        """
        book = decode_book(partition.stored[key])
        if book.flood is not None:
            return  # a summary is told again under its own name, and by whoever is calm
        for item in waiting(book):
            tried = sending(book, item)
            if tried is not None:
                book = unsure(book, tried.receipt, self._policy).book
        encoded = encode_book(book)
        assert encoded is not None, "something waits in it"
        partition.stored[key] = encoded

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
        await self._commit(partition, partition.lease, shelf, rows + gate.rows)
        for key in due:
            partition.agenda.put(key, shelf.get(key).due)

    async def _commit(
        self,
        partition: PartitionBooks,
        batch: Batch,
        shelf: Shelf,
        rows: Sequence[AlertRow],
        *,
        owed_with_others: bool = False,
    ) -> "asyncio.Task[None] | None":
        """Changelog, state; then what waits is taken up. What is returned writes the rows.

        What may be `owed_with_others` needs no debt of its own while there is another one.
        """
        dated = partition.dated(rows)
        if not dated:
            await self._put(partition, batch, {}, shelf)
            return None
        latest = {LATEST_KEY: encode_latest(dated)}
        if len(encode_owed(dated)) > LARGEST_DEBT:
            await self._store(SinkBatch(alerts=dated), batch)
            await self._put(partition, batch, latest, shelf)
            return None
        shared = partition.owe_with_others(dated) if owed_with_others else None
        if shared is None:
            await partition.debts.room()
        key, debt = shared or partition.owe(dated)
        await self._put(partition, batch, {key: debt, **latest}, shelf)
        return self._pay(partition, batch, key, dated)

    async def _put(
        self, partition: PartitionBooks, batch: Batch, owed: Mapping[bytes, bytes], shelf: Shelf
    ) -> None:
        """What is owed, what is owed no more and the books of a step into the changelog, upon which they are state."""
        number = batch.tp.partition
        books = shelf.changes()
        changes: dict[bytes, bytes | None] = {
            **owed,
            **dict.fromkeys(partition.debts.stale),
            **{key: encoded for key, (_, encoded) in books.items()},
        }
        written: int | None = None
        if changes:
            written = await insist(
                lambda: deliver(self._producer(), self._changelog, number, changes.items()),
                batch,
                "changelog topic",
            )
        batch.check()
        partition.store(changes)
        for key, (book, _) in books.items():
            partition.agenda.put(key, book.due)
            if book.waiting:
                self._take_up(number, key, waiting(book))
        if written is not None:
            self._changelog_written(number, written)

    def _pay(
        self, partition: PartitionBooks, batch: Batch, owed: bytes, rows: Sequence[AlertRow]
    ) -> "asyncio.Task[None]":
        """Write what stands in the changelog as owed under this key, beside everything else."""

        async def pay() -> None:
            try:
                await self._store(SinkBatch(alerts=tuple(rows)), batch)
            except Fenced:
                raise  # the next owner pays
            except Exception:
                log.critical("unforeseen error while writing alerts of %s", batch.tp, exc_info=True)
                end_process(EXIT_BUG)

        task = asyncio.create_task(pay(), name=f"rows of {batch.tp.topic}/{batch.tp.partition}")
        partition.debts.pay(owed, task)
        self._paying.add(task)
        task.add_done_callback(self._paying.discard)
        return task

    def _take_up(self, partition: int, key: bytes, items: Iterable[Waiting]) -> None:
        for item in items:
            teller = self._tellers.get(item.destination)
            if teller is None:
                teller = self._tellers[item.destination] = self._teller(item.destination)
            teller.put(Place(partition, key, item.finding_id))

    def _teller(self, name: str) -> Teller:
        destination = self._destinations.get(name) or _Gone()

        async def tell(place: Place) -> Outcome | None:
            return await self._tell(name, destination, place)

        return Teller(name, tell, first_pause=self._first_pause)

    async def _tell(self, name: str, destination: Destination, place: Place) -> Outcome | None:
        partition = self._partitions.get(place.partition)
        if partition is None or not self._is_ours(partition):
            return None  # its next owner tells it
        book = decode_book(partition.stored.get(place.key))
        item = sending(book, Waiting(place.finding_id, name))
        if item is None:
            return None
        if book.flood is not None:
            return await self._tell_summary(name, destination, place)
        outcome = await _attempt(name, destination, item.notice, self._clock())
        await self._settle(place, item.receipt, outcome)
        return outcome

    async def _tell_summary(self, name: str, destination: Destination, place: Place) -> Outcome | None:
        """Say once what all partitions of this worker have to say of one flood, shortly after the first of them."""
        group = (name, place.finding_id)
        if group in self._summaries:
            return None  # whoever is at it takes this part along, or up again
        self._summaries.add(group)
        try:
            await asyncio.sleep(self._summary_patience)
            parts = self._summary_parts(name, place)
            if not parts:
                return None
            standing = self._incidents(name, place)
            parts = of_one_incident(parts, {one for one in standing if one is not None})
            receipt = parts[0].item.receipt
            if receipt.kind == "calmed" and standing.count(receipt.incident) > len(parts):
                outcome: Outcome = Delivered()  # calm here, not everywhere: the incident stays
            else:
                outcome = await _attempt(name, destination, joined(parts), self._clock())
            for where, item in parts:
                await self._settle(where, item.receipt, outcome)
            return outcome
        finally:
            self._summaries.discard(group)
            for where, item in self._summary_parts(name, place):
                self._take_up(where.partition, where.key, [Waiting(item.receipt.finding_id, name)])

    def _summary_parts(self, name: str, place: Place) -> list[Part]:
        """What waits to be said of a flood, in the partitions that are ours; the asking one's first."""
        numbers = sorted(self._partitions, key=lambda number: (number != place.partition, number))
        found = []
        for number in numbers:
            partition = self._partitions[number]
            item = sending(decode_book(partition.stored.get(place.key)), Waiting(place.finding_id, name))
            if item is not None and self._is_ours(partition):
                found.append(Part(place._replace(partition=number), item))
        return found

    def _incidents(self, name: str, place: Place) -> list[int | None]:
        """The incident of each of our partitions that has told of a flood; one of several as often as they are."""
        books = (decode_book(partition.stored.get(place.key)) for partition in self._partitions.values())
        records = [record for book in books if (record := book.record(place.finding_id)) is not None]
        threads = [record.thread(name) for record in records]
        return [thread.incident for thread in threads if thread.knows is not None]

    async def _settle(self, place: Place, receipt: Receipt, outcome: Outcome) -> None:
        """Keep what came of an attempt, under whichever lease the partition is ours by then."""
        if isinstance(outcome, Passing) and not outcome.uncertain:
            return
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            partition = self._partitions.get(place.partition)
            if partition is not None and self._is_ours(partition):
                try:
                    async with partition.lock:
                        shelf = Shelf(partition.stored.get)
                        done = self._after(shelf, place, receipt, outcome)
                        shelf.put(place.key, done.book)
                        await self._commit(
                            partition, partition.lease, shelf, done.rows, owed_with_others=True
                        )
                except Fenced:
                    continue
                return
            if TP(self._topic, place.partition) not in self._app.consumer.assignment() and not (
                self._app.rebalancing or self._app.in_recovery
            ):
                return
            await asyncio.sleep(0.1)

    def _after(self, shelf: Shelf, place: Place, receipt: Receipt, outcome: Outcome) -> Decided:
        book = shelf.get(place.key)
        match outcome:
            case Delivered():
                return delivered(book, receipt, self._clock(), self._policy)
            case Refused(reason):
                log.warning("destination %s refused a notice: %s", receipt.destination, reason)
                return refused(book, receipt, reason, self._clock(), self._policy, word="refused")
            case Passing():
                return unsure(book, receipt, self._policy)

    @staticmethod
    def _is_ours(partition: PartitionBooks) -> bool:
        try:
            partition.lease.check()
        except Fenced:
            return False
        return True


async def _attempt(name: str, destination: Destination, notice: Notice, now: Micros) -> Outcome:
    """Say it once. A fault of a destination fails that notice only: one must not silence all others."""
    try:
        return await destination.send(notice, now)
    except Exception as error:
        log.exception("unforeseen error while telling %s", name)
        return Refused(f"unforeseen {type(error).__name__}: see the worker's log")
