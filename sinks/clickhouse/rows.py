"""One mapping for each record, beside its columns: what the writer hands to ClickHouse, column by column.

Column names are those of the storage tables (tests/integration compares names and types with a migrated database).
Instants stay integers, microseconds since 1970, as ClickHouse itself stores them.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from msgspec.structs import astuple

from schemas.interaction import Interaction
from schemas.records import DeadLetter, Journey, PlacedInteraction

INTERACTION_COLUMNS: Final = (*Interaction.__struct_fields__, "journey_id", "beyond_horizon", "version")

JOURNEY_COLUMNS: Final = (
    "journey_id",
    "customer",
    "started_at",
    "ended_at",
    "status",
    "interactions",
    "contacts",
    "path",
    "channels",
    "subjects",
    "wait_seconds",
    "transfers",
    "effort_seconds",
    "resolved",
    "first_contact_resolved",
    "dropped",
    "version",
    "is_deleted",
)

DEAD_LETTER_COLUMNS: Final = (*DeadLetter._fields, "incarnation")

BLOCK_ROWS: Final = 2_000
"""Rows that are turned into columns at once: few enough to stay in the processor's cache."""

Block = list[Sequence[Any]]
"""Some rows, columnar: `block[column][row]`."""


class Rows(NamedTuple):
    """Rows for one INSERT: `blocks` of at most `BLOCK_ROWS`, whose columns are `names`; `count` rows in all."""

    names: tuple[str, ...]
    blocks: list[Block]
    count: int


# What a column holds when it says nothing. A column in which no row of an INSERT says anything is left out of it.
_SILENT: Final[dict[str, Any]] = {"unnormalised": (), "attributes": {}, "beyond_horizon": False}
_SILENCE: Final = tuple(_SILENT.get(name) for name in INTERACTION_COLUMNS)
_DUE_ON: Final = INTERACTION_COLUMNS.index("promise_due_on")


def interaction_rows(placed: Sequence[tuple[PlacedInteraction, int]]) -> Rows:
    """Rows of `interactions_raw`: (placed interaction, version).

    A block holds one channel, since the fields of the other channels are silent in it. Columns in which no row says
    anything are left out of all blocks; the table's default (null, empty, false) is the same.
    """
    by_channel: dict[str, list[tuple[Any, ...]]] = {}
    for (interaction, journey_id, beyond_horizon), version in placed:
        row = (*astuple(interaction), journey_id, beyond_horizon, version)
        by_channel.setdefault(interaction.channel, []).append(row)
    blocks: list[Block] = [
        list(zip(*rows[start : start + BLOCK_ROWS], strict=True))
        for rows in by_channel.values()
        for start in range(0, len(rows), BLOCK_ROWS)
    ]
    spoken = [
        index
        for index, silence in enumerate(_SILENCE)
        if any(block[index].count(silence) < len(block[index]) for block in blocks)
    ]
    if _DUE_ON in spoken:
        for block in blocks:
            block[_DUE_ON] = [day and date.fromisoformat(day) for day in block[_DUE_ON]]
    names = tuple(INTERACTION_COLUMNS[index] for index in spoken)
    return Rows(names, [[block[index] for index in spoken] for block in blocks], len(placed))


def journey_rows(
    journeys: Sequence[tuple[Journey, int]], retracted: Sequence[tuple[str, str, int]] = ()
) -> Rows:
    """Rows of `journeys_raw`: (journey, version), and (customer, journey_id, version) of journeys that are no more."""
    rows = [
        (
            journey.journey_id,
            journey.customer,
            journey.started_at,
            journey.ended_at,
            "closed" if journey.closed else "open",
            journey.interactions,
            journey.contacts,
            journey.path,
            journey.channels,
            journey.subjects,
            journey.wait_seconds,
            journey.transfers,
            journey.effort_seconds,
            journey.resolved,
            journey.first_contact_resolved,
            journey.dropped,
            version,
            0,
        )
        for journey, version in journeys
    ]
    rows += [
        (journey_id, customer, 0, 0, "closed", 0, 0, (), (), (), None, None, None, None, None, 0, version, 1)
        for customer, journey_id, version in retracted
    ]
    return transposed(JOURNEY_COLUMNS, rows)


def dead_letter_rows(letters: Sequence[tuple[DeadLetter, int]]) -> Rows:
    """Rows of `dead_letters_raw`: (letter, incarnation of the topics)."""
    return transposed(DEAD_LETTER_COLUMNS, [(*letter, incarnation) for letter, incarnation in letters])


def transposed(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Rows:
    """Rows as tuples in the order of `names`, made columnar."""
    blocks: list[Block] = [
        list(zip(*rows[start : start + BLOCK_ROWS], strict=True)) for start in range(0, len(rows), BLOCK_ROWS)
    ]
    return Rows(names, blocks, len(rows))
