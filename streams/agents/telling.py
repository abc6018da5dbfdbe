"""Telling destinations what waits in the books, and keeping what came of it.

What is said is read when its turn comes, so it is always the newest. Telling waits for no row: what waits to be told is
part of the books, so a crash forgets none, and a destination that is down holds up no partition. What came of an
attempt goes the way of every step: changelog, state, rows.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from schemas.interaction import Micros
from schemas.notices import Delivered, Notice, Outcome, Passing, Refused
from streams.agents.alert_books import PartitionBooks
from streams.agents.alert_partitions import AlertPartitions
from streams.agents.bookkeeping import Bookkeeper
from streams.agents.lanes import Fenced
from streams.agents.summaries import Part, elsewhere, joined, known_of, of_one_incident, parts_of
from streams.agents.tellers import Place, Teller
from streams.core.alerting.book import Book, Decided, decode_book
from streams.core.alerting.incidents import postponed, taken_over
from streams.core.alerting.outbox import Receipt, Waiting, delivered, refused, sending, unsure, waiting
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.shelf import Shelf

log = logging.getLogger(__name__)

PATIENCE: Final = 30.0
"""Seconds that what came of an attempt waits for a rebalance to end; then the next owner says it again."""


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


class Telling:
    """The tellers of all destinations, over the books of this worker's partitions.

    `summary_patience`, in seconds, is how long the parts of a flood's summary wait for each other.
    """

    def __init__(
        self,
        partitions: AlertPartitions,
        bookkeeper: Bookkeeper,
        policy: AlertPolicy,
        destinations: Mapping[str, Destination],
        clock: Callable[[], Micros],
        *,
        first_pause: float = 0.5,
        summary_patience: float = 2.0,
    ) -> None:
        self._partitions = partitions
        self._bookkeeper = bookkeeper
        self._policy = policy
        self._destinations = dict(destinations)
        self._clock = clock
        self._first_pause = first_pause
        self._summary_patience = summary_patience
        self._summaries: set[tuple[str, str]] = set()
        self._tellers: dict[str, Teller] = {}

    def backlog(self) -> dict[str, int]:
        """How many notices wait for each destination here."""
        return {name: teller.backlog for name, teller in self._tellers.items()}

    def failing(self) -> dict[str, int]:
        """Destinations that are down, with the attempts since they last took something."""
        return {name: teller.failures for name, teller in self._tellers.items() if teller.failures}

    async def stop(self) -> None:
        """Tell nobody any more; what waits stays in the books."""
        await asyncio.gather(*(teller.close() for teller in self._tellers.values()))

    async def close(self) -> None:
        """Let go of the destinations."""
        await asyncio.gather(*(destination.close() for destination in self._destinations.values()))

    def take_up(self, partition: int, key: bytes, items: Iterable[Waiting]) -> None:
        """See to it that what waits in a book is told, by and by; any number of times is once."""
        for item in items:
            teller = self._tellers.get(item.destination)
            if teller is None:
                teller = self._tellers[item.destination] = self._teller(item.destination)
            teller.put(Place(partition, key, item.finding_id))

    def take_over(self, partition: PartitionBooks) -> None:
        """Take up what an owner before left. It may have told it, and ended before that was stored: who may have heard
        that a finding stands has to hear its end.
        """
        here = self._partitions.numbers()
        for key in partition.guards():
            book = taken_over(decode_book(partition.stored[key]), here, self._policy)
            partition.replace(key, book)
            self.take_up(partition.number, key, waiting(book))
        for key in partition.waiting:
            book = decode_book(partition.stored[key])
            if book.flood is not None:
                continue  # a summary is told again under its own name, and by whoever is calm
            for item in waiting(book):
                tried = sending(book, item)
                if tried is not None:
                    book = unsure(book, tried.receipt, self._policy).book
            partition.replace(key, book)
            self.take_up(partition.number, key, waiting(book))

    def _teller(self, name: str) -> Teller:
        destination = self._destinations.get(name) or _Gone()

        async def tell(place: Place) -> Outcome | None:
            return await self._tell(name, destination, place)

        return Teller(name, tell, first_pause=self._first_pause)

    async def _tell(self, name: str, destination: Destination, place: Place) -> Outcome | None:
        partition = self._partitions.at(place.partition)
        if partition is None:
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
            parts = parts_of(self._partitions, name, place)
            if not parts:
                return None
            known = known_of(self._partitions, name, place)
            parts = of_one_incident(parts, {one.incident for one in known if one.incident is not None})
            others = elsewhere(parts, known)
            if parts[0].item.receipt.kind == "calmed" and any(not one.is_calm for one in others):
                await self._leave(parts)
                return Delivered()
            notice = joined(parts, sum(one.standing for one in others))
            outcome = await _attempt(name, destination, notice, self._clock())
            for where, item in parts:
                await self._settle(where, item.receipt, outcome)
            if notice.kind == "calmed":  # the host heard nothing of it as long as others stood
                for one in others:
                    await self._settle(
                        place._replace(partition=one.partition), one.ended(name, place), outcome
                    )
            return outcome
        finally:
            self._summaries.discard(group)
            for where, item in parts_of(self._partitions, name, place):
                self.take_up(where.partition, where.key, [Waiting(item.receipt.finding_id, name)])

    async def _leave(self, parts: Sequence[Part]) -> None:
        """Nothing of these stands any more, but of others in their incident: that stays, and its host remembers it."""
        for where, item in parts:
            if where.partition == item.receipt.incident:
                after = partial(postponed, receipt=item.receipt, now=self._clock(), policy=self._policy)
                await self._keep(where, after)
            else:
                await self._settle(where, item.receipt, Delivered())

    async def _settle(self, place: Place, receipt: Receipt, outcome: Outcome) -> None:
        """Keep what came of an attempt."""
        if isinstance(outcome, Passing) and not outcome.uncertain:
            return
        await self._keep(place, partial(self._after, receipt, outcome))

    async def _keep(self, place: Place, after: Callable[[Book], Decided]) -> None:
        """Keep what a book is after an attempt, under whichever lease the partition is ours by then."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            partition = self._partitions.at(place.partition)
            if partition is not None:
                try:
                    async with partition.lock:
                        shelf = Shelf(partition.stored.get)
                        done = after(shelf.get(place.key))
                        shelf.put(place.key, done.book)
                        await self._bookkeeper.commit(
                            partition, partition.lease, shelf, done.rows, owed_with_others=True
                        )
                except Fenced:
                    continue
                return
            if self._partitions.is_lost(place.partition):
                return
            await asyncio.sleep(0.1)

    def _after(self, receipt: Receipt, outcome: Outcome, book: Book) -> Decided:
        match outcome:
            case Delivered():
                return delivered(book, receipt, self._clock(), self._policy)
            case Refused(reason):
                log.warning("destination %s refused a notice: %s", receipt.destination, reason)
                return refused(book, receipt, reason, self._clock(), self._policy, word="refused")
            case Passing():
                return unsure(book, receipt, self._policy)


async def _attempt(name: str, destination: Destination, notice: Notice, now: Micros) -> Outcome:
    """Say it once. A fault of a destination fails that notice only: one must not silence all others."""
    try:
        return await destination.send(notice, now)
    except Exception as error:
        log.exception("unforeseen error while telling %s", name)
        return Refused(f"unforeseen {type(error).__name__}: see the worker's log")
