"""Counting anew what flood guards folded, from the marks in the books of customers.

A step changes a guard and a customer's book, the guard first. When a worker dies between the two, the step is repeated:
the guard would count the same finding twice, or take it back twice, and an incident would stand for ever or end too
early. So whoever takes a partition over counts before anything else.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from schemas.findings import Severity
from schemas.interaction import Micros
from streams.core.alerting.book import FLOOD_PREFIX, Book, Flood, FloodLine, decode_book
from streams.core.alerting.flood_windows import REMEMBERED, summary_of, with_line
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.schedule import scheduled

_replace = msgspec.structs.replace


class _Fold(NamedTuple):
    """A finding that a guard folded and that stands: in which window, since which version, whose."""

    window: Micros
    version: int
    customer: str


_Folds = Mapping[tuple[str, Severity, str], Sequence[_Fold]]
"""By rule, severity and destination."""

_NONE: Final[Sequence[_Fold]] = ()


def recounted(stored: Mapping[bytes, bytes], keys: Sequence[bytes], policy: AlertPolicy) -> dict[bytes, Book]:
    """The guards of a partition whose counts are not what the books say, as they should be.

    `stored` are the books of a partition by their `keys`. Where no guard stands nothing is read; counting twice changes
    nothing the second time.
    """
    guards = {key: decode_book(stored[key]) for key in keys if key.startswith(FLOOD_PREFIX)}
    if not guards:
        return {}
    folds = _folds(stored, keys)
    found = {}
    for key, book in guards.items():
        if book.flood is not None:
            counted = scheduled(_counted(book, book.flood, folds), policy)
            if counted != book:
                found[key] = counted
    return found


def _folds(stored: Mapping[bytes, bytes], keys: Sequence[bytes]) -> _Folds:
    found = defaultdict(list)
    for key in keys:
        if key.startswith(FLOOD_PREFIX):
            continue
        for record in decode_book(stored[key]).records:
            for thread in record.threads:
                if thread.folded is not None:
                    fold = _Fold(thread.folded, record.version, key.decode())
                    found[record.rule, record.severity, thread.destination].append(fold)
    return found


def _counted(book: Book, flood: Flood, folds: _Folds) -> Book:
    summary = summary_of(book, flood)
    known = {line.destination for line in flood.lines}
    folded = {where[2] for where in folds if where[:2] == (flood.rule, flood.severity)}
    for destination in sorted(known | folded):
        line = flood.line(destination)
        mine = [
            fold
            for fold in folds.get((flood.rule, flood.severity, destination), _NONE)
            if fold.window >= flood.since
        ]
        unsaid = summary.thread(destination).pending == "folded"
        counted = _line(line, flood.window, mine, unsaid)
        if counted != line:
            flood = with_line(flood, counted)
    return _replace(book, flood=flood)


def _line(line: FloodLine, window: Micros, folds: Sequence[_Fold], unsaid: bool) -> FloodLine:
    """The line as it should be. Whom it names stays, unless it counts another number than was thought."""
    now = [fold for fold in folds if fold.window >= window]
    line = _replace(line, standing=len(folds) - len(now))
    if len(now) != line.folded:
        line = _replace(line, folded=len(now), examples=_names(now))
    if unsaid:
        told = [fold for fold in folds if line.reported_since <= fold.window < line.reported_until]
        if len(told) != line.reported:
            line = _replace(line, reported=len(told), reported_examples=_names(told))
    return line


def _names(folds: Sequence[_Fold]) -> tuple[str, ...]:
    """Whose they are, as often as there are findings of theirs, the newest last."""
    return tuple(fold.customer for fold in sorted(folds, key=lambda fold: fold.version)[-REMEMBERED:])
