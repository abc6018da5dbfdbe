"""What is stored of customers, read back as it came: the inverse of `sinks.clickhouse.rows.interaction_rows`.

One row is one `Interaction` again, in its latest revision. What the storage does not keep, reading cannot give back:
amounts have a fixed scale there, so `12.5` comes back as `12.50` (at least two places, no further zeros).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

from schemas.interaction import Interaction, Micros
from sinks.clickhouse.client import ClickHouseTarget, connect

_INSTANTS: Final = frozenset({"occurred_at", "promise_due_at", "received_at"})
_FIELDS: Final = Interaction.__struct_fields__
_UNNORMALISED: Final = _FIELDS.index("unnormalised")
_AMOUNTS: Final = (_FIELDS.index("price_agreed"), _FIELDS.index("price_charged"))
_CUSTOMER: Final = _FIELDS.index("customer")
_CENT: Final = Decimal("0.01")

_READING: Final[dict[str, Any]] = {
    "max_block_size": 8_192,
    "max_bytes_before_external_sort": 2**30,
}
"""Rows are sorted by customer on the server, on its disk when they do not fit a gigabyte, and come in small blocks."""


class Extent(NamedTuple):
    """What there is of identified customers before an instant. Without interactions the times mean nothing."""

    interactions: int
    customers: int
    first: Micros
    last: Micros


def _selected(name: str) -> str:
    if name in _INSTANTS:
        return f"toUnixTimestamp64Micro({name})"
    return f"toString({name})" if name == "promise_due_on" else f"`{name}`"


SELECTED: Final = ", ".join(map(_selected, _FIELDS))
"""The columns of an interaction, as `interaction_of` reads them."""

HISTORY: Final = (
    f"SELECT {SELECTED} FROM interactions "
    "WHERE customer IS NOT NULL AND occurred_at < fromUnixTimestamp64Micro(%(until)s) "
    "ORDER BY customer, occurred_at, source, id"
)


def extent_of(target: ClickHouseTarget, until: Micros) -> Extent:
    """How much `histories` gives."""
    client = connect(target)
    try:
        [(interactions, customers, first, last)] = client.execute(
            "SELECT count(), uniqExact(customer), toUnixTimestamp64Micro(min(occurred_at)), "
            "toUnixTimestamp64Micro(max(occurred_at)) FROM interactions "
            "WHERE customer IS NOT NULL AND occurred_at < fromUnixTimestamp64Micro(%(until)s)",
            {"until": until},
        )
    finally:
        client.disconnect()
    return Extent(interactions, customers, first, last)


def histories(target: ClickHouseTarget, until: Micros) -> Iterator[tuple[str, list[Interaction]]]:
    """Every customer with all interactions that occurred before `until`, in the order of the timeline.

    Streamed: one customer is in memory at a time.
    """
    client = connect(target, **_READING)
    try:
        rows = client.execute_iter(HISTORY, {"until": until})
        for customer, mine in groupby(rows, key=lambda row: row[_CUSTOMER]):
            yield customer, [interaction_of(row) for row in mine]
    finally:
        client.disconnect()


def interaction_of(row: Sequence[Any]) -> Interaction:
    """One row of `SELECTED`."""
    values = list(row)
    values[_UNNORMALISED] = tuple(values[_UNNORMALISED])
    for index in _AMOUNTS:
        if values[index] is not None:
            values[index] = amount_of(values[index])
    return Interaction(*values)


def amount_of(stored: Decimal) -> Decimal:
    """An amount without the zeros of the storage's scale, but with cents."""
    plain = stored.normalize()
    return plain.quantize(_CENT) if plain.as_tuple().exponent > -2 else plain  # type: ignore[operator]
