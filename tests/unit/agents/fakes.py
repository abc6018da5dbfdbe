"""What stands in for Faust, the producer and the sink in the agents' unit tests."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from faust.types import TP

from schemas.records import SinkBatch
from streams.agents.lanes import Batch

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


class Builder:
    """aiokafka's batch builder, of unlimited size."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None]] = []

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: None) -> object:
        assert timestamp is None
        self.records.append((key, value))
        return object()

    def record_count(self) -> int:
        return len(self.records)


@dataclass
class Metadata:
    offset: int


class Producer:
    """Keeps what it was given, by topic and partition. `before` runs ahead of each delivery and may raise."""

    def __init__(self, before: Callable[[str], None] = lambda _topic: None) -> None:
        self.sent: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
        self.headers: list[tuple[str, int, bytes | None, bytes | None, list[tuple[str, bytes]]]] = []
        self._before = before

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        self._before(topic)
        log = self.sent.setdefault((topic, partition), [])
        return _done(Metadata(_append(log, builder.records)))

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None,
        partition: int,
        headers: list[tuple[str, bytes]],
    ) -> "asyncio.Future[Metadata]":
        self._before(topic)
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
