"""How the windows of a flood guard end, and its incidents.

Windows are aligned to the epoch, so that the guards of all partitions end theirs at the same instant.
"""

from typing import Final

import msgspec

from schemas.alerts import Alert, AlertRow, encode_alert_record
from schemas.interaction import Micros
from schemas.timestamps import format_timestamp
from streams.core.alerting.book import (
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
from streams.core.alerting.schedule import has_nothing_to_say, scheduled

EXAMPLES: Final = 5
"""Customers that a summary names."""

REMEMBERED: Final = 4 * EXAMPLES
"""Findings whose customers a guard keeps: when some of them are over, a summary still has somebody to name."""

_replace = msgspec.structs.replace


def pass_time(book: Book, now: Micros, policy: AlertPolicy) -> Decided:
    """A guard at `now`: its window ends if its time is over, its incidents if nothing stands that they are about."""
    book, rows = roll(book, now, policy)
    if book.flood is None:
        return Decided(book, rows)
    book, ended = _closed(book, book.flood, now, policy)
    return Decided(scheduled(book, policy), (*rows, *ended))


def roll(book: Book, now: Micros, policy: AlertPolicy) -> Decided:
    """End the window if its time is over: what it folded becomes a summary.

    A guard that counted nothing in its last window is forgotten once nobody waits to hear of it or holds an incident.
    """
    flood = book.flood
    if flood is None or now < flood.window + policy.flood_window:
        return Decided(book)
    record = summary_of(book, flood)
    rows: list[AlertRow] = []
    lines: list[FloodLine] = []
    for line in flood.lines:
        thread = record.thread(line.destination)
        if line.folded:
            if thread.pending == "calmed":
                row = row_of(_alert(flood), thread, "calmed", "suppressed", "superseded", now, thread.version)
                rows.append(row)
            unsaid = thread.pending == "folded"
            lines.append(_reported(line, unsaid, flood.window, flood.window + policy.flood_window))
            since = thread.since if unsaid else now
            thread = _replace(thread, pending="folded", version=flood.window, since=since, held=None)
            record = with_thread(_replace(record, version=flood.window), thread)
            rows.append(row_of(_alert(flood), thread, "folded", "pending", "", now, thread.version))
        else:
            lines.append(_replace(line, passed=0, folded=0, examples=()))
            if thread.pending is None and thread.knows and not _holds_open(thread, policy):
                record = with_thread(record, _forgotten(thread))
    threads = tuple(item for item in record.threads if item.pending is not None or item.knows)
    records = (_replace(record, threads=threads),) if threads else ()
    if not threads and not any(line.passed or line.folded for line in flood.lines):
        return Decided(scheduled(_replace(book, flood=None, records=()), policy), tuple(rows))
    flood = _replace(flood, window=now - now % policy.flood_window, lines=tuple(lines))
    return Decided(scheduled(_replace(book, flood=flood, records=records), policy), tuple(rows))


def without_empty_summary(book: Book, destination: str, now: Micros) -> tuple[Book, list[AlertRow]]:
    """The guard without a summary that waits to be said and counts nothing any more."""
    flood = book.flood
    assert flood is not None, "a guard"
    record = summary_of(book, flood)
    thread = record.thread(destination)
    if thread.pending != "folded" or flood.line(destination).reported:
        return book, []
    row = row_of(_alert(flood), thread, "folded", "suppressed", OVER_BEFORE_TOLD, now, thread.version)
    return with_record(book, with_thread(record, _replace(thread, pending=None))), [row]


def with_line(flood: Flood, line: FloodLine) -> Flood:
    """The guard with this line in its place, or added."""
    lines = [item for item in flood.lines if item.destination != line.destination]
    return _replace(flood, lines=(*lines, line))


def summary_of(book: Book, flood: Flood) -> Record:
    """What the destinations know of the flood, and what waits to be told of it."""
    alert = _alert(flood)
    known = book.record(alert.finding_id)
    if known is not None:
        return known
    return Record(alert.finding_id, flood.rule, flood.severity, 0, "open", encode_alert_record(alert))


def _reported(line: FloodLine, unsaid: bool, began: Micros, ended: Micros) -> FloodLine:
    """The line after a window that folded something: a summary that was not said yet tells of both."""
    names = line.reported_examples if unsaid else ()
    return FloodLine(
        line.destination,
        reported=line.folded + (line.reported if unsaid else 0),
        reported_since=line.reported_since if unsaid else began,
        reported_until=ended,
        reported_examples=(*names, *line.examples)[-REMEMBERED:],
        standing=line.standing + line.folded,
    )


def _closed(book: Book, flood: Flood, now: Micros, policy: AlertPolicy) -> tuple[Book, list[AlertRow]]:
    """Whoever holds an incident open of which nothing stands any more is told that it is over."""
    rows: list[AlertRow] = []
    for thread in summary_of(book, flood).threads:
        book, dropped = without_empty_summary(book, thread.destination, now)
        rows += dropped
    record = summary_of(book, flood)
    for thread in record.threads:
        if not has_nothing_to_say(flood, thread):
            continue
        if _holds_open(thread, policy):
            told = _replace(thread, pending="calmed", version=flood.window, since=now)
            rows.append(row_of(_alert(flood), told, "calmed", "pending", "", now, told.version))
        else:
            told = _forgotten(thread)
        record = with_thread(_replace(record, version=flood.window), told)
    return (with_record(book, record) if record.threads else book), rows


def _holds_open(thread: Thread, policy: AlertPolicy) -> bool:
    traits = policy.destinations.get(thread.destination)
    return traits is not None and traits.holds_open


def _forgotten(thread: Thread) -> Thread:
    return _replace(thread, told=None, maybe=None, repeat_at=None, incident=None)


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
