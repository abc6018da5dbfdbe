"""Delivering with aiokafka's own batch builder: order, limits, and the offset of the last record."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.kafka.delivery import Group, SharedDelivery, deliver, deliver_groups, deliver_with_headers
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


async def test_a_groups_mark_stands_before_its_records_in_every_batch() -> None:
    log: Any = Log()
    groups = [Group((b"mark", b"%d" % n), [(b"k%d" % n, b"v" * 100)] * 20) for n in range(3)]
    await deliver_groups(log, "t", 3, groups)
    assert [item for item in log.records if item[0] != b"mark"] == [
        one for group in groups for one in group.items
    ]
    batches, begun = [], 0
    for size in log.batches:
        batches.append(log.records[begun : begun + size])
        begun += size
    assert len(batches) > 3
    for batch in batches:
        assert batch[0][0] == b"mark"
        for key, value in batch:
            if key == b"mark":
                mark = value
            else:
                assert key == b"k" + mark


class SlowLog(Log):
    """A broker that answers when it is told to."""

    def __init__(self, refuse: int | None = None) -> None:
        super().__init__(refuse)
        self.answers: list[tuple[asyncio.Future[Metadata], asyncio.Future[Metadata]]] = []

    async def send_batch(self, builder: Any, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        answer = await super().send_batch(builder, topic, partition=partition)
        told: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
        self.answers.append((told, answer))
        return told

    async def answer(self) -> None:
        told, answer = self.answers.pop(0)
        error = answer.exception()
        if error is None:
            told.set_result(answer.result())
        else:
            told.set_exception(error)
        for _ in range(10):
            await asyncio.sleep(0)


async def sent_together(log: SlowLog) -> list["asyncio.Task[None]"]:
    """Four senders, of whom the last three come while the first one's batch is under way."""
    producer: Any = log
    shared = SharedDelivery(lambda: producer, "t")
    senders = []
    for number in range(4):
        group = Group((b"mark", b"%d" % number), [(b"k%d" % number, b"v")])
        senders.append(asyncio.create_task(shared.send(3, group)))
        for _ in range(10):
            await asyncio.sleep(0)
    return senders


async def test_who_comes_while_a_delivery_is_under_way_shares_the_next_one() -> None:
    log = SlowLog()
    senders = await sent_together(log)
    assert log.batches == [2]
    await log.answer()
    assert [one.done() for one in senders] == [True, False, False, False]
    assert log.batches == [2, 6]
    await log.answer()
    await asyncio.gather(*senders)
    assert [key for key, _ in log.records] == [key for n in range(4) for key in (b"mark", b"k%d" % n)]


async def test_all_who_shared_a_delivery_hear_that_it_failed_and_the_next_one_goes_on() -> None:
    log = SlowLog(refuse=1)
    senders = await sent_together(log)
    await log.answer()
    await log.answer()
    outcomes = await asyncio.gather(*senders, return_exceptions=True)
    assert [type(one) for one in outcomes] == [int, *[MessageSizeTooLargeError] * 3]
    producer: Any = log
    again = asyncio.create_task(
        SharedDelivery(lambda: producer, "t").send(3, Group((b"m", b""), [(b"k", b"v")]))
    )
    for _ in range(10):
        await asyncio.sleep(0)
    await log.answer()
    await again


async def test_nobody_waits_for_a_delivery_that_was_broken_off() -> None:
    class Over(BaseException):
        """What ends a task, and is no error."""

    class Ending(Log):
        async def send_batch(self, *_: Any, **__: Any) -> Any:
            raise Over

    producer: Any = Ending()
    shared = SharedDelivery(lambda: producer, "t")
    group = Group((b"mark", b""), [(b"k", b"v")])
    sending = (shared.send(3, group), shared.send(3, group))
    outcomes = await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), 5)
    assert [type(one) for one in outcomes] == [Over, Over]


async def test_a_sender_that_is_cancelled_takes_nobody_with_it() -> None:
    log = SlowLog()
    senders = await sent_together(log)
    senders[1].cancel()
    await log.answer()
    await log.answer()
    outcomes = await asyncio.gather(*senders, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in outcomes] == [False, True, False, False]


async def test_records_with_headers_name_their_own_partition() -> None:
    producer: Any = Producer()
    await deliver_with_headers(producer, "dead", 2, b"k", b"v", [("h", b"1")])
    await deliver_with_headers(producer, "dead", 0, None, b"", [])
    assert producer.headers == [("dead", 2, b"k", b"v", [("h", b"1")]), ("dead", 0, None, b"", [])]


async def test_a_record_of_neither_key_nor_value_is_delivered_with_its_headers() -> None:
    producer: Any = Producer()
    await deliver_with_headers(producer, "dead", 2, None, None, [("h", b"1")])
    assert producer.headers == [("dead", 2, None, None, [("h", b"1")])]
