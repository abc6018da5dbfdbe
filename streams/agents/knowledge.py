"""What a worker knows of who is whom: the logs of identity, read whole, outside the consumer group.

`links`, `corrections`, `erasures` and `sightings` have one partition each, which every worker reads from the beginning
to the end when it starts and follows from there on, in a task of its own. What is known at one moment is known to all
of the worker's agents: it changes only while they await.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.corrections import Correction, corrected, decode_correction
from schemas.erasures import decode_erasure
from schemas.interaction import Micros
from schemas.links import Name
from schemas.records import IdentityChange, IdentityRow
from schemas.sightings import unpacked_sightings
from schemas.topics import LINKS
from streams.agents.known_links import KnownLinks
from streams.agents.lanes import EXIT_BUG, FIRST_PAUSE, LONGEST_PAUSE, connection_lost, end_process
from streams.core.identification.index import IdentityIndex
from streams.core.identification.known_corrections import KnownCorrections
from streams.core.identification.known_erasures import Forgotten, Hashes, KnownErasures
from streams.core.identification.known_sightings import KnownSightings
from streams.core.identification.policy import IdentityPolicy
from streams.core.identification.rows import identity_row
from streams.kafka.access import KafkaAccess

log = logging.getLogger(__name__)

POLL_MS: Final = 1_000
FETCH_WAIT_MS: Final = 100
"""How long the broker may hold a fetch, and with it what is asked on the same connection."""

LOOK_SECONDS: Final = 5.0
"""How often the ends of the logs are asked for, to know that nothing more is there."""

TAIL: Final = 50_000
"""Records at the end of `links` that a start reads one by one, so that it is known what each of them changed: an owner
before may have died before it told. One costs twice as much as one that is read with all others.
"""

AHEAD: Final = timedelta(hours=1)
"""By so much may the clock of a producer be ahead of this one."""

ANSWER_SECONDS: Final = 10.0
"""An answer that takes longer will not come: everything begins anew with a fresh connection."""


class Consumer(Protocol):
    """What is used of `AIOKafkaConsumer`; records have `offset`, `timestamp`, `key` and `value`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[Any]]: ...
    async def position(self, partition: TopicPartition) -> int: ...
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...


class Ends(NamedTuple):
    """Positions in the logs, in the order in which a reader names them."""

    links: int = 0
    corrections: int = 0
    erasures: int = 0
    sightings: int = 0

    def falls_short_of(self, others: "Ends") -> bool:
        """Whether any of these is less."""
        return (
            self.links < others.links
            or self.corrections < others.corrections
            or self.erasures < others.erasures
            or self.sightings < others.sightings
        )


class LogsMadeAnew(Exception):
    """A log ends before what was read of it: the topic was deleted and made again under a running worker."""


def log_consumer(access: KafkaAccess) -> Consumer:
    """A consumer outside any group; it begins where it is told to."""
    consumer: Consumer = AIOKafkaConsumer(
        **access.for_aiokafka(),
        client_id="touchline-identity",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=8 * 2**20,
        fetch_max_bytes=32 * 2**20,
    )
    return consumer


class Knowledge:
    """Begin with `start`; everything else may then be asked at any time."""

    def __init__(
        self,
        links_topic: str,
        corrections_topic: str,
        erasures_topic: str,
        sightings_topic: str,
        *,
        policy: IdentityPolicy,
        kept: Micros,
        hashes: Hashes,
        consumer: Callable[[], Consumer],
    ) -> None:
        """`kept`: for how long corrections count, as the topic keeps them; `hashes`: how erasures name what is gone;
        `consumer` makes one, not yet started.
        """
        self._links = TopicPartition(links_topic, 0)
        self._corrections = TopicPartition(corrections_topic, 0)
        self._erasures = TopicPartition(erasures_topic, 0)
        self._sightings = TopicPartition(sightings_topic, 0)
        self._logs = [self._links, self._corrections, self._erasures, self._sightings]
        self._kept, self._new_consumer = kept, consumer
        self.known = KnownLinks(policy)
        self.index: IdentityIndex = self.known.index
        """Who is whom, as known at `links_seen`. The same object from the beginning to the end."""
        self.links_seen = 0
        """The offset after the last record read of `links`; 0 while there is none."""
        self._known_corrections = KnownCorrections(kept)
        self.corrections_seen = 0
        """The same of `corrections`."""
        self._hashes = hashes
        self._known_erasures = KnownErasures(hashes)
        self.erasures_seen = 0
        """The same of `erasures`."""
        self.sightings = KnownSightings()
        """Of whom interactions were told first, as known at `sightings_seen`."""
        self.sightings_seen = 0
        """The same of `sightings`."""
        self._consumer: Consumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Ends, asyncio.Future[None]]] = []
        self._proven_at = time.monotonic()

    # --- what is known -------------------------------------------------------------------------------------

    def correction(self, key: tuple[str, str], /) -> Correction | None:
        """The highest correction that is known of the interaction `(source, id)`."""
        return self._known_corrections.get(key)

    def touched_since(self, links_seen: int, /) -> frozenset[Name] | None:
        """Customers whose timelines may hold what belongs elsewhere since that position; None: any customer's."""
        return self.known.chronicle.touched_since(links_seen)

    def corrected_since(self, corrections_seen: int, /) -> Sequence[tuple[str, str]]:
        """The interactions `(source, id)` that were corrected after that position of `corrections`."""
        return self._known_corrections.since(corrections_seen)

    def is_erased(self, source: str, id_: str, /) -> bool:
        """Whether an interaction was forgotten, so that it must not come back."""
        return self._known_erasures.is_erased(source, id_)

    def is_erased_fact(self, source: str, id_: str, /) -> bool:
        """Whether a fact was forgotten."""
        return self._known_erasures.is_erased_fact(source, id_)

    def erased_since(self, erasures_seen: int, /) -> Sequence[Forgotten]:
        """Erasures that became complete, or were published once more, at that position of `erasures` or later."""
        return self._known_erasures.since(erasures_seen)

    def erasure(self, id_: str, /) -> Forgotten | None:
        """A complete erasure."""
        return self._known_erasures.get(id_)

    def is_of(self, customer: Name, customers: frozenset[bytes], /) -> bool:
        """Whether a customer is among the hashes of an erasure."""
        return self._known_erasures.is_of(customer, customers)

    def changes_since(self, links_seen: int, /) -> Mapping[Name, IdentityChange]:
        """Who changed hands after that position; incomplete where `touched_since` answers None."""
        return self.known.chronicle.changes_since(links_seen)

    def named_since(self, links_seen: int, /) -> set[Name]:
        """Identifiers whose row may be another one since that position: those of `changes_since`, and those that were
        linked for the first time, forgotten, or told of. Incomplete where `touched_since` answers None.
        """
        return self.known.chronicle.named_since(links_seen)

    def rows_of(self, names: Iterable[Name], /) -> list[IdentityRow]:
        """The rows of identifiers as known now."""
        return [identity_row(self.index, name) for name in names]

    def names(self) -> Iterable[Name]:
        """Every identifier that is linked."""
        return self.index.names()

    # --- reading -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the logs to the ends found now, however long a broker takes to answer; follow them in a task from then
        on.
        """
        begun = time.monotonic()
        pause = FIRST_PAUSE
        while True:
            try:
                await self._open()
                await self._load()
                break
            except (KafkaError, TimeoutError, OSError, RuntimeError) as error:
                if not _is_passing(error):
                    raise
                log.warning("the logs of identity cannot be read, next attempt in %.1f s: %r", pause, error)
                await self._drop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        log.info(
            "identity: %d identifiers, %d corrections, %d erasures, %d sightings, read in %.1f s",
            len(self.index),
            len(self._known_corrections),
            len(self._known_erasures),
            len(self.sightings),
            time.monotonic() - begun,
        )
        self._proven_at = time.monotonic()
        self._task = asyncio.create_task(self._follow(), name="logs of identity")

    async def read_to_end(self) -> None:
        """Return when the logs are read to where the broker says now that they end.

        Raises `KafkaError` when it does not say; then ask again.
        """
        consumer = self._consumer
        if consumer is None:
            raise KafkaError("the logs of identity are being opened again")
        try:
            ends = await asyncio.wait_for(self._ends(consumer), ANSWER_SECONDS)
        except TimeoutError:
            raise KafkaError("the ends of the logs of identity are not told") from None
        except RuntimeError as error:
            if not connection_lost(error):
                raise
            raise KafkaError("the connection to the logs of identity is lost") from error
        await self._until(self._as_ends(ends))

    async def wait_for(self, links_seen: int) -> None:
        """Return when `links` is read to that position, which must be one that somebody else has read to."""
        if links_seen > self.links_seen:
            await self._until(Ends(links_seen))

    async def wait_for_sightings(self, sightings_seen: int) -> None:
        """Return when `sightings` is read to that position, which must be one that the log has."""
        if sightings_seen > self.sightings_seen:
            await self._until(Ends(sightings=sightings_seen))

    def standing_still(self) -> float:
        """For how many seconds nothing has been heard of the logs, neither a record nor that there is none."""
        return time.monotonic() - self._proven_at

    async def close(self) -> None:
        """Stop reading."""
        while self._task is not None and not self._task.done():
            # On Python 3.11 `asyncio.wait_for` loses a cancellation that comes together with what it waited for.
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=0.1)
        await self._drop()

    # --- within --------------------------------------------------------------------------------------------

    async def _until(self, ends: Ends) -> None:
        if self._seen.falls_short_of(ends):
            heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((ends, heard))
            await heard

    @property
    def _seen(self) -> Ends:
        return Ends(self.links_seen, self.corrections_seen, self.erasures_seen, self.sightings_seen)

    def _as_ends(self, told: Mapping[TopicPartition, int]) -> Ends:
        return Ends(*(told[one] for one in self._logs))

    async def _open(self) -> None:
        consumer = self._new_consumer()
        self._consumer = consumer
        await asyncio.wait_for(consumer.start(), ANSWER_SECONDS)
        consumer.assign(self._logs)
        for one, position in zip(self._logs, self._seen, strict=True):
            consumer.seek(one, position)

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                await asyncio.wait_for(consumer.stop(), ANSWER_SECONDS)
            except (KafkaError, TimeoutError, OSError, RuntimeError) as error:
                if not _is_passing(error):
                    raise
                log.info("the reader of identity did not stop: %r", error)
            except asyncio.CancelledError as error:
                # aiokafka's own, of a fetch from a broker that is gone; or ours?
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                log.info("the reader of identity did not stop: %r", error)

    async def _ends(self, consumer: Consumer) -> dict[TopicPartition, int]:
        return await consumer.end_offsets(self._logs)

    async def _positions(self, consumer: Consumer) -> Ends:
        return Ends(*[await consumer.position(one) for one in self._logs])

    async def _load(self) -> None:
        """From the beginning to the end as of now; everything is placed once, but for the tail of `links`."""
        assert self._consumer is not None
        consumer = self._consumer
        ends = self._as_ends(await asyncio.wait_for(self._ends(consumer), ANSWER_SECONDS))
        entries: list[tuple[bytes | None, bytes | None]] = []
        latest: deque[tuple[int, int]] = deque(maxlen=TAIL)
        corrections, erasures = KnownCorrections(self._kept), KnownErasures(self._hashes)
        sightings = KnownSightings()
        seen = Ends()
        moved = time.monotonic()
        while seen.falls_short_of(ends):
            fetched = await consumer.getmany(timeout_ms=POLL_MS)
            links = fetched.get(self._links, ())
            entries.extend((record.key, record.value) for record in links)
            latest.extend((record.offset, record.timestamp) for record in links)
            for record in fetched.get(self._corrections, ()):
                _note(corrections, record)
            for record in fetched.get(self._erasures, ()):
                _note_erasure(erasures, record)
            for record in fetched.get(self._sightings, ()):
                _note_sightings(sightings, record)
            before, seen = seen, await asyncio.wait_for(self._positions(consumer), ANSWER_SECONDS)
            if seen != before:
                moved = time.monotonic()
            elif time.monotonic() - moved > ANSWER_SECONDS:
                raise TimeoutError("no records come")
        offsets = _never_compacted(latest)
        tail = entries[len(entries) - len(offsets) :]
        del entries[len(entries) - len(offsets) :]
        self.known.load(entries, offsets[0] if offsets else seen.links)
        for entry, offset in zip(tail, offsets, strict=True):
            self.known.take([entry], offset + 1)
        self.known.take((), seen.links)
        self.links_seen, self.corrections_seen, self.erasures_seen, self.sightings_seen = seen
        self._known_corrections, self._known_erasures, self.sightings = corrections, erasures, sightings

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                if self._consumer is None:
                    await self._open()
                await self._read_on()
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                if not _is_passing(error):
                    log.critical("unforeseen error in the logs of identity", exc_info=True)
                    end_process(EXIT_BUG)
                log.warning("the logs of identity are opened again in %.1f s: %r", pause, error)
                await self._drop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _read_on(self) -> None:
        """Read until something is wrong. aiokafka hides most of what is, so the ends are asked for as well."""
        assert self._consumer is not None
        consumer = self._consumer
        looked = 0.0
        while True:
            fetched = await consumer.getmany(timeout_ms=POLL_MS)
            if fetched:
                await self._take(consumer, fetched)
                self._proven_at = time.monotonic()
            elif time.monotonic() - looked > LOOK_SECONDS:
                await self._look(consumer)
                looked = time.monotonic()

    async def _look(self, consumer: Consumer) -> None:
        """Nothing has come: is that all? Raises `TimeoutError` when there is more that does not come."""
        ends = self._as_ends(await asyncio.wait_for(self._ends(consumer), ANSWER_SECONDS))
        for log_, end, seen in zip(self._logs, ends, self._seen, strict=True):
            if end < seen:
                raise LogsMadeAnew(f"{log_.topic} ends before what was read of it: it was made anew")
        fetched = await consumer.getmany(timeout_ms=POLL_MS)
        await self._take(consumer, fetched)
        if not fetched and self._seen.falls_short_of(ends):
            raise TimeoutError("there are records that do not come")
        self._proven_at = time.monotonic()

    async def _take(self, consumer: Consumer, fetched: dict[TopicPartition, list[Any]]) -> None:
        links = fetched.get(self._links, ())
        # Past what compaction has removed behind the last record. They are known by now: nobody is waited for.
        ends = await self._positions(consumer)
        for record in fetched.get(self._erasures, ()):
            _note_erasure(self._known_erasures, record)
        self.erasures_seen = max(self.erasures_seen, ends.erasures)
        for record in fetched.get(self._corrections, ()):
            _note(self._known_corrections, record)
        self.corrections_seen = max(self.corrections_seen, ends.corrections)
        for record in fetched.get(self._sightings, ()):
            _note_sightings(self.sightings, record)
        self.sightings_seen = max(self.sightings_seen, ends.sightings)
        if ends.links > self.links_seen:
            self.known.take([(record.key, record.value) for record in links], ends.links)
            self.links_seen = ends.links
        still: list[tuple[Ends, asyncio.Future[None]]] = []
        for waiting in self._waiting:
            wanted, heard = waiting
            if self._seen.falls_short_of(wanted):
                still.append(waiting)
            elif not heard.done():
                heard.set_result(None)
        self._waiting = still


def _never_compacted(latest: Iterable[tuple[int, int]]) -> list[int]:
    """The offsets of the latest records, given with their timestamps in milliseconds, that are so young that nothing
    before them was removed on their account. What a record says more than the one before it, which compaction removed,
    could not be told from what it repeats.
    """
    assert LINKS.uncompacted is not None
    oldest = (time.time() - (LINKS.uncompacted - AHEAD).total_seconds()) * 1_000
    offsets: list[int] = []
    for offset, timestamp in reversed(list(latest)):
        if timestamp < oldest:
            break
        offsets.append(offset)
    offsets.reverse()
    return offsets


def _is_passing(error: BaseException) -> bool:
    """Whether it is the broker that is away."""
    return isinstance(error, (KafkaError, TimeoutError, OSError)) or connection_lost(error)


def _note(known: KnownCorrections, record: Any) -> None:
    if record.value is None:
        try:
            known.drop(corrected(record.key or b""))
        except ValueError as error:
            log.warning("a record of the log of corrections is skipped: %s", error)
        return
    try:
        correction = decode_correction(record.value)
    except msgspec.DecodeError as error:
        log.warning("a foreign record of the log of corrections is skipped: %s", error)
        return
    known.note(correction, record.offset, record.timestamp * 1_000)


def _note_erasure(known: KnownErasures, record: Any) -> None:
    if record.value is None:
        return  # what was forgotten stays forgotten
    try:
        erasure = decode_erasure(record.value)
    except msgspec.DecodeError as error:
        log.warning("a foreign record of the log of erasures is skipped: %s", error)
        return
    known.note(erasure, record.offset)


def _note_sightings(known: KnownSightings, record: Any) -> None:
    try:
        sightings = unpacked_sightings(record.value or b"")
    except ValueError as error:
        log.warning("a foreign record of the log of sightings is skipped: %s", error)
        return
    for sighting in sightings:
        known.note(sighting)
