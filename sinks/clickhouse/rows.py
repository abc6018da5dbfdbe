"""One mapping for each record, beside its columns: what the writer hands to ClickHouse, column by column.

Column names are those of the storage tables (tests/integration compares names and types with a migrated
database). Instants stay integers, microseconds since 1970, as ClickHouse itself stores them.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import astuple

from schemas.interaction import Interaction
from schemas.records import DeadLetter, Journey, PlacedInteraction

T = TypeVar("T")

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
    """Rows for one INSERT: `size` rows in `blocks`, to be read once, whose columns are `names`."""

    names: tuple[str, ...]
    blocks: Iterator[Block]
    size: int


_DUE_ON: Final = INTERACTION_COLUMNS.index("promise_due_on")


def interaction_rows(placed: Sequence[tuple[PlacedInteraction, int]]) -> Rows:
    """Rows of `interactions_raw`: (placed interaction, version).

    A block holds one channel, since a column in which nobody says anything costs next to nothing
    (sinks.clickhouse.native).
    """
    by_channel: dict[str, list[tuple[PlacedInteraction, int]]] = {}
    for row in placed:
        by_channel.setdefault(row[0].interaction.channel, []).append(row)
    return Rows(INTERACTION_COLUMNS, _interaction_blocks(list(by_channel.values())), len(placed))


def _interaction_blocks(groups: Sequence[Sequence[tuple[PlacedInteraction, int]]]) -> Iterator[Block]:
    for group in groups:
        for rows in _slices(group):
            places, versions = zip(*rows, strict=True)
            interactions, journey_ids, beyond_horizon = zip(*places, strict=True)
            if True in beyond_horizon:
                # It may repeat one that the timeline has forgotten: never replace that one's row.
                versions = tuple(
                    0 if beyond else version for beyond, version in zip(beyond_horizon, versions, strict=True)
                )
            block: Block = [
                *zip(*map(astuple, interactions), strict=True),
                journey_ids,
                beyond_horizon,
                versions,
            ]
            due_on = block[_DUE_ON]
            if due_on.count(None) < len(due_on):
                block[_DUE_ON] = [day and date.fromisoformat(day) for day in due_on]
            yield block


def journey_rows(
    journeys: Sequence[tuple[Journey, int]], retracted: Sequence[tuple[str, str, int]] = ()
) -> Rows:
    """Rows of `journeys_raw`: (journey, version), and (customer, journey_id, version) of journeys that are
    no more.
    """
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
    """Rows of `dead_letters_raw`: (letter, incarnation of the topics).

    A header without a value becomes an empty one.
    """
    known = [
        (letter._replace(headers=tuple((name, value or b"") for name, value in letter.headers)), incarnation)
        for letter, incarnation in letters
    ]
    return transposed(DEAD_LETTER_COLUMNS, [(*letter, incarnation) for letter, incarnation in known])


def transposed(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Rows:
    """Rows as tuples in the order of `names`, made columnar."""
    blocks = (list[Sequence[Any]](zip(*some, strict=True)) for some in _slices(rows))
    return Rows(names, blocks, len(rows))


def _slices(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]
