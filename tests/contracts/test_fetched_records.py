"""`streams.kafka.fetched` against aiokafka's own way of taking records: an upgrade that changes it fails here."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.memory_records import MemoryRecords as KafkaPythonRecords

from streams.kafka.fetched import FetchedResults, Record
from streams.kafka.foreign_names import RememberedBytes, records_behind, remember_bytes

TP = TopicPartition("touchline.phone", 3)
ATTRIBUTES = (
    "topic",
    "partition",
    "offset",
    "timestamp",
    "timestamp_type",
    "key",
    "value",
    "headers",
    "checksum",
)
every_codec = pytest.mark.parametrize("codec", [0, 1, 2, 3, 4], ids=["none", "gzip", "snappy", "lz4", "zstd"])
CONTROL = 0b100000
"""Bit of a batch's attributes: it marks the end of a transaction."""


@dataclass
class Position:
    """Where a partition is read, as aiokafka's subscription state keeps it."""

    position: int
    paused: bool = False

    def consumed_to(self, position: int) -> None:
        self.position = position


class Assignment:
    active = True

    def __init__(self, position: int) -> None:
        self.state = Position(position)

    def state_value(self, _: TopicPartition) -> Position:
        return self.state


def batch(
    base: int, offsets: Sequence[int], last: int, *, compression: int = 0, control: bool = False
) -> bytes:
    """A batch of the log that begins at `base` and ends at `last`, of which only `offsets` are left."""
    builder = DefaultRecordBatchBuilder(
        2,
        compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=10_000,
    )
    for offset in offsets:
        headers: list[tuple[str, bytes | None]] = [("content-type", b"x")] if offset % 3 else []
        key, value = (None, b"v%d" % offset) if offset % 4 else (b"k", None)
        builder.append(offset - base, 1_700_000_000_000 + offset, key, value, headers)
    raw = builder.build()
    raw[0:8] = base.to_bytes(8, "big")
    raw[23:27] = (last - base).to_bytes(4, "big")
    raw[22] |= CONTROL if control else 0
    return _with_checksum(raw)


def _with_checksum(raw: bytearray) -> bytes:
    from aiokafka.record.util import calc_crc32c

    raw[17:21] = calc_crc32c(bytes(raw[21:])).to_bytes(4, "big")
    return bytes(raw)


def result_of(
    raw: bytes, position: int, isolation: int = READ_UNCOMMITTED, kept: Any = MemoryRecords
) -> FetchResult:
    records = PartitionRecords(TP, kept(raw), [], position, None, None, True, isolation)
    return FetchResult(TP, assignment=Assignment(position), partition_records=records, backoff=0)


def taken(result: FetchResult, portions: Sequence[int | None]) -> list[Any]:
    """What a fetcher sees at each portion, until there is nothing left: the records and the position."""
    seen: list[Any] = []
    for portion in portions:
        if not result.has_more():
            break
        records = result.getall(portion)
        seen.append(
            (
                [[getattr(record, name) for name in ATTRIBUTES] for record in records],
                result._assignment.state.position,
            )
        )
    return seen


def ours(result: FetchResult) -> FetchResult:
    kept: FetchResult = FetchedResults([(TP, result)])[TP]
    return kept


LOG = b"".join(
    (
        batch(10, [10, 11, 12], 12),
        batch(13, [], 13, control=True),
        batch(14, [15, 17], 20),  # compacted: without its first record, and without its last ones
        batch(21, [21, 22, 23, 24], 24, compression=1),
        batch(25, [], 29),  # compacted to nothing
        batch(30, [30], 30),
        batch(31, [31], 33),  # compacted: the position must come to the end all the same
    )
)


@given(
    st.integers(10, 34),
    st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=1, max_size=14).map(
        lambda some: [*some, None]
    ),
)
def test_portions_and_positions_are_those_of_the_client(start: int, portions: list[int | None]) -> None:
    theirs = taken(result_of(LOG, start), portions)
    assert taken(ours(result_of(LOG, start)), portions) == theirs
    assert taken(ours(result_of(LOG, start, kept=RememberedBytes)), portions) == theirs


def test_records_are_structs_with_the_attributes_of_the_clients() -> None:
    records = ours(result_of(LOG, 10)).getall()
    assert {type(record) for record in records} == {Record}
    assert [record.offset for record in records] == [10, 11, 12, 15, 17, 21, 22, 23, 24, 30, 31]


def test_a_corrupt_batch_is_never_passed_over() -> None:
    good, bad = batch(0, [0, 1], 1), bytearray(batch(2, [2, 3], 3))
    bad[-1] ^= 0xFF
    raw = good + bytes(bad) + batch(4, [4], 4)
    result = ours(result_of(raw, 0))
    assert [record.offset for record in result.getall()] == [0, 1]
    assert result._assignment.state.position == 2
    assert not result.has_more(), "the rest is fetched again"
    again = ours(result_of(bytes(bad) + batch(4, [4], 4), 2))
    with pytest.raises(CorruptRecordException):
        again.getall()
    assert again._assignment.state.position == 2
    assert not again.has_more()


@pytest.mark.parametrize("moved", ["paused", "sought"])
def test_nothing_is_taken_of_a_partition_that_was_paused_or_moved(moved: str) -> None:
    result = ours(result_of(LOG, 10))
    if moved == "paused":
        result._assignment.state.paused = True
    else:
        result._assignment.state.position = 0
    assert result.getall() == []
    assert not result.has_more()


def test_a_consumer_of_transactions_keeps_the_clients_way() -> None:
    result = ours(result_of(LOG, 10, READ_COMMITTED))
    assert "getall" not in vars(result)


def test_the_fetcher_keeps_results_where_we_put_ours() -> None:
    assert "_records" in Fetcher.__init__.__code__.co_names
    assert FetchResult.getall.__code__.co_varnames[:2] == ("self", "max_records")


@every_codec
def test_whatever_producers_compress_with_is_read(codec: int) -> None:
    (seen,) = taken(ours(result_of(batch(5, [5, 6, 7], 7, compression=codec), 5)), [None])
    assert [dict(zip(ATTRIBUTES, record, strict=True))["value"] for record in seen[0]] == [
        b"v5",
        b"v6",
        b"v7",
    ]


@every_codec
def test_the_client_of_the_commands_reads_it_too(codec: int) -> None:
    records = KafkaPythonRecords(bytes(batch(5, [5, 6, 7], 7, compression=codec)))
    assert [record.offset for record in records.next_batch()] == [5, 6, 7]


def test_a_batch_takes_a_record_of_neither_key_nor_value() -> None:
    """`streams.kafka.delivery` leans on it: `AIOKafkaProducer.send` refuses such a record."""
    alone = BatchBuilder(10_000, 0)
    assert alone.append(timestamp=None, key=None, value=None, headers=[("why", b"x"), ("empty", None)])
    alone._build()
    ((record,), _), *_ = taken(ours(result_of(bytes(alone._buffer), 0)), [None])
    found = dict(zip(ATTRIBUTES, record, strict=True))
    assert (found["key"], found["value"], found["headers"]) == (None, None, (("why", b"x"), ("empty", None)))


@pytest.mark.parametrize("compression", [0, 1])
@pytest.mark.parametrize("portions", [[None], [1, None], [2, 1, None], [3, 3]])
def test_a_header_name_that_is_no_utf_8_is_escaped_and_its_neighbours_pass(
    compression: int, portions: list[int | None]
) -> None:
    named = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=10_000
    )
    for offset, name in enumerate(["a", "wrong", "b", "wrong", "c"]):
        named.append(offset, 1_700_000_000_000, b"k", b"v%d" % offset, [(name, b"h")])
    raw = bytearray(named.build()).replace(b"wrong", b"wr\xffng")
    if compression:
        raw[61:] = gzip.compress(raw[61:])
        raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
        raw[22] |= compression
    log = _with_checksum(raw) + batch(5, [5], 5)
    seen = taken(ours(result_of(log, 0, kept=RememberedBytes)), portions)
    records = [dict(zip(ATTRIBUTES, record, strict=True)) for found, _ in seen for record in found]
    assert [record["value"] for record in records] == [b"v0", b"v1", b"v2", b"v3", b"v4", b"v5"]
    names = [record["headers"][0][0] for record in records[:5]]
    assert names == ["a", "wr\\xffng", "b", "wr\\xffng", "c"]
    assert seen[-1][1] == 6


def test_the_fetcher_keeps_bytes_where_we_remember_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "MemoryRecords" in Fetcher._proc_fetch_request.__code__.co_names
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    remember_bytes()
    assert fetcher.MemoryRecords is RememberedBytes
    raw = batch(7, [7], 7) + batch(8, [8, 9], 9)
    kept = RememberedBytes(raw)
    assert kept.size_in_bytes() == len(raw)
    seen = []
    while kept.has_next():
        seen.append([record.offset for record in kept.next_batch()])
        assert [record.offset for record in records_behind(None, kept.latest)] == seen[-1]
    assert seen == [[7], [8, 9]]
