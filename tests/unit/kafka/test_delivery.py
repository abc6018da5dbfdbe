"""Delivering with aiokafka's own batch builder: order, limits, and the offset of the last record."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.kafka.delivery import deliver, deliver_with_headers
from tests.unit.agents.fakes import Metadata, Producer

BATCH_BYTES = 1_000


class RecordingBuilder(BatchBuilder):  # type: ignore[misc]
    """aiokafka's own builder, with a memory of what it took."""

    def __init__(self, batch_size: int, compression_type: int) -> None:
        super().__init__(batch_size, compression_type)
        self.items: list[tuple[bytes | None, bytes | None]] = []

    def append(self, *, timestamp: float | None, key: bytes | None, value: bytes | None) -> Any:
        done = super().append(timestamp=timestamp, key=key, value=value)
        if done is not None:
            self.items.append((key, value))
        return done


class Log:
    """A producer with aiokafka's own builders and a broker that appends; may refuse a batch."""

    def __init__(self, refuse: int | None = None) -> None:
        self.batches: list[int] = []
        self.records: list[tuple[bytes | None, bytes | None]] = []
        self._refuse = refuse

    def create_batch(self) -> Any:
        return RecordingBuilder(BATCH_BYTES, 0)

    async def send_batch(self, builder: Any, _topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        assert partition == 3
        future: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
        if self._refuse == len(self.batches):
            future.set_exception(MessageSizeTooLargeError())
        else:
            future.set_result(Metadata(len(self.records)))
        self.batches.append(builder.record_count())
        self.records += builder.items
        return future


async def send(log: Log, items: list[tuple[bytes | None, bytes | None]]) -> int | None:
    producer: Any = log
    return await deliver(producer, "t", 3, items)


async def test_records_arrive_in_order_over_as_many_batches_as_it_takes() -> None:
    log = Log()
    items = [(b"k%d" % number, b"v" * 100) for number in range(50)]
    assert await send(log, list(items)) == 49
    assert log.records == items
    assert len(log.batches) > 5
    assert sum(log.batches) == 50


async def test_nothing_to_deliver_sends_nothing() -> None:
    log = Log()
    assert await send(log, []) is None
    assert log.batches == []


async def test_a_tombstone_has_a_key_and_no_value() -> None:
    log = Log()
    assert await send(log, [(b"gone", None)]) == 0
    assert log.records == [(b"gone", None)]


@pytest.mark.parametrize("size", [BATCH_BYTES, 100 * BATCH_BYTES])
@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_record_larger_than_a_batch_travels_alone(size: int, before: int) -> None:
    log = Log()
    items = [(b"k", b"small")] * before + [(b"k", b"x" * size)] + [(b"k", b"small")]
    assert await send(log, list(items)) == before + 1
    assert log.records == items
    assert 1 in log.batches


async def test_a_batch_that_the_broker_refuses_is_an_error_of_the_whole() -> None:
    log = Log(refuse=1)
    with pytest.raises(MessageSizeTooLargeError):
        await send(log, [(b"k", b"v" * 400)] * 6)


async def test_records_with_headers_name_their_own_partition() -> None:
    producer: Any = Producer()
    await deliver_with_headers(producer, "dead", [(2, b"k", b"v", [("h", b"1")]), (0, None, None, [])])
    assert producer.headers == [("dead", 2, b"k", b"v", [("h", b"1")]), ("dead", 0, None, None, [])]
