"""Fetched records, taken a whole batch at a time.

aiokafka makes one `ConsumerRecord` after the other, through two generators and a frozen dataclass, in a thread that
shares the interpreter with the agents. Here the records of a batch are made in one pass, as structs with the same
attributes. All else stays aiokafka's: what is fetched and when, checksums, positions.
tests/contracts/test_fetched_records.py holds the two against each other.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, FetchResult
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition

from streams.kafka.foreign_names import RememberedBytes, records_behind


class Record(msgspec.Struct, frozen=True, gc=False):
    """A consumed record: the attributes of aiokafka's `ConsumerRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since the epoch; -1 where the record has none."""
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    checksum: int | None = None
    serialized_key_size: int = -1
    serialized_value_size: int = -1


class FetchedResults(dict[TopicPartition, Any]):
    """What has been fetched and not been taken yet; it stands where aiokafka's fetcher keeps its `FetchResult`s."""

    def __init__(self, results: Iterable[tuple[TopicPartition, Any]] = ()) -> None:
        super().__init__()
        for tp, result in results:
            self[tp] = result

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        """Keep a result: records to be taken batch by batch; an error as it is."""
        if type(result) is FetchResult and _plain(result._partition_records):
            result.getall = BatchwiseTaking(result).take
        super().__setitem__(tp, result)


def _plain(records: Any) -> bool:
    """Whether the records only have to be read: no aborted transactions to skip, nothing to deserialize."""
    return (
        records is not None
        and records._isolation_level == READ_UNCOMMITTED
        and records._key_deserializer is None
        and records._value_deserializer is None
    )


class BatchwiseTaking:
    """Takes the records of one `FetchResult` as its `getall` does; a batch may be taken in several portions."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._batch: Any = None
        self._rest: Iterator[Record] = iter(())

    def take(self, max_records: int | None = None) -> list[Record]:
        """The next records in order, at most so many, and the position behind them; none when that has been moved.

        Raises `CorruptRecordException` when a checksum is wrong, once all that stands before has been taken; what
        was fetched is dropped then, so that the next fetch reads from there again.
        """
        result = self._result
        tp: TopicPartition = result._topic_partition
        if not result.check_assignment(tp) or not result.has_more():
            return []
        fetched = result._partition_records
        taken: list[Record] = []
        while max_records is None or len(taken) < max_records:
            try:
                if self._batch is None and not self._open_next(tp, fetched):
                    result._update_position()
                    result._partition_records = None
                    return taken
            except CorruptRecordException:
                result._update_position()
                result._partition_records = None
                if taken:
                    return taken
                raise
            taken += self._portion(fetched, None if max_records is None else max_records - len(taken))
        result._update_position()
        return taken

    def _open_next(self, tp: TopicPartition, fetched: Any) -> bool:
        """Begin the next batch that is no control batch; false when there is none left."""
        while fetched._records.has_next():
            batch = fetched._records.next_batch()
            if fetched._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {tp}")
            if not batch.is_control_batch:
                self._batch, self._rest = batch, _records(tp, batch, fetched._records)
                return True
            fetched.next_fetch_offset = batch.next_offset
        return False

    def _portion(self, fetched: Any, room: int | None) -> list[Record]:
        """At most `room` records of the batch; moves behind them what is to be fetched next."""
        portion = list(islice(self._rest, room))
        if room is None or len(portion) < room:
            # Compaction may have removed its last records: the batch itself knows where the next one begins.
            behind = self._batch.next_offset
            self._batch, self._rest = None, iter(())
        else:
            behind = portion[-1].offset + 1
        if portion and portion[0].offset < fetched.next_fetch_offset:
            # The broker sends whole batches, also when the beginning of one was read before.
            portion = [record for record in portion if record.offset >= fetched.next_fetch_offset]
        fetched.next_fetch_offset = max(behind, fetched.next_fetch_offset)
        return portion


def _records(tp: TopicPartition, batch: Iterable[Any], source: Any) -> Iterator[Record]:
    """The records of the batch that `source` gave last."""
    data = source.latest if type(source) is RememberedBytes else None
    record = None
    try:
        for record in _made(tp, batch):
            yield record
    except UnicodeDecodeError:
        if data is None:
            raise
        yield from _made(tp, records_behind(None if record is None else record.offset, data))


def _made(tp: TopicPartition, batch: Iterable[Any]) -> Iterator[Record]:
    topic, partition = tp.topic, tp.partition
    return (
        Record(
            topic,
            partition,
            raw.offset,
            raw.timestamp,
            raw.timestamp_type,
            raw.key,
            raw.value,
            tuple(raw.headers),
        )
        for raw in batch
    )
