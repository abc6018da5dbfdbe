"""The flood guard: so many alerts of one rule and severity pass in a window; the rest become one summary.

Counting is by severity, so a flood of minor findings never folds a severe one. A folded finding is counted until it is
over, has changed its severity or is told by itself: a summary counts what stands, each finding once, and when nothing
does it is not said. What was said opens an incident where incidents are held open; that ends when none of the findings
that the guard folded stands any more.

The counts are what the marks in the books of customers (`Thread.folded`) add up to. A crash in the middle of a delivery
can leave a guard ahead of them: whoever takes a partition over counts anew (`streams.core.alerting.recount`).
"""

import msgspec

from schemas.alerts import Alert, AlertRow
from schemas.findings import Severity
from schemas.interaction import Micros
from streams.core.alerting.book import FLOOD_PREFIX, Book, Flood, Record, Thread
from streams.core.alerting.flood_windows import (
    REMEMBERED,
    roll,
    summary_of,
    with_line,
    without_empty_summary,
)
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.schedule import scheduled
from streams.core.alerting.shelf import Shelf

_replace = msgspec.structs.replace


def flood_key(rule: str, severity: Severity) -> bytes:
    """The guard's key in the table of a partition."""
    return FLOOD_PREFIX + f"{rule}\x1f{severity}".encode()


class Gate:
    """All guards of a partition during one step, on its shelf. `rows` are those of windows that ended meanwhile."""

    def __init__(self, shelf: Shelf, now: Micros, policy: AlertPolicy) -> None:
        self._shelf = shelf
        self._now = now
        self._policy = policy
        self.rows: list[AlertRow] = []

    def counted(self, record: Record, alert: Alert, thread: Thread) -> Thread:
        """Count a finding that is to be told of. The thread, with `folded` when a summary will tell it instead."""
        thread = self.take_back(record, alert.customer, thread)
        key = flood_key(alert.rule, alert.severity)
        book = self._open(key, alert)
        assert book.flood is not None
        line = book.flood.line(thread.destination)
        if line.passed < self._policy.flood_limit:
            line = _replace(line, passed=line.passed + 1)
        else:
            examples = (*line.examples, alert.customer)[-REMEMBERED:]
            line = _replace(line, folded=line.folded + 1, examples=examples)
            thread = _replace(thread, folded=book.flood.window)
        book = _replace(book, flood=with_line(book.flood, line))
        self._shelf.put(key, scheduled(book, self._policy))
        return thread

    def take_back(self, record: Record, customer: str, thread: Thread) -> Thread:
        """The thread without `folded`: its guard counts the finding no more.

        `record` is the finding as it was folded.
        """
        if thread.folded is None:
            return thread
        key = flood_key(record.rule, record.severity)
        book = self._shelf.get(key)
        flood = book.flood
        if flood is not None and thread.folded >= flood.since:
            book, rows = self._without(book, flood, thread.destination, thread.folded, customer)
            self._shelf.put(key, scheduled(book, self._policy))
            self.rows.extend(rows)
        return _replace(thread, folded=None)

    def _without(
        self, book: Book, flood: Flood, destination: str, window: Micros, customer: str
    ) -> tuple[Book, list[AlertRow]]:
        """The guard without one finding that it folded in `window`."""
        line = flood.line(destination)
        if window == flood.window:
            examples = _without_one(line.examples, customer)
            line = _replace(line, folded=max(0, line.folded - 1), examples=examples)
            return _replace(book, flood=with_line(flood, line)), []
        line = _replace(line, standing=max(0, line.standing - 1))
        summary = summary_of(book, flood).thread(destination)
        if summary.pending == "folded" and line.reported_since <= window < line.reported_until:
            examples = _without_one(line.reported_examples, customer)
            line = _replace(line, reported=max(0, line.reported - 1), reported_examples=examples)
        return without_empty_summary(_replace(book, flood=with_line(flood, line)), destination, self._now)

    def _open(self, key: bytes, alert: Alert) -> Book:
        rolled = roll(self._shelf.get(key), self._now, self._policy)
        self.rows.extend(rolled.rows)
        if rolled.book.flood is not None:
            return rolled.book
        window = self._now - self._now % self._policy.flood_window
        return _replace(rolled.book, flood=Flood(alert.rule, alert.severity, window, since=window))


def _without_one(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The names without the first of these; as they are when it is none of them."""
    if name not in names:
        return names
    place = names.index(name)
    return names[:place] + names[place + 1 :]
