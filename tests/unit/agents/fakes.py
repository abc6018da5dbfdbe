"""What stands in for Faust, the producer and the sink in the agents' unit tests."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from faust.types import TP

from schemas.corrections import Correction, correction_of
from schemas.erasures import Erasure
from schemas.interaction import Interaction
from schemas.links import Link
from schemas.links import Record as LinkRecord
from schemas.records import IdentityChange, IdentityRow, SinkBatch
from sinks.clickhouse.pseudonyms import Pseudonyms
from streams.agents.lanes import Batch
from streams.core.identification.index import Changes, IdentityIndex
from streams.core.identification.known_erasures import Forgotten, KnownErasures

HASHES = Pseudonyms(b"key")
"""How erasures name what is gone."""

HERE = TP("t", 0)


@dataclass
class Record:
    """The attributes of aiokafka's record that the agents read."""

    offset: int
    value: bytes | None = b""
    key: bytes | None = None
    topic: str = "t"
    partition: int = 0
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Message:
    tp: TP
    generation_id: int
    value: list[Record]

    @property
    def offset(self) -> int:
        return self.value[-1].offset


@dataclass
class Event:
    """One fetched batch, as the transport hands it to an agent."""

    message: Message
    acks: list[tuple[TP, int]]

    def ack(self) -> None:
        self.acks.append((self.message.tp, self.message.offset))


@dataclass
class Consumer:
    released: list[tuple[TP, int]] = field(default_factory=list)

    def release(self, tp: TP, offset: int) -> None:
        self.released.append((tp, offset))


@dataclass
class App:
    """The two facts of the fence, what was acknowledged and what was released."""

    rebalancing_count: int = 0
    consumer_generation_id: int = 1
    consumer: Consumer = field(default_factory=Consumer)
    acks: list[tuple[TP, int]] = field(default_factory=list)

    def event(self, *offsets: int, tp: TP = HERE, generation: int = 1) -> Event:
        """A fetched batch of records with these offsets."""
        return Event(Message(tp, generation, [Record(offset) for offset in offsets]), self.acks)

    def batch(self, records: Iterable[Record], tp: TP = HERE, generation: int = 1) -> Batch:
        """A batch of one event, as a lane hands it to a handler."""
        message = Message(tp, generation, list(records))
        app: Any = self
        return Batch(app, tp, generation, self.rebalancing_count, [Event(message, self.acks)], message.value)


Headers = list[tuple[str, bytes]]


class Builder:
    """aiokafka's batch builder, of unlimited size."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None]] = []
        self.headers: list[Headers] = []

    def append(
        self, *, key: bytes | None, value: bytes | None, timestamp: None, headers: Headers | None = None
    ) -> object:
        assert timestamp is None
        self.records.append((key, value))
        self.headers.append(headers or [])
        return object()

    def record_count(self) -> int:
        return len(self.records)


@dataclass
class Metadata:
    offset: int


class Producer:
    """Keeps what it was given, by topic and partition: what has headers in `headers`.

    `before` runs ahead of each delivery and may raise. Like aiokafka's, `send` takes no record of neither key nor
    value, and none of more than `max_bytes`.
    """

    def __init__(self, before: Callable[[str], None] = lambda _topic: None) -> None:
        self.sent: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
        self.headers: list[tuple[str, int, bytes | None, bytes | None, Headers]] = []
        self.max_bytes = 2**20
        self._before = before

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        self._before(topic)
        if any(builder.headers):
            headed = zip(builder.records, builder.headers, strict=True)
            self.headers += [(topic, partition, key, value, headers) for (key, value), headers in headed]
            return _done(Metadata(len(self.headers) - 1))
        log = self.sent.setdefault((topic, partition), [])
        return _done(Metadata(_append(log, builder.records)))

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None,
        partition: int,
        headers: Headers,
    ) -> "asyncio.Future[Metadata]":
        self._before(topic)
        assert key is not None or value is not None, "Need at least one: key or value"
        if len(key or b"") + len(value or b"") > self.max_bytes:
            raise MessageSizeTooLargeError
        self.headers.append((topic, partition, key, value, headers))
        return _done(Metadata(len(self.headers) - 1))


def _append(log: list[Any], records: list[Any]) -> int:
    base = len(log)
    log.extend(records)
    return base


def _done(result: Metadata) -> "asyncio.Future[Metadata]":
    future: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


class Sink:
    """Keeps the batches; `before` runs ahead of each write and may raise."""

    def __init__(self, before: Callable[[SinkBatch], None] = lambda _batch: None) -> None:
        self.written: list[SinkBatch] = []
        self._before = before

    async def write(self, batch: SinkBatch) -> None:
        self._before(batch)
        self.written.append(batch)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class Epochs:
    incarnation: int = 77
    version_base: int = 1_000


def pauses(monkeypatch: Any) -> list[float]:
    """Backoff takes no time; the pauses that were asked for."""
    from streams.agents import lanes

    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    class Asyncio:
        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

    fake: Any = Asyncio()
    fake.sleep = sleep
    monkeypatch.setattr(lanes, "asyncio", fake)
    return asked


class Known:
    """What a worker knows of who is whom; it grows by what a test says, and notes who waited for what."""

    def __init__(self, *records: LinkRecord) -> None:
        self.index = IdentityIndex(records=records)
        self.links_seen = len(records)
        self.corrections_seen = 0
        self.waited: list[int | str] = []
        self._began = len(records)
        self._changes: list[tuple[int, Changes, frozenset[str] | None]] = []
        self._corrections: list[Correction] = []
        self.erasures_seen = 0
        self._erasures = KnownErasures(HASHES)

    def learn(self, *records: LinkRecord) -> None:
        """Read these records of the log of links."""
        for record in records:
            changes = self.index.apply([record])
            holders = self.index.holders(changes)
            self.links_seen += 1
            self._changes.append((self.links_seen, changes, None if holders is None else frozenset(holders)))

    def correct(self, interaction: Interaction) -> None:
        """Read that the interaction, in its revision, corrects earlier ones."""
        correction = correction_of(interaction)
        assert correction is not None
        self._corrections.append(correction)
        self.corrections_seen += 1

    def erase(self, *erasures: Erasure) -> None:
        """Read these parts of erasures."""
        for one in erasures:
            self._erasures.note(one, self.erasures_seen)
            self.erasures_seen += 1

    def is_erased(self, source: str, id_: str) -> bool:
        return self._erasures.is_erased(source, id_)

    def erased_since(self, erasures_seen: int) -> Sequence[Forgotten]:
        return self._erasures.since(erasures_seen)

    def erasure(self, id_: str) -> Forgotten | None:
        return self._erasures.get(id_)

    def is_of(self, customer: str, customers: frozenset[bytes]) -> bool:
        return self._erasures.is_of(customer, customers)

    async def read_to_end(self) -> None:
        self.waited.append("end")

    async def wait_for(self, links_seen: int) -> None:
        self.waited.append(links_seen)

    def correction(self, key: tuple[str, str]) -> Correction | None:
        found = [one for one in self._corrections if one.key == key]
        return max(found, key=lambda one: one.revision, default=None)

    def touched_since(self, links_seen: int) -> frozenset[str] | None:
        if links_seen < self._began:
            return None
        news = [holders for at, _, holders in self._changes if at > links_seen]
        return None if None in news else frozenset().union(*(one for one in news if one is not None))

    def corrected_since(self, corrections_seen: int) -> Sequence[tuple[str, str]]:
        return [one.key for one in self._corrections[corrections_seen:]]

    def changes_since(self, links_seen: int) -> dict[str, IdentityChange]:
        return {
            name: IdentityChange(name, before.customer, after.customer, "merge", 0, "learnt", None)
            for at, changes, _ in self._changes
            if at > links_seen
            for name, (before, after) in changes.items()
        }

    def named_since(self, links_seen: int) -> set[str]:
        return set(self.changes_since(links_seen))

    def rows_of(self, names: Iterable[str]) -> list[IdentityRow]:
        return [IdentityRow(name, *self.index.place(name), 0, ()) for name in names]

    def names(self) -> Iterable[str]:
        return sorted({name for link in self.index.records() for name in names_in(link)})


def names_in(record: LinkRecord) -> Sequence[str]:
    """The identifiers that a record speaks of."""
    return (record.a, record.b) if isinstance(record, Link) else record.identifiers
