"""`streams.kafka.transport.Record` in the place of aiokafka's `ConsumerRecord`: an upgrade that changes how records are
made fails here.
"""

from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.kafka.transport import Record, _record

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


def fetched() -> PartitionRecords:
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=10_000
    )
    builder.append(0, timestamp=1_700_000_000_000, key=b"k", value=b"v", headers=[("content-type", b"x")])
    builder.append(1, timestamp=1_700_000_000_001, key=None, value=None, headers=[])
    return PartitionRecords(
        TP, MemoryRecords(bytes(builder.build())), [], 0, None, None, True, READ_UNCOMMITTED
    )


def attributes(record: Any) -> list[Any]:
    return [getattr(record, name) for name in ATTRIBUTES]


def test_records_made_our_way_are_those_that_the_client_makes() -> None:
    theirs = list(fetched())
    records = fetched()
    records._consumer_record = _record
    ours = list(records)
    assert [type(record) for record in ours] == [Record, Record]
    assert [attributes(record) for record in ours] == [attributes(record) for record in theirs]
    assert records.next_fetch_offset == 2


def test_a_fetch_result_tells_whether_it_has_records_and_holds_them_where_we_look() -> None:
    records = fetched()
    result = FetchResult(TP, assignment=None, partition_records=records, backoff=0)
    assert result.has_more()
    assert result._partition_records is records
    assert not FetchResult(TP, assignment=None, partition_records=None, backoff=0).has_more()
