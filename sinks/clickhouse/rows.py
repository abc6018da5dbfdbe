"""One mapping for each record, beside its columns: what the writer hands to ClickHouse, column by column.

Column names are those of the storage tables (tests/integration compares names and types with a migrated
database). Instants stay integers, microseconds since 1970, as ClickHouse itself stores them. Customers and weak
identifiers are named as `Pseudonyms` says.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import astuple

from schemas.interaction import Interaction
from schemas.records import DeadLetter, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.pseudonyms import WEAK, Pseudonyms

T = TypeVar("T")

INTERACTION_COLUMNS: Final = (
    *Interaction.__struct_fields__,
    "journey_id",
    "beyond_horizon",
    "version",
    "links_seen",
)

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


_CUSTOMER: Final = INTERACTION_COLUMNS.index("customer")
_WEAK: Final = tuple((INTERACTION_COLUMNS.index(kind), kind) for kind in WEAK)
_DUE_ON: Final = INTERACTION_COLUMNS.index("promise_due_on")
_day: Final = lru_cache(4_096)(date.fromisoformat)


class _Group:
    """Interactions of one channel, with the versions of their rows beside them."""

    __slots__ = ("links_seen", "placed", "versions")

    def __init__(self) -> None:
        self.placed: list[PlacedInteraction] = []
        self.versions: list[int] = []
        self.links_seen: list[int] = []


def interaction_rows(batches: Sequence[SinkBatch], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `placed_interactions_raw`.

    A block holds one channel, since a column in which nobody says anything costs next to nothing
    (sinks.clickhouse.native).
    """
    groups: dict[str, _Group] = {}
    size = 0
    for batch in batches:
        size += len(batch.interactions) + len(batch.moved)
        for placed in chain(batch.interactions, batch.moved):
            channel: str = placed.interaction.channel
            group = groups.get(channel)
            if group is None:
                group = groups[channel] = _Group()
            group.placed.append(placed)
        for group in groups.values():
            added = len(group.placed) - len(group.versions)
            group.versions += [batch.version] * added
            group.links_seen += [batch.links_seen] * added
    return Rows(INTERACTION_COLUMNS, _interaction_blocks(list(groups.values()), pseudonyms), size)


def _interaction_blocks(groups: Sequence[_Group], pseudonyms: Pseudonyms) -> Iterator[Block]:
    for group in groups:
        for start in range(0, len(group.placed), BLOCK_ROWS):
            end = start + BLOCK_ROWS
            yield _interaction_block(
                group.placed[start:end],
                group.versions[start:end],
                group.links_seen[start:end],
                pseudonyms,
            )


def _interaction_block(
    placed: list[PlacedInteraction], versions: list[int], links_seen: list[int], pseudonyms: Pseudonyms
) -> Block:
    interactions, journey_ids, beyond_horizon = zip(*placed, strict=True)
    if True in beyond_horizon:
        # It may repeat one that the timeline has forgotten: never replace that one's row.
        versions = [0 if beyond else of for beyond, of in zip(beyond_horizon, versions, strict=True)]
        links_seen = [0 if beyond else of for beyond, of in zip(beyond_horizon, links_seen, strict=True)]
    block: Block = [
        *zip(*map(astuple, interactions), strict=True),
        journey_ids,
        beyond_horizon,
        versions,
        links_seen,
    ]
    rows = len(placed)
    due_on = block[_DUE_ON]
    if due_on.count(None) < rows:
        block[_DUE_ON] = [day and _day(day) for day in due_on]
    if not pseudonyms.clear:
        block[_CUSTOMER] = list(map(pseudonyms.customers.__getitem__, block[_CUSTOMER]))
        for column, kind in _WEAK:
            bare = block[column]
            if bare.count(None) < rows:
                block[column] = list(map(pseudonyms.bare[kind].__getitem__, bare))
    return block


def journey_rows(
    journeys: Sequence[tuple[Journey, int]],
    retracted: Sequence[tuple[str, str, int]],
    pseudonyms: Pseudonyms,
) -> Rows:
    """Rows of `journeys_raw`: (journey, version), and (customer, journey_id, version) of journeys that are
    no more.
    """
    stored = pseudonyms.customers
    rows = [
        (
            journey.journey_id,
            stored[journey.customer],
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
        (
            journey_id,
            stored[customer],
            0,
            0,
            "closed",
            0,
            0,
            (),
            (),
            (),
            None,
            None,
            None,
            None,
            None,
            0,
            version,
            1,
        )
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
