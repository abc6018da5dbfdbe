"""Keeping what a step made of alert books: changelog, then state, and rows beside everything else (docs/adr/0007)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer

from schemas.alerts import AlertRow
from schemas.records import SinkBatch
from streams.agents.alert_books import LARGEST_DEBT, LATEST_KEY, PartitionBooks, encode_latest, encode_owed
from streams.agents.lanes import EXIT_BUG, Batch, Fenced, end_process, insist
from streams.core.alerting.outbox import Waiting, waiting
from streams.core.alerting.shelf import Shelf
from streams.kafka.delivery import deliver

log = logging.getLogger(__name__)

PAYING_PATIENCE: Final = 2.0
"""Seconds that rows have to be written when a worker stops; what is owed then, the next owner writes."""

Store = Callable[[SinkBatch, Batch], Awaitable[None]]
"""Writes rows, for as long as it takes; raises `Fenced` when the partition is lost meanwhile."""

TakeUp = Callable[[int, bytes, Iterable[Waiting]], None]
"""Sees to it that what waits in a book (partition, key) is told."""


class Bookkeeper:
    """Writes books and rows. `take_up` hears of what waits once it is in the changelog, never before."""

    def __init__(
        self,
        *,
        producer: Callable[[], AIOKafkaProducer],
        store: Store,
        changelog: str,
        changelog_written: Callable[[int, int], None],
        take_up: TakeUp,
        paying_patience: float = PAYING_PATIENCE,
    ) -> None:
        self._producer = producer
        self._store = store
        self._changelog = changelog
        self._changelog_written = changelog_written
        self._take_up = take_up
        self._paying_patience = paying_patience
        self._paying: set[asyncio.Task[None]] = set()

    @property
    def is_paying(self) -> bool:
        """Whether rows are being written that are owed."""
        return bool(self._paying)

    async def commit(
        self,
        partition: PartitionBooks,
        batch: Batch,
        shelf: Shelf,
        rows: Sequence[AlertRow],
        *,
        owed_with_others: bool = False,
    ) -> "asyncio.Task[None] | None":
        """Changelog, state; then what waits is taken up. What is returned writes the rows.

        What may be `owed_with_others` needs no debt of its own while there is another one. The partition's lock is
        held. Raises `Fenced` when the partition is lost.
        """
        dated = partition.dated(rows)
        if not dated:
            await self._put(partition, batch, {}, shelf)
            return None
        if len(encode_owed(dated)) > LARGEST_DEBT:
            await self._write_first(partition, batch, shelf, dated)
            return None
        shared = partition.owe_with_others(dated) if owed_with_others else None
        if shared is None:
            await partition.debts.room()
        key, debt = shared or partition.owe(dated)
        await self._put(partition, batch, {key: debt, LATEST_KEY: encode_latest(dated)}, shelf)
        return self._pay(partition, batch, key, dated)

    async def commit_when_paid(
        self, partition: PartitionBooks, batch: Batch, shelf: Shelf, rows: Sequence[AlertRow] = ()
    ) -> None:
        """Rows and debts before books, for once: no owner to come writes what was owed of whoever is forgotten."""
        await partition.debts.all_paid()
        await self._write_first(partition, batch, shelf, partition.dated(rows))

    def inherit(self, partition: PartitionBooks) -> None:
        """Write what an owner before may not have written."""
        for key, rows in partition.inherited.items():
            self._pay(partition, partition.lease, key, rows)

    async def close(self) -> None:
        """Write what can be written in a moment; the rest stays owed in the changelog."""
        if self._paying:
            await asyncio.wait(self._paying, timeout=self._paying_patience)
        unpaid = list(self._paying)
        for task in unpaid:
            task.cancel()
        await asyncio.gather(*unpaid, return_exceptions=True)

    async def _write_first(
        self, partition: PartitionBooks, batch: Batch, shelf: Shelf, dated: tuple[AlertRow, ...]
    ) -> None:
        latest: dict[bytes, bytes] = {}
        if dated:
            await self._store(SinkBatch(alerts=dated), batch)
            latest = {LATEST_KEY: encode_latest(dated)}
        await self._put(partition, batch, latest, shelf)

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
