"""Sending many records to one partition, and knowing that they arrived.

`send_batch` of aiokafka costs a few microseconds a record where `send` costs a hundred. Nothing here returns before
the broker has acknowledged with `acks=all`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

Item = tuple[bytes | None, bytes | None]
"""Key and value of a record; a value of None is a tombstone."""


class Group(NamedTuple):
    """Records of one sender, if need be directly behind a record that says something of them."""

    mark: Item | None
    items: Sequence[Item]


async def deliver(
    producer: AIOKafkaProducer, topic: str, partition: int, items: Iterable[Item]
) -> int | None:
    """Send the records in order and wait for the acknowledgement.

    Returns the offset of the last record, None when there was none. Raises aiokafka's `KafkaError` when the broker
    refuses or is away for longer than the producer's timeout; then any prefix may have arrived.
    """
    sending = _Sending(producer, topic, partition)
    for item in items:
        if not sending.append(item):
            await sending.begin_with(item)
    return await sending.end()


async def deliver_groups(
    producer: AIOKafkaProducer, topic: str, partition: int, groups: Iterable[Group]
) -> int | None:
    """Send the records of groups in order and wait for the acknowledgement; gives and raises what `deliver` does.

    A group's mark stands directly before its records, and again wherever another sender's records might come between
    them (the broker keeps a producer's batch together, not several of them).
    """
    sending = _Sending(producer, topic, partition)
    for mark, items in groups:
        lead = () if mark is None else (mark,)
        if mark is not None and not sending.append(mark):
            await sending.begin_with(mark)
        for item in items:
            if not sending.append(item):
                await sending.begin_with(*lead, item)
    return await sending.end()


class _Sending:
    """Records on their way to one partition, in as few batches as they fit in."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer, self._topic, self._partition = producer, topic, partition
        self._builder: BatchBuilder = producer.create_batch()
        self._deliveries: list[Awaitable[RecordMetadata]] = []

    def append(self, item: Item) -> bool:
        """Whether there was room for another record in the batch."""
        return self._builder.append(key=item[0], value=item[1], timestamp=None) is not None

    async def begin_with(self, *items: Item) -> None:
        """These are the first ones of another batch."""
        if self._builder.record_count():
            await self._send()
            self._builder = self._producer.create_batch()
        if not all(map(self.append, items)):
            raise ValueError(f"a record of {len(items[-1][1] or b'')} bytes is larger than a batch may be")

    async def end(self) -> int | None:
        """Wait for all of it; the offset of the last record."""
        count = self._builder.record_count()
        if count:
            await self._send()
        if not self._deliveries:
            return None
        results = await asyncio.gather(*self._deliveries)
        last: int = results[-1].offset + count - 1
        return last

    async def _send(self) -> None:
        self._deliveries.append(
            await self._producer.send_batch(self._builder, self._topic, partition=self._partition)
        )


class SharedDelivery:
    """Delivers groups to the partitions of one topic; those that come while one is under way share the next batch.

    A batch of few records costs a producer and a broker nearly what one of many does. Who sends alone waits for
    nobody.
    """

    def __init__(self, producer: Callable[[], AIOKafkaProducer], topic: str) -> None:
        self._producer, self._topic = producer, topic
        self._waiting: dict[int, list[tuple[Group, asyncio.Future[int]]]] = {}
        self._sending: dict[int, asyncio.Task[None]] = {}

    async def send(self, partition: int, group: Group) -> int:
        """Return when the group is delivered, with an offset that is not before its last record's.

        Raises what `deliver` raises; then any part of it may have arrived. ValueError for a group without records.
        """
        if not group.items:
            raise ValueError("there is nothing to deliver")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(partition, []).append((group, done))
        if partition not in self._sending:
            self._sending[partition] = asyncio.create_task(
                self._send(partition), name=f"delivery to {self._topic}/{partition}"
            )
        return await done

    async def _send(self, partition: int) -> None:
        try:
            while together := self._waiting.pop(partition, None):
                last: int | None = None
                error: BaseException | None = None
                try:
                    groups = [group for group, _ in together]
                    last = await deliver_groups(self._producer(), self._topic, partition, groups)
                except BaseException as caught:
                    error = caught
                for _, done in together:
                    if done.done():
                        continue  # who sent it was cancelled
                    if error is not None:
                        done.set_exception(error)
                    else:
                        assert last is not None
                        done.set_result(last)
                if error is not None and not isinstance(error, Exception):
                    raise error
        finally:
            del self._sending[partition]


async def deliver_with_headers(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
) -> None:
    """Send one record and wait for its acknowledgement: for the few, such as dead letters.

    Raises aiokafka's `KafkaError`, `MessageSizeTooLargeError` among them.
    """
    delivery: Awaitable[RecordMetadata]
    if key is None and value is None:
        # Kafka knows such records, aiokafka's `send` refuses them, its batches do not.
        alone = producer.create_batch()
        alone.append(timestamp=None, key=None, value=None, headers=list(headers))
        delivery = await producer.send_batch(alone, topic, partition=partition)
    else:
        delivery = await producer.send(topic, value, key=key, partition=partition, headers=list(headers))
    await delivery
