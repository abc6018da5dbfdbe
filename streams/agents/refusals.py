"""What cannot be used becomes a dead letter: the record as it came, with the reason."""

import asyncio
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord

from schemas.dead_letters import dead_letter_headers
from schemas.interaction import Micros
from schemas.records import DeadLetter
from streams.agents.lanes import Batch, insist
from streams.kafka.delivery import deliver_with_headers


def dead_letter_of(record: ConsumerRecord, stage: str, error: str, message: str, now: Micros) -> DeadLetter:
    """The dead letter of a record; `stage`, `error` and `message` are those of `DeadLetter`."""
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        stage=stage,
        error=error,
        message=message,
        occurred_at=now,
    )


def bare(letter: DeadLetter) -> DeadLetter:
    """The letter without what came: the reason, and the coordinates at which the whole stands."""
    message = f"{letter.message}; too large for this topic: it is whole in ClickHouse and at its coordinates"
    return letter._replace(key=None, value=None, headers=(), message=message)


class Refusals:
    """Sends dead letters to their topic."""

    def __init__(self, producer: Callable[[], AIOKafkaProducer], topic: str, partitions: int) -> None:
        self._producer, self._topic, self._partitions = producer, topic, partitions

    async def send(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """Deliver them; raises `Fenced` when the partition is lost first."""
        if letters:
            await insist(lambda: self._deliver(letters), batch, "dead letters topic")

    async def _deliver(self, letters: Sequence[DeadLetter]) -> None:
        await asyncio.gather(*map(self._keep, letters))

    async def _keep(self, letter: DeadLetter) -> None:
        """Send a letter, bare where the topic cannot hold it.

        With the headers that say why, or out of a compressed batch, it may be larger than any record the broker takes.
        """
        try:
            await self._send(letter)
        except MessageSizeTooLargeError:
            await self._send(bare(letter))

    async def _send(self, letter: DeadLetter) -> None:
        partition, headers = letter.partition % self._partitions, dead_letter_headers(letter)
        await deliver_with_headers(
            self._producer(), self._topic, partition, letter.key, letter.value, headers
        )
