"""identify: raw events become validated interactions, keyed by customer; what does not validate becomes a dead letter.

For one batch of a raw partition, in this order: decode (pure); dead letters delivered; their rows and the ledger in
ClickHouse, and the interactions on their topic; only then acknowledged.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from schemas.codec import Rejected
from schemas.dead_letters import dead_letter_headers
from schemas.interaction import Interaction, Micros, encode_interaction, routing_key
from schemas.records import Coordinates, DeadLetter, SinkBatch
from schemas.topics import partition_of
from streams.agents.lanes import Batch, insist
from streams.agents.marks import OwnMarks
from streams.agents.sink import Epochs, Persister
from streams.kafka.delivery import Item, deliver, deliver_with_headers


class Decode(Protocol):
    """`schemas.codec.Decoder.decode`."""

    def __call__(
        self,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        topic: str,
        partition: int,
        offset: int,
        received_at: Micros | None,
        now: Micros,
    ) -> Interaction | Rejected:
        """The interaction, or why there is none; never raises."""


class Identify:
    """The handler of raw batches."""

    def __init__(
        self,
        *,
        decode: Decode,
        producer: Callable[[], AIOKafkaProducer],
        persister: Persister,
        epochs: Epochs,
        marks: OwnMarks,
        interactions_topic: str,
        dead_letters_topic: str,
        partitions: int,
    ) -> None:
        self._decode = decode
        self._producer = producer
        self._persister = persister
        self._epochs = epochs
        self._marks = marks
        self._interactions_topic = interactions_topic
        self._dead_letters_topic = dead_letters_topic
        self._partitions = partitions

    async def __call__(self, batch: Batch) -> None:
        """Handle one batch; raises `Fenced` when the partition is lost on the way."""
        outgoing, letters, newest = self._decode_all(batch.records)
        if letters:
            await self._send_dead_letters(batch, letters)
        rows = SinkBatch(
            dead_letters=tuple(letters),
            received=tuple(Coordinates(r.topic, r.partition, r.offset) for r in batch.records),
            incarnation=self._epochs.incarnation,
        )
        await asyncio.gather(
            self._persister.persist(rows, batch),
            *(self._forward(batch, partition, items) for partition, items in outgoing.items()),
        )
        batch.check()
        self._marks.read(batch.tp, newest)
        batch.acknowledge()

    def _decode_all(
        self, records: Iterable[ConsumerRecord]
    ) -> tuple[dict[int, list[Item]], list[DeadLetter], int | None]:
        now = time.time_ns() // 1000
        outgoing: dict[int, list[Item]] = defaultdict(list)
        letters: list[DeadLetter] = []
        newest: int | None = None
        decode, partitions = self._decode, self._partitions
        for record in records:
            received_at = record.timestamp * 1000 if record.timestamp >= 0 else None
            result = decode(
                record.value, record.headers, record.topic, record.partition, record.offset, received_at, now
            )
            if isinstance(result, Rejected):
                letters.append(_dead_letter(record, result, now))
                continue
            key = routing_key(result)
            outgoing[partition_of(key, partitions)].append((key, encode_interaction(result)))
            if newest is None or result.occurred_at > newest:
                newest = result.occurred_at
        return outgoing, letters, newest

    async def _send_dead_letters(self, batch: Batch, letters: list[DeadLetter]) -> None:
        records = [
            (letter.partition % self._partitions, letter.key, letter.value, dead_letter_headers(letter))
            for letter in letters
        ]
        await insist(
            lambda: deliver_with_headers(self._producer(), self._dead_letters_topic, records),
            batch,
            "dead letters topic",
        )

    async def _forward(self, batch: Batch, partition: int, items: list[Item]) -> None:
        await insist(
            lambda: deliver(self._producer(), self._interactions_topic, partition, items),
            batch,
            "interactions topic",
        )


def _dead_letter(record: ConsumerRecord, rejected: Rejected, now: int) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        stage=rejected.stage,
        error=rejected.error,
        message=rejected.message,
        occurred_at=now,
    )
