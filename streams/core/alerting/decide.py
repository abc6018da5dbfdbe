"""What one change of one finding means for each destination.

A destination is told of a finding when it stands and nothing holds it back, again when it grows after the cool-down or
becomes more severe, and of its end when it was told of it. What is more severe is never held back by what is milder,
nothing by what was withdrawn.

The state is by level, not by edge: a thread keeps what a destination was told and the one notice that waits. A newer
notice takes the place of one that was not said yet, so a destination that was down is told how things are, not how
they were.
"""

from typing import Final

import msgspec

from schemas.alerts import Alert, AlertRow, encode_alert_record
from schemas.interaction import Micros
from schemas.notices import NoticeKind
from streams.core.alerting.book import (
    OVER_BEFORE_TOLD,
    Book,
    Decided,
    Record,
    Thread,
    row_of,
    with_record,
    with_thread,
)
from streams.core.alerting.cooling import with_cool_down, without_unsaid, without_untrue
from streams.core.alerting.flood import Gate
from streams.core.alerting.policy import AlertPolicy, rank
from streams.core.alerting.schedule import HUSHED, held_back, scheduled

_replace = msgspec.structs.replace

_NEVER: Final = "never_told"


def decide(book: Book, alert: Alert, gate: Gate, now: Micros, policy: AlertPolicy) -> Decided:
    """Take in one alert of this customer.

    An alert whose version was seen changes nothing and gives no rows. Every other gives at least one row. Nothing is
    kept of a finding that concerns no destination: its rows, should it come again, are the same. `gate` is the flood
    guard of the partition.
    """
    known = book.record(alert.finding_id)
    if known is not None and alert.version <= known.version:
        return Decided(book)
    if alert.state == "withdrawn":
        book = without_untrue(book, alert.finding_id)
    before = book
    threads = () if known is None else known.threads
    if known is not None and (alert.state != "open" or alert.severity != known.severity):
        threads = tuple(gate.take_back(known, alert.customer, thread) for thread in threads)
    record = Record(
        alert.finding_id,
        alert.rule,
        alert.severity,
        alert.version,
        alert.state,
        encode_alert_record(alert),
        over_at=None if alert.state == "open" else now,
        threads=threads,
    )
    if alert.state == "open":
        book, rows = _stands(book, record, alert, gate, now, policy)
    else:
        was_over = known is not None and known.state != "open"
        book, rows = _is_over(book, record, alert, was_over, now, policy)
    kept = book.record(alert.finding_id)
    if known is None and (kept is None or not kept.threads):
        return Decided(scheduled(before, policy), tuple(rows))
    return Decided(scheduled(book, policy), tuple(rows))


def offer(
    book: Book,
    record: Record,
    alert: Alert,
    thread: Thread,
    kind: NoticeKind,
    gate: Gate,
    now: Micros,
    policy: AlertPolicy,
) -> tuple[Book, Thread, AlertRow]:
    """Let a thread say that the finding stands, unless something holds it back: then nothing waits, and why is kept.

    No cool-down spares anybody what has become more severe, or a reminder that was asked for.
    """
    escalates = thread.told is not None and rank(alert.severity) > rank(thread.told)
    cooling = not escalates and kind != "reminded"
    held = held_back(book, record, thread.destination, now, cooling=cooling)
    if held is None:
        thread = gate.counted(record, alert, thread)
        held = None if thread.folded is None else "flood"
    if held is not None:
        quiet = _replace(thread, held=held if thread.told is None or held in HUSHED else None)
        return book, quiet, row_of(alert, thread, kind, "suppressed", held, now, alert.version)
    loud = _replace(thread, pending=kind, version=alert.version, since=now, held=None)
    return with_cool_down(book, alert, thread.destination, now, policy), loud, _pending(alert, loud, now)


def _stands(
    book: Book, record: Record, alert: Alert, gate: Gate, now: Micros, policy: AlertPolicy
) -> tuple[Book, list[AlertRow]]:
    rows: list[AlertRow] = []
    for thread in record.threads:
        if thread.pending is not None and not thread.opens:  # it was said to be over, and stands again
            rows.append(_superseded(alert, thread, now))
            record = with_thread(record, _replace(thread, pending=None))
    destinations = policy.routed(alert)
    for destination in destinations:
        thread = record.thread(destination)
        if thread.opens:
            rows.append(_superseded(alert, thread, now))
            kind: NoticeKind = "raised" if thread.told is None else "updated"
            thread = gate.take_back(record, alert.customer, thread)
            thread = _replace(thread, pending=kind, version=alert.version)
            rows.append(_pending(alert, thread, now))
            book = _without_unsaid(book, record.finding_id, thread)
            book = with_cool_down(book, alert, destination, now, policy)
        else:
            kind = "raised" if thread.told is None else "updated"
            book, thread, row = offer(book, record, alert, thread, kind, gate, now, policy)
            rows.append(row)
        record = with_thread(record, thread)
    if not destinations:
        rows.append(row_of(alert, Thread(""), "raised", "suppressed", "no_route", now, alert.version))
    return with_record(book, record), rows


def _is_over(
    book: Book, record: Record, alert: Alert, was_over: bool, now: Micros, policy: AlertPolicy
) -> tuple[Book, list[AlertRow]]:
    rows: list[AlertRow] = []
    for before in record.threads:
        thread = _replace(before, held=None, repeat_at=None)
        if before.pending is not None:
            reason = OVER_BEFORE_TOLD if before.opens and not before.knows else "superseded"
            rows.append(_superseded(alert, before, now, reason))
            thread = _replace(thread, pending=None)
            if before.opens:
                book = _without_unsaid(book, record.finding_id, before)
        thread, row = close(thread, alert, was_over, now, policy)
        rows.append(row)
        record = with_thread(record, thread)
    if not record.threads:
        rows.append(row_of(alert, Thread(""), _ending(alert), "suppressed", _NEVER, now, alert.version))
    hushes = tuple(hush for hush in book.hushes if hush.target != record.finding_id)
    return with_record(_replace(book, hushes=hushes), record), rows


def close(
    thread: Thread, alert: Alert, was_over: bool, now: Micros, policy: AlertPolicy
) -> tuple[Thread, AlertRow]:
    """Tell the end to a destination that may know of the finding; a withdrawal also to one that heard of its end."""
    kind = _ending(alert)
    traits = policy.destinations.get(thread.destination)
    forgotten = _replace(thread, told=None, maybe=None)
    if not (thread.knows or (kind == "withdrawn" and was_over and thread.heard)):
        reason = "already_over" if was_over and thread.heard else _NEVER
        return thread, row_of(alert, thread, kind, "suppressed", reason, now, alert.version)
    if traits is None:
        return forgotten, row_of(alert, thread, kind, "failed", "destination_gone", now, alert.version)
    if kind == "settled" and not traits.holds_open:
        return forgotten, row_of(alert, thread, kind, "suppressed", "settled", now, alert.version)
    thread = _replace(thread, pending=kind, version=alert.version, since=now)
    return thread, _pending(alert, thread, now)


def _without_unsaid(book: Book, finding_id: str, thread: Thread) -> Book:
    """The book without the cool-down of what waits in a thread, because newer news takes its place."""
    said = book.record(finding_id)
    assert said is not None, "something waits in it"
    return without_unsaid(book, finding_id, thread.destination, said.severity, thread.knows)


def _ending(alert: Alert) -> NoticeKind:
    if alert.state == "resolved":
        return "resolved"
    return "withdrawn" if alert.state == "withdrawn" else "settled"


def _pending(alert: Alert, thread: Thread, now: Micros) -> AlertRow:
    assert thread.pending is not None
    return row_of(alert, thread, thread.pending, "pending", "", now, alert.version)


def _superseded(alert: Alert, thread: Thread, now: Micros, reason: str = "superseded") -> AlertRow:
    """A notice that waited and will not be said, because there is newer news."""
    assert thread.pending is not None
    return row_of(alert, thread, thread.pending, "suppressed", reason, now, thread.version)
