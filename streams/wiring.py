"""What a worker's parts hold on to of Kafka: names of topics, tables, the producer, and what recovery knows."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

import faust
from aiokafka import AIOKafkaProducer
from faust.types import TP

from schemas.topics import (
    ALERT_BOOKS,
    ALERTS,
    CORRECTIONS,
    DEAD_LETTERS,
    ERASURES,
    IDENTITY,
    INTERACTIONS,
    LINKS,
    RAW,
    SIGHTINGS,
    TIMELINES,
)
from streams.kafka.store import State, TimelineStore


class TopicNames(NamedTuple):
    """Full names of the topics that a worker's agents read and write."""

    raw: tuple[str, ...]
    identity: str
    interactions: str
    timelines: str
    alerts: str
    alert_books: str
    links: str
    corrections: str
    erasures: str
    sightings: str
    dead_letters: str

    @classmethod
    def under(cls, prefix: str) -> Self:
        """The topics of one deployment."""
        return cls(
            raw=tuple(topic.full_name(prefix) for topic in RAW.values()),
            identity=IDENTITY.full_name(prefix),
            interactions=INTERACTIONS.full_name(prefix),
            timelines=TIMELINES.full_name(prefix),
            alerts=ALERTS.full_name(prefix),
            alert_books=ALERT_BOOKS.full_name(prefix),
            links=LINKS.full_name(prefix),
            corrections=CORRECTIONS.full_name(prefix),
            erasures=ERASURES.full_name(prefix),
            sightings=SIGHTINGS.full_name(prefix),
            dead_letters=DEAD_LETTERS.full_name(prefix),
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Topics that others write, whose watermarks say how far time has come."""
        return (*self.raw, self.identity)


class Wiring:
    """One app's topics, tables and producer. Nothing connects by any of this."""

    def __init__(self, app: faust.App, prefix: str, partitions: int) -> None:
        self.app = app
        self.names = TopicNames.under(prefix)
        self.partitions = partitions

    def topic(self, *names: str) -> faust.TopicT:
        """Topics whose records agents get as they are."""
        return self.app.topic(
            *names, key_serializer="raw", value_serializer="raw", partitions=self.partitions
        )

    def table(self, name: str, changelog: str) -> Callable[[int], State]:
        """A table, as the live state of each of its partitions."""
        made = self.app.Table(
            name,
            partitions=self.partitions,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=self.app.topic(
                changelog,
                key_serializer="raw",
                value_serializer="raw",
                partitions=self.partitions,
                acks=False,
                internal=True,
                compacting=True,
                maxsize=131_072,
                allow_empty=True,
            ),
        )
        return partial(_state_of, made)

    def producer(self) -> AIOKafkaProducer:
        """The app's producer, once it is started."""
        return self.app.producer._ensure_producer()

    def changelog_written(self, topic: str, partition: int, offset: int) -> None:
        """What this worker wrote it need not read again at the next rebalance."""
        offsets = self.app.tables.recovery.active_offsets
        tp = TP(topic, partition)
        if tp in offsets:
            offsets[tp] = max(offsets[tp] or 0, offset)

    def is_settled(self) -> bool:
        """Whether no rebalance and no recovery is under way."""
        return not (self.app.rebalancing or self.app.in_recovery)


def _state_of(table: faust.Table, partition: int) -> State:
    store: TimelineStore = table.data
    return store.partition(partition)
