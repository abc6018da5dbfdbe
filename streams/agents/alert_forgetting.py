"""Forgetting customers in the books of alerts, and saying that nothing is left of them here.

Behind the withdrawals of a customer who is forgotten stands that they are all: then all rows are written, the books go,
once nothing waits in them, with what was owed before, and last it is stored that the partition has forgotten.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from schemas.erasures import ErasureDone, Forgetting
from schemas.interaction import Micros
from schemas.records import SinkBatch
from streams.agents.alert_books import PartitionBooks
from streams.agents.bookkeeping import Bookkeeper, Store
from streams.agents.lanes import Batch, Unavailable, insist
from streams.core.alerting.book import head_of
from streams.core.alerting.forget import books_of, forget
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.shelf import Shelf
from streams.core.identification.known_erasures import Forgotten

log = logging.getLogger(__name__)

CLOSING_PATIENCE: Final = 10.0
"""Seconds that destinations have to hear that the findings of a customer who is forgotten are withdrawn."""


class Erasures(Protocol):
    """What this worker knows of erasures (`streams.agents.knowledge`)."""

    async def read_to_end(self) -> None:
        """Return when the logs are read to where they end now."""

    def erasure(self, id_: str, /) -> Forgotten | None:
        """A complete erasure."""

    def is_of(self, customer: str, customers: frozenset[bytes], /) -> bool:
        """Whether a customer is among the hashes of an erasure."""


class AlertForgetting:
    """Takes in what the alerts topic says about erasures. `patience` is in seconds."""

    def __init__(
        self,
        erasures: Erasures,
        bookkeeper: Bookkeeper,
        store: Store,
        policy: AlertPolicy,
        clock: Callable[[], Micros],
        patience: float = CLOSING_PATIENCE,
    ) -> None:
        self._erasures = erasures
        self._bookkeeper = bookkeeper
        self._store = store
        self._policy = policy
        self._clock = clock
        self._patience = patience

    async def take_in(self, forgetting: Forgetting, partition: PartitionBooks, batch: Batch) -> None:
        """Let go of the books of customers who are forgotten; or say that nothing is left of them here.

        Raises `Fenced` when the partition is lost.
        """
        if forgetting.done:
            await self._say_done(forgetting, partition, batch)
        else:
            await self._empty(forgetting, partition, batch)

    async def _say_done(self, forgetting: Forgetting, partition: PartitionBooks, batch: Batch) -> None:
        async with partition.lock:
            await self._bookkeeper.commit_when_paid(partition, batch, Shelf(partition.stored.get))
        done = tuple(ErasureDone(id_, batch.tp.partition) for id_ in forgetting.ids)
        await self._store(SinkBatch(erasures=done), batch)

    async def _empty(self, forgetting: Forgetting, partition: PartitionBooks, batch: Batch) -> None:
        is_forgotten = await self._forgotten(batch, forgetting.ids)
        keys = books_of(partition.keys(), is_forgotten)
        until = time.monotonic() + self._patience
        while any(_waits(partition, key) for key in keys) and time.monotonic() < until:
            await asyncio.sleep(0.1)
            batch.check()
        async with partition.lock:
            shelf = Shelf(partition.stored.get)
            rows = forget(shelf, partition.keys(), is_forgotten, self._clock(), self._policy)
            await self._bookkeeper.commit_when_paid(partition, batch, shelf, rows)

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


def _waits(partition: PartitionBooks, key: bytes) -> bool:
    book = partition.stored.get(key)
    return book is not None and head_of(book).waiting > 0
