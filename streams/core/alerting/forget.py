"""Forgetting customers: their books, and their names in the summaries of floods."""

from collections.abc import Callable, Iterable

import msgspec

from streams.core.alerting.book import EMPTY, FLOOD_PREFIX, Book, FloodLine
from streams.core.alerting.shelf import Shelf

_replace = msgspec.structs.replace

IsForgotten = Callable[[str], bool]
"""Whether a customer is."""


def books_of(keys: Iterable[bytes], is_forgotten: IsForgotten) -> list[bytes]:
    """The keys of the books of customers who are forgotten."""
    return [key for key in keys if not key.startswith(FLOOD_PREFIX) and is_forgotten(key.decode())]


def forget(shelf: Shelf, keys: Iterable[bytes], is_forgotten: IsForgotten) -> None:
    """Empty the books among these keys that are of such customers, and name them in no summary of a flood."""
    for key in keys:
        if key.startswith(FLOOD_PREFIX):
            shelf.put(key, _without_examples(shelf.get(key), is_forgotten))
        elif is_forgotten(key.decode()):
            shelf.put(key, EMPTY)


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
