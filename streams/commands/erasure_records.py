"""What `touchline forget` writes to the broker: the erasure itself, and tombstones for what compacted topics keep.

Each record goes to the partition where the one that it removes may stand; where somebody else chose that, to all.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.corrections import Correction, correction_key
from schemas.erasures import Erasure, encode_erasure, erasure_key
from schemas.identifiers import Identifiers
from schemas.identity import fact_key
from schemas.links import Link, Name, Record, Statement, encode_record, record_key
from schemas.topics import CORRECTIONS, ERASURES, IDENTITY, LINKS, Topic
from streams.commands.failures import CommandFailed
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, BrokerUnreachable, broker_admin

DELIVERY_SECONDS: Final = 60
EVERY_PARTITION: Final = None


class Letter(NamedTuple):
    """One record to be sent. Without a value it removes what stands under the key."""

    topic: Topic
    key: bytes
    value: bytes | None = None
    partition: int | None = 0


def named_in(records: Iterable[Record], names: Collection[Name]) -> list[Record]:
    """The records of the log of links that name one of these identifiers."""
    return [
        record
        for record in records
        if any(
            name in names
            for name in ((record.a, record.b) if isinstance(record, Link) else record.identifiers)
        )
    ]


def removals(records: Iterable[Record], names: Collection[Name]) -> list[Letter]:
    """Take these records out of the log of links, and facts out of the topic that they came from.

    A statement about others too stands again without these names, and without its reason, which may name them.
    """
    letters: list[Letter] = []
    for record in records:
        letters.append(Letter(LINKS, record_key(record)))
        if isinstance(record, Statement):
            letters.append(Letter(IDENTITY, fact_key(record.source, record.id), None, EVERY_PARTITION))
            others = tuple(name for name in record.identifiers if name not in names)
            if len(others) > 1:
                # Behind the tombstone, which makes the workers forget the whole one: two revisions would be united.
                rest = Statement(
                    record.source, record.id, record.revision, record.occurred_at, record.links, others
                )
                letters.append(Letter(LINKS, record_key(rest), encode_record(rest)))
    return letters


def corrections_removed(interactions: Iterable[tuple[str, str, int]]) -> list[Letter]:
    """Tombstones for the corrections of these interactions: (source, id, revision)."""
    return [
        Letter(CORRECTIONS, correction_key(Correction(source, id_, revision, Identifiers())))
        for source, id_, revision in interactions
        if revision
    ]


def erasures(parts: Iterable[Erasure]) -> list[Letter]:
    """The records of an erasure."""
    return [Letter(ERASURES, erasure_key(part), encode_erasure(part)) for part in parts]


class Sender:
    """Sends records, in their order, to a broker. Close it."""

    def __init__(self, access: KafkaAccess, prefix: str) -> None:
        """Raises `BrokerUnreachable` when no broker answers."""
        self._prefix = prefix
        with broker_admin(access):  # it gives up in time, a producer would wait for a broker for ever
            try:
                self._producer = KafkaProducer(
                    **access.for_kafka_python(),
                    client_id="touchline-forget",
                    acks="all",
                    api_version=PROTOCOL,
                    max_in_flight_requests_per_connection=1,
                    delivery_timeout_ms=DELIVERY_SECONDS * 1_000,
                    request_timeout_ms=10_000,
                )
            except (KafkaError, OSError) as error:
                raise BrokerUnreachable(f"no Kafka broker answers at {access} ({error})") from None

    def send(self, letters: Sequence[Letter]) -> dict[str, int]:
        """Return when every in-sync replica has all of them: the offset behind the last of each topic (on topics with
        several partitions: of any). Raises `CommandFailed` when a topic is missing or the broker does not take one.
        """
        ends: dict[str, int] = {}
        try:
            sent = [
                (
                    letter.topic.name,
                    self._producer.send(topic, key=letter.key, value=letter.value, partition=number),
                )
                for letter in letters
                for topic in (letter.topic.full_name(self._prefix),)
                for number in self._partitions(letter, topic)
            ]
            for topic, future in sent:
                ends[topic] = max(ends.get(topic, 0), future.get(timeout=DELIVERY_SECONDS).offset + 1)
        except KafkaError as error:
            raise CommandFailed(
                f"the broker did not take it: {str(error) or type(error).__name__}",
                "run the same command again: it goes on where it stopped",
            ) from None
        return ends

    def close(self) -> None:
        """Disconnect."""
        self._producer.close(timeout=DELIVERY_SECONDS)

    def _partitions(self, letter: Letter, topic: str) -> Iterable[int]:
        if letter.partition is not EVERY_PARTITION:
            return (letter.partition,)
        partitions = self._producer.partitions_for(topic)
        if not partitions:
            raise CommandFailed(f"the topic {topic} does not exist", "run `touchline migrate` first")
        return sorted(partitions)
