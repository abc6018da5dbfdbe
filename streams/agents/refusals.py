"""What cannot be used becomes a dead letter: the record as it came, with the reason."""

from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer
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


class Refusals:
    """Sends dead letters to their topic."""

    def __init__(self, producer: Callable[[], AIOKafkaProducer], topic: str, partitions: int) -> None:
        self._producer, self._topic, self._partitions = producer, topic, partitions

    async def send(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """Deliver them; raises `Fenced` when the partition is lost first."""
        if not letters:
            return
        records = [
            (letter.partition % self._partitions, letter.key, letter.value, dead_letter_headers(letter))
            for letter in letters
        ]
        await insist(
            lambda: deliver_with_headers(self._producer(), self._topic, records), batch, "dead letters topic"
        )
