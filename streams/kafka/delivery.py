"""Sending many records to one partition, and knowing that they arrived.

`send_batch` of aiokafka costs a few microseconds a record where `send` costs a hundred. Nothing here returns before
the broker has acknowledged with `acks=all`.
"""

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

Item = tuple[bytes | None, bytes | None]
"""Key and value of a record; a value of None is a tombstone."""


async def deliver(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    items: Iterable[Item],
    *,
    behind: Item | None = None,
) -> int | None:
    """Send the records in order and wait for the acknowledgement.

    With `behind`, that record stands directly before the others, and again wherever another sender's records might come
    between them (the broker keeps a producer's batch together, not several of them).

    Returns the offset of the last record, None when there was none. Raises aiokafka's `KafkaError` when the broker
    refuses or is away for longer than the producer's timeout; then any prefix may have arrived.
    """
    deliveries = []
    lead = 0 if behind is None else 1
    builder = _begin(producer, behind)
    for key, value in items:
        if builder.append(key=key, value=value, timestamp=None) is None:
            if builder.record_count() == lead:
                raise ValueError(f"a record of {len(value or b'')} bytes is larger than a batch may be")
            deliveries.append(await producer.send_batch(builder, topic, partition=partition))
            builder = _begin(producer, behind)
            if builder.append(key=key, value=value, timestamp=None) is None:
                raise ValueError(f"a record of {len(value or b'')} bytes is larger than a batch may be")
    count = builder.record_count()
    if count > lead:
        deliveries.append(await producer.send_batch(builder, topic, partition=partition))
    if not deliveries:
        return None
    results = await asyncio.gather(*deliveries)
    last: int = results[-1].offset + count - 1
    return last


def _begin(producer: AIOKafkaProducer, behind: Item | None) -> BatchBuilder:
    builder = producer.create_batch()
    if behind is not None:
        builder.append(key=behind[0], value=behind[1], timestamp=None)
    return builder


async def deliver_with_headers(
    producer: AIOKafkaProducer,
    topic: str,
    records: Sequence[tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]],
) -> None:
    """Send (partition, key, value, headers) one by one and wait for all: for the few, such as dead letters."""
    futures = [
        await producer.send(topic, value, key=key, partition=partition, headers=list(headers))
        for partition, key, value, headers in records
    ]
    await asyncio.gather(*futures)
