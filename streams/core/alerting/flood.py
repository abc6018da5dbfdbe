"""The flood guard: so many alerts of one rule and severity pass in a window; the rest become one summary.

Counting is by severity, so a flood of minor findings never folds a severe one. Windows are aligned to the epoch, so
that the guards of all partitions end theirs at the same instant. A finding that is over, changed or told by itself
before its summary is said is taken back: a summary counts what stands, each finding once, and when nothing does it is
not said. A crash in the middle of a delivery can make a guard count or take back a few twice; what it folded is stored
with its reason either way.
"""

from typing import Final

import msgspec

from schemas.alerts import Alert, AlertRow, encode_alert_record
from schemas.findings import Severity
from schemas.interaction import Micros
from schemas.timestamps import format_timestamp
from streams.core.alerting.book import (
    FLOOD_PREFIX,
    OVER_BEFORE_TOLD,
    Book,
    Decided,
    Flood,
    FloodLine,
    Record,
    Thread,
    row_of,
    with_record,
    with_thread,
)
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.schedule import scheduled
from streams.core.alerting.shelf import Shelf

EXAMPLES: Final = 5
"""Customers that a summary names."""

_REMEMBERED: Final = 4 * EXAMPLES
"""Findings whose customers a guard keeps: when some of them are over, a summary still has somebody to name."""

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
        thread = self.take_back(record, alert, thread)
        key = flood_key(alert.rule, alert.severity)
        book = self._open(key, alert)
        assert book.flood is not None
        line = book.flood.line(thread.destination)
        if line.passed < self._policy.flood_limit:
            line = _replace(line, passed=line.passed + 1)
        else:
            examples = (*line.examples, alert.customer)[-_REMEMBERED:]
            line = _replace(line, folded=line.folded + 1, examples=examples)
            thread = _replace(thread, folded=book.flood.window)
        book = _replace(book, flood=_with_line(book.flood, line))
        self._shelf.put(key, scheduled(book, self._policy))
        return thread

    def take_back(self, record: Record, alert: Alert, thread: Thread) -> Thread:
        """The thread without `folded`: no summary that is still to be said counts the finding any more.

        `record` is the finding as it was folded, `alert` names its customer.
        """
        if thread.folded is None:
            return thread
        key = flood_key(record.rule, record.severity)
        done = _taken_back(self._shelf.get(key), thread, alert.customer, self._now, self._policy)
        self._shelf.put(key, done.book)
        self.rows.extend(done.rows)
        return _replace(thread, folded=None)

    def _open(self, key: bytes, alert: Alert) -> Book:
        rolled = roll(self._shelf.get(key), self._now, self._policy)
        self.rows.extend(rolled.rows)
        if rolled.book.flood is not None:
            return rolled.book
        window = self._now - self._now % self._policy.flood_window
        return _replace(rolled.book, flood=Flood(alert.rule, alert.severity, window))


def roll(book: Book, now: Micros, policy: AlertPolicy) -> Decided:
    """End the window if its time is over: what it folded becomes a summary, a calm one ends the flood.

    A guard that counted nothing in its last window is forgotten once nobody waits to hear of it.
    """
    flood = book.flood
    if flood is None or now < flood.window + policy.flood_window:
        return Decided(book)
    record = _summary(book, flood)
    rows: list[AlertRow] = []
    lines: list[FloodLine] = []
    ended = flood.window + policy.flood_window
    for line in flood.lines:
        thread = record.thread(line.destination)
        if line.folded:
            unsaid = thread.pending == "folded"
            lines.append(
                FloodLine(
                    line.destination,
                    reported=line.folded + (line.reported if unsaid else 0),
                    reported_since=line.reported_since if unsaid else flood.window,
                    reported_until=ended,
                    reported_examples=(line.reported_examples + line.examples)[-_REMEMBERED:]
                    if unsaid
                    else line.examples,
                )
            )
            thread = _replace(
                thread, pending="folded", version=flood.window, since=thread.since if unsaid else now
            )
        else:
            lines.append(_replace(line, passed=0, folded=0, examples=()))
            thread = _calmed(thread, policy, flood.window, now)
        if thread != record.thread(line.destination):
            record = with_thread(_replace(record, version=flood.window), thread)
            if thread.pending is not None:
                rows.append(row_of(_alert(flood), thread, thread.pending, "pending", "", now, thread.version))
    threads = tuple(item for item in record.threads if item.pending is not None or item.knows)
    record = _replace(record, threads=threads)
    counted = any(line.passed or line.folded for line in flood.lines)
    if not threads and not counted:
        return Decided(scheduled(_replace(book, flood=None, records=()), policy), tuple(rows))
    window = now - now % policy.flood_window
    flood = _replace(flood, window=window, lines=tuple(lines))
    book = _replace(book, flood=flood, records=(record,) if threads else ())
    return Decided(scheduled(book, policy), tuple(rows))


def _taken_back(book: Book, thread: Thread, customer: str, now: Micros, policy: AlertPolicy) -> Decided:
    """The guard after a finding that `thread.folded` counts is over. A summary that was said stays as it was said."""
    flood, window = book.flood, thread.folded
    if flood is None or window is None:
        return Decided(book)
    rows: list[AlertRow] = []
    line = flood.line(thread.destination)
    record = _summary(book, flood)
    summary = record.thread(thread.destination)
    if window == flood.window:
        line = _replace(line, folded=max(0, line.folded - 1), examples=_without_one(line.examples, customer))
    elif summary.pending == "folded" and line.reported_since <= window < line.reported_until:
        examples = _without_one(line.reported_examples, customer)
        line = _replace(line, reported=max(0, line.reported - 1), reported_examples=examples)
        if not line.reported:
            rows.append(
                row_of(_alert(flood), summary, "folded", "suppressed", OVER_BEFORE_TOLD, now, summary.version)
            )
            book = with_record(book, with_thread(record, _replace(summary, pending=None)))
    book = _replace(book, flood=_with_line(flood, line))
    return Decided(scheduled(book, policy), tuple(rows))


def _without_one(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The names without the first of these; as they are when it is none of them."""
    if name not in names:
        return names
    place = names.index(name)
    return names[:place] + names[place + 1 :]


def _calmed(thread: Thread, policy: AlertPolicy, window: Micros, now: Micros) -> Thread:
    """A thread after a window without a fold: whoever holds the flood open is told that it is over."""
    if thread.pending is not None or not thread.knows:
        return thread
    traits = policy.destinations.get(thread.destination)
    if traits is None or not traits.holds_open:
        return _replace(thread, told=None, maybe=None, repeat_at=None, incident=None)
    return _replace(thread, pending="calmed", version=window, since=now)


def _with_line(flood: Flood, line: FloodLine) -> Flood:
    lines = [item for item in flood.lines if item.destination != line.destination]
    return _replace(flood, lines=(*lines, line))


def _summary(book: Book, flood: Flood) -> Record:
    alert = _alert(flood)
    known = book.record(alert.finding_id)
    if known is not None:
        return known
    return Record(alert.finding_id, flood.rule, flood.severity, 0, "open", encode_alert_record(alert))


def _alert(flood: Flood) -> Alert:
    """The alert that a summary stands for; it never is on the topic, and is of no channel."""
    return Alert(
        version=flood.window,
        kind="raised",
        at=format_timestamp(flood.window),
        finding_id=f"flood:{flood.rule}:{flood.severity}",
        rule=flood.rule,
        rule_version="",
        customer="",
        severity=flood.severity,
        channel=None,
        state="open",
        raised_at=format_timestamp(flood.window),
        sentence=f"Many findings of {flood.rule} ({flood.severity}) at once: they are folded into this summary.",
        action="Look at the rule first: a flood is more often a broken source or rule than so many customers.",
    )
