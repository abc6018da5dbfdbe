"""The logs of identity, and consumers of them, in memory; they can fail, lag and be compacted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.corrections import Correction, correction_key, encode_correction
from schemas.erasures import Erasure, encode_erasure, erasure_key
from schemas.interaction import DAY
from schemas.links import Record as LinkRecord
from schemas.links import encode_record, record_key
from streams.agents.knowledge import Knowledge
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy
from tests.unit.agents.fakes import HASHES

LINKS = TopicPartition("links", 0)
CORRECTIONS = TopicPartition("corrections", 0)
ERASURES = TopicPartition("erasures", 0)
SIGHTINGS = TopicPartition("sightings", 0)
ALL = (LINKS, CORRECTIONS, ERASURES, SIGHTINGS)


@dataclass
class LogRecord:
    """What is read of aiokafka's record."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


class Logs:
    """A broker with `links`, `corrections`, `erasures` and `sightings`."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[LogRecord]] = {one: [] for one in ALL}
        self.ends = dict.fromkeys(ALL, 0)
        self.held_back = False
        """Fetches return nothing, though there is more."""
        self.failing = 0
        """So many answers are errors."""
        self.opened: list[LogConsumer] = []
        self.news = asyncio.Event()
        self.at_stop: Callable[[], Awaitable[None]] | None = None
        """What stopping a consumer waits for."""

    def append(
        self, where: TopicPartition, key: bytes | None, value: bytes | None, timestamp: int = 0
    ) -> int:
        """Add a record; its offset."""
        offset = self.ends[where]
        self.records[where].append(LogRecord(offset, key, value, timestamp))
        self.ends[where] = offset + 1
        self.news.set()
        return offset

    def link(self, *records: LinkRecord, timestamp: int = 0) -> None:
        """Add records of links."""
        for record in records:
            self.append(LINKS, record_key(record), encode_record(record), timestamp)

    def forget(self, record: LinkRecord, timestamp: int = 0) -> None:
        """Add a tombstone."""
        self.append(LINKS, record_key(record), None, timestamp)

    def correct(self, correction: Correction, timestamp: int = 0) -> None:
        """Add a correction."""
        self.append(CORRECTIONS, correction_key(correction), encode_correction(correction), timestamp)

    def erase(self, *erasures: Erasure) -> None:
        """Add parts of erasures."""
        for one in erasures:
            self.append(ERASURES, erasure_key(one), encode_erasure(one))

    def compact(self) -> None:
        """Keep the last record of each key, at its offset; the newest one stays in any case."""
        last = {record.key: record for record in self.records[LINKS]}
        self.records[LINKS] = sorted(last.values(), key=lambda record: record.offset)

    def release(self) -> None:
        """Fetches return what is there again."""
        self.held_back = False
        self.news.set()

    def consumer(self) -> "LogConsumer":
        """A consumer that is not started."""
        opened = LogConsumer(self)
        self.opened.append(opened)
        return opened

    def knowledge(self, policy: IdentityPolicy = DEFAULT_POLICY) -> Knowledge:
        """What a worker that reads these logs knows."""
        return Knowledge(
            *(one.topic for one in ALL),
            policy=policy,
            kept=37 * DAY,
            hashes=HASHES,
            consumer=self.consumer,
        )


class LogConsumer:
    """aiokafka's consumer, as far as it is used."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.positions: dict[TopicPartition, int] = {}
        self.started = self.stopped = False

    async def start(self) -> None:
        self._may_fail()
        self.started = True

    async def stop(self) -> None:
        self.stopped = True
        if self._logs.at_stop is not None:
            await self._logs.at_stop()

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.positions = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._may_fail()
        return {partition: self._logs.ends[partition] for partition in partitions}

    async def getmany(
        self, *_partitions: TopicPartition, timeout_ms: int = 0
    ) -> dict[TopicPartition, list[Any]]:
        assert self.started
        assert not self.stopped
        self._may_fail()
        found = self._fetched()
        if not found:
            self._logs.news.clear()
            try:
                await asyncio.wait_for(self._logs.news.wait(), timeout_ms / 1000)
            except TimeoutError:
                return {}
            self._may_fail()
            found = self._fetched()
        return found

    def _fetched(self) -> dict[TopicPartition, list[Any]]:
        if self._logs.held_back:
            return {}
        found: dict[TopicPartition, list[Any]] = {}
        for where, position in list(self.positions.items()):
            records = [record for record in self._logs.records[where] if record.offset >= position]
            if records:
                found[where] = list(records)
            # As the broker has it: also past what compaction has removed behind the last record.
            self.positions[where] = max(position, self._logs.ends[where])
        return found

    def _may_fail(self) -> None:
        if self._logs.failing:
            self._logs.failing -= 1
            raise KafkaConnectionError
