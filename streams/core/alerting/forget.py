"""Forgetting customers: their books, and their names in the summaries of floods."""

from collections.abc import Callable, Collection, Iterable

import msgspec

from schemas.alerts import AlertRow
from schemas.interaction import Micros
from streams.core.alerting.book import EMPTY, FLOOD_PREFIX, Book, FloodLine
from streams.core.alerting.flood import Gate
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.shelf import Shelf

_replace = msgspec.structs.replace

IsForgotten = Callable[[str], bool]
"""Whether a customer is."""


def books_of(keys: Iterable[bytes], is_forgotten: IsForgotten) -> list[bytes]:
    """The keys of the books of customers who are forgotten."""
    return [key for key in keys if not key.startswith(FLOOD_PREFIX) and is_forgotten(key.decode())]


def forget(
    shelf: Shelf, keys: Collection[bytes], is_forgotten: IsForgotten, now: Micros, policy: AlertPolicy
) -> tuple[AlertRow, ...]:
    """Empty the books among these keys that are of such customers; no flood counts or names them any more.

    The rows are those of floods, which name nobody.
    """
    gate = Gate(shelf, now, policy)
    for key in keys:
        if not key.startswith(FLOOD_PREFIX) and is_forgotten(customer := key.decode()):
            for record in shelf.get(key).records:
                for thread in record.threads:
                    gate.take_back(record, customer, thread)
            shelf.put(key, EMPTY)
    for key in keys:
        if key.startswith(FLOOD_PREFIX):
            shelf.put(key, _without_examples(shelf.get(key), is_forgotten))
    return tuple(gate.rows)


def _without_examples(book: Book, is_forgotten: IsForgotten) -> Book:
    flood = book.flood
    if flood is None:
        return book
    return _replace(
        book, flood=_replace(flood, lines=tuple(_nameless(one, is_forgotten) for one in flood.lines))
    )


def _nameless(line: FloodLine, is_forgotten: IsForgotten) -> FloodLine:
    return _replace(
        line,
        examples=tuple(name for name in line.examples if not is_forgotten(name)),
        reported_examples=tuple(name for name in line.reported_examples if not is_forgotten(name)),
    )
