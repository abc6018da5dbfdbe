"""The ledger: what became of each source offset, as sets.

A row of `ledger_raw` is keyed by (topic, incarnation, partition, bucket of 100,000 offsets) and carries four
sets of offsets. ClickHouse unites the sets of rows with one key, so writing an offset again, in whatever
company, changes nothing.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from schemas.records import OffsetRange, SinkBatch
from sinks.clickhouse.rows import Rows, transposed

BUCKET: Final = 100_000
"""Offsets to a row of the ledger."""

LEDGER_COLUMNS: Final = (
    "topic",
    "incarnation",
    "partition",
    "bucket",
    "received_offsets",
    "stored_offsets",
    "superseded_offsets",
    "dead_offsets",
)


class Fates(NamedTuple):
    """The offsets of one row, by what became of them."""

    received: list[int]
    stored: list[int]
    superseded: list[int]
    dead: list[int]


Key = tuple[str, int, int, int]


def ledger_rows(batches: Iterable[SinkBatch]) -> Rows:
    """Rows of `ledger_raw` for what these batches received, stored, superseded and declared dead."""
    entries: dict[Key, Fates] = {}
    for batch in batches:
        incarnation = batch.incarnation
        for received in batch.received:
            if isinstance(received, OffsetRange):
                _receive(entries, received, incarnation)
            else:
                _fates(
                    entries, received.topic, received.partition, received.offset, incarnation
                ).received.append(received.offset)
        for placed in batch.interactions:
            it = placed.interaction
            offset: int = it.offset
            _fates(entries, it.topic, it.partition, offset, incarnation).stored.append(offset)
        for topic, partition, offset in batch.stored:
            _fates(entries, topic, partition, offset, incarnation).stored.append(offset)
        for topic, partition, offset in batch.superseded:
            _fates(entries, topic, partition, offset, incarnation).superseded.append(offset)
        for letter in batch.dead_letters:
            _fates(entries, letter.topic, letter.partition, letter.offset, incarnation).dead.append(
                letter.offset
            )
    return transposed(LEDGER_COLUMNS, [(*key, *fates) for key, fates in entries.items()])


def _receive(entries: dict[Key, Fates], received: OffsetRange, incarnation: int) -> None:
    """Enter a range, cut where a bucket ends."""
    topic, partition, first, last = received
    while first <= last:
        end = min(last, first - first % BUCKET + BUCKET - 1)
        _fates(entries, topic, partition, first, incarnation).received.extend(range(first, end + 1))
        first = end + 1


def _fates(entries: dict[Key, Fates], topic: str, partition: int, offset: int, incarnation: int) -> Fates:
    key = (topic, incarnation, partition, offset // BUCKET)
    fates = entries.get(key)
    if fates is None:
        fates = entries[key] = Fates([], [], [], [])
    return fates
