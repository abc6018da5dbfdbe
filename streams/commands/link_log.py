"""The log of links as a command reads it: what bears on one identifier, and whether a fact has reached it."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.links import (
    Link,
    Name,
    Record,
    Statement,
    decode_record,
    merged_links,
    merged_statements,
)
from schemas.topics import LINKS
from streams.commands.failures import CommandFailed
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, broker_admin
from streams.kafka.groups import asked_of_coordinator

STANDSTILL_SECONDS: Final = 30.0
"""After so long without a record the log counts as unreadable."""


class LinkLog:
    """The log on a broker. Use `open_log`."""

    def __init__(self, consumer: KafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._where = TopicPartition(topic, 0)
        if not consumer.partitions_for_topic(topic):
            raise CommandFailed(f"the topic {topic} does not exist", "run `touchline migrate` first")
        consumer.assign([self._where])

    def end(self) -> int:
        """The offset after the last record."""
        return int(self._consumer.end_offsets([self._where])[self._where])

    def records(self, on_progress: Callable[[int, int], None] = lambda _done, _all: None) -> list[Record]:
        """Everything that the log holds now, each key once: what was written of it, united.

        `on_progress` is told how many offsets of how many are read.
        """
        begin = int(self._consumer.beginning_offsets([self._where])[self._where])
        end = self.end()
        held: dict[bytes, Record] = {}
        for offset, key, value in self._between(begin, end):
            if value is None:
                held.pop(key, None)
            elif (record := _decoded(value)) is not None:
                held[key] = united(held.get(key), record)
            if offset % 1_000 == 0:
                on_progress(offset - begin, end - begin)
        on_progress(end - begin, end - begin)
        return list(held.values())

    def wait_for(self, source: str, fact: str, since: int, seconds: float) -> int | None:
        """The offset at which a fact stands in the log at `since` or later; None when it has not come in time."""
        deadline = time.monotonic() + seconds
        self._consumer.seek(self._where, since)
        while (left := deadline - time.monotonic()) > 0:
            for record in self._consumer.poll(timeout_ms=int(min(left, 0.5) * 1_000)).get(self._where, ()):
                told = _decoded(record.value) if record.value is not None else None
                if isinstance(told, Statement) and (told.source, told.id) == (source, fact):
                    return int(record.offset)
        return None

    def _between(self, begin: int, end: int) -> Iterator[tuple[int, bytes, bytes | None]]:
        self._consumer.seek(self._where, begin)
        moved = time.monotonic()
        while self._consumer.position(self._where) < end:
            records = self._consumer.poll(timeout_ms=500, max_records=10_000).get(self._where, ())
            if records:
                moved = time.monotonic()
            elif time.monotonic() - moved > STANDSTILL_SECONDS:
                raise CommandFailed(
                    f"{self._where.topic} cannot be read to its end",
                    "see whether the broker is well: `touchline doctor`",
                )
            for record in records:
                if record.offset < end:
                    yield record.offset, record.key or b"", record.value


def united(known: Record | None, record: Record) -> Record:
    """Two records of one key as one."""
    if isinstance(record, Link):
        return merged_links(known, record) if isinstance(known, Link) else record
    return merged_statements(known, record) if isinstance(known, Statement) else record


def bearing_on(records: Iterable[Record], name: Name) -> list[Record]:
    """The records that decide about an identifier: those of all identifiers that links reach from it.

    An index of these answers for it as an index of all does.
    """
    by_name: Mapping[Name, list[Record]] = _by_name(records)
    chosen: dict[int, Record] = {}
    seen, waiting = {name}, [name]
    while waiting:
        for record in by_name.get(waiting.pop(), ()):
            if id(record) not in chosen:
                chosen[id(record)] = record
                for other in _names(record):
                    if other not in seen:
                        seen.add(other)
                        waiting.append(other)
    return list(chosen.values())


def _by_name(records: Iterable[Record]) -> Mapping[Name, list[Record]]:
    by_name: dict[Name, list[Record]] = defaultdict(list)
    for record in records:
        for name in _names(record):
            by_name[name].append(record)
    return by_name


def _names(record: Record) -> tuple[Name, ...]:
    return (record.a, record.b) if isinstance(record, Link) else record.identifiers


def _decoded(value: bytes) -> Record | None:
    """None for foreign bytes, which the workers pass over as well."""
    try:
        return decode_record(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


@contextmanager
def open_log(access: KafkaAccess, prefix: str) -> Iterator[LinkLog]:
    """The log of links for a `with` block. Raises `BrokerUnreachable`, and `CommandFailed` when there is none."""
    with broker_admin(access):  # it gives up in time, a consumer would wait for a broker for ever
        consumer = KafkaConsumer(
            **access.for_kafka_python(),
            client_id="touchline-identity",
            api_version=PROTOCOL,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=10_000,
        )
    try:
        yield LinkLog(consumer, LINKS.full_name(prefix))
    finally:
        consumer.close(autocommit=False)


def workers_of(admin: KafkaAdminClient, group: str) -> int | None:
    """How many members a consumer group has; None where the broker does not tell (the mock)."""
    try:
        described = asked_of_coordinator(lambda: admin.describe_groups([group]))
    except KafkaError:
        return None
    found = described.get(group)
    return None if found is None else len(found.get("members") or ())
