"""The ledger: what became of each source offset, as sets.

A row of `ledger_raw` is keyed by (topic, incarnation, partition, bucket of 100,000 offsets) and carries four
sets of offsets. ClickHouse unites the sets of rows with one key, so writing an offset again, in whatever
company, changes nothing.
"""

from collections.abc import Iterable
from typing import Final

from schemas.records import SinkBatch
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

_RECEIVED, _STORED, _SUPERSEDED, _DEAD = range(4)

Fates = tuple[list[int], list[int], list[int], list[int]]


def ledger_rows(batches: Iterable[SinkBatch]) -> Rows:
    """Rows of `ledger_raw` for what these batches received, stored, superseded and declared dead."""
    entries: dict[tuple[str, int, int, int], Fates] = {}

    def enter(topic: str, partition: int, offset: int, incarnation: int, fate: int) -> None:
        key = (topic, incarnation, partition, offset // BUCKET)
        fates = entries.get(key)
        if fates is None:
            fates = entries[key] = ([], [], [], [])
        fates[fate].append(offset)

    for batch in batches:
        incarnation = batch.incarnation
        for topic, partition, offset in batch.received:
            enter(topic, partition, offset, incarnation, _RECEIVED)
        for interaction, _, _ in batch.interactions:
            enter(interaction.topic, interaction.partition, interaction.offset, incarnation, _STORED)
        for topic, partition, offset in batch.superseded:
            enter(topic, partition, offset, incarnation, _SUPERSEDED)
        for letter in batch.dead_letters:
            enter(letter.topic, letter.partition, letter.offset, incarnation, _DEAD)
    return transposed(LEDGER_COLUMNS, [(*key, *fates) for key, fates in entries.items()])
