"""What waits to be said, and what came of saying it.

A notice is identified by its `Receipt`: when a newer one has taken its place meanwhile, what came of the older still
counts as what the destination knows.
"""

from typing import Literal, NamedTuple

import msgspec

from schemas.alerts import Alert, AlertRow, decode_alert
from schemas.findings import ERASED, Severity
from schemas.interaction import Micros
from schemas.notices import CLOSING, Folded, Notice, NoticeKind, incident_key
from schemas.timestamps import format_timestamp
from streams.core.alerting.book import (
    Book,
    Decided,
    Flood,
    Record,
    Thread,
    row_of,
    with_record,
    with_thread,
)
from streams.core.alerting.cooling import without_unsaid
from streams.core.alerting.decide import close
from streams.core.alerting.flood_windows import EXAMPLES
from streams.core.alerting.policy import AlertPolicy, rank
from streams.core.alerting.schedule import has_nothing_to_say, scheduled

_replace = msgspec.structs.replace


class Waiting(NamedTuple):
    """Where a notice waits."""

    finding_id: str
    destination: str


class Receipt(NamedTuple):
    """Which notice was tried: the finding and the destination, and what exactly was said.

    `incident` is what a summary was told under (`Thread.incident`).
    """

    finding_id: str
    destination: str
    kind: NoticeKind
    version: int
    since: Micros
    severity: Severity
    incident: int | None = None


class Sending(NamedTuple):
    """A notice to send, and its receipt."""

    notice: Notice
    receipt: Receipt


def waiting(book: Book) -> list[Waiting]:
    """Everything that waits, oldest decision first."""
    found = [
        (thread.since, Waiting(record.finding_id, thread.destination))
        for record in book.records
        for thread in record.threads
        if thread.pending is not None
    ]
    return [item for _, item in sorted(found)]


def sending(book: Book, item: Waiting) -> Sending | None:
    """The notice as it is now; None when nothing waits there any more."""
    record = book.record(item.finding_id)
    if record is None:
        return None
    thread = record.thread(item.destination)
    if thread.pending is None or (book.flood is not None and has_nothing_to_say(book.flood, thread)):
        return None
    kind = thread.pending
    alert = decode_alert(record.alert)
    if alert.reason == ERASED:
        alert = _replace(alert, customer="")
    severity = _severity(kind, alert, thread)
    receipt = Receipt(
        item.finding_id, item.destination, kind, thread.version, thread.since, severity, thread.incident
    )
    notice = Notice(
        kind=kind,
        key=incident_key(item.finding_id),
        delivery=f"{incident_key(item.finding_id)[:200]}:{thread.version}:{kind}:{thread.since}",
        severity=severity,
        told=thread.knows,
        alert=alert,
        folded=None if book.flood is None else _folded(book.flood, item.destination),
        note=next((hush.by for hush in book.hushes if hush.target == item.finding_id), ""),
    )
    return Sending(notice, receipt)


def delivered(book: Book, receipt: Receipt, now: Micros, policy: AlertPolicy) -> Decided:
    """The destination has it. When the finding has ended meanwhile, its end waits next."""
    record = book.record(receipt.finding_id)
    if record is None:
        return Decided(book)
    thread, _ = _taken(record, receipt)
    alert = decode_alert(record.alert)
    rows: list[AlertRow] = []
    if receipt.kind != "repeated":
        rows.append(row_of(alert, thread, receipt.kind, "delivered", "", now, receipt.version))
    if receipt.kind in CLOSING:
        thread = _replace(thread, told=None, maybe=None, repeat_at=None, incident=None)
    else:
        traits = policy.destinations.get(thread.destination)
        repeat = None if traits is None or traits.repeat is None else now + traits.repeat
        held = (
            thread.held if receipt.kind in ("repeated", "acknowledged") else None
        )  # neither tells anything new
        thread = _replace(thread, told=receipt.severity, maybe=None, heard=True, held=held, repeat_at=repeat)
        thread = _replace(thread, incident=receipt.incident)
        if record.state != "open":
            thread = _replace(thread, repeat_at=None)
            if thread.pending is None:
                thread, row = close(thread, alert, False, now, policy)
                rows.append(row)
        elif thread.pending in ("raised", "updated"):
            thread, joined = _overtaken(thread, alert, now)
            rows += joined
    return Decided(scheduled(with_record(book, with_thread(record, thread)), policy), tuple(rows))


def unsure(book: Book, receipt: Receipt, policy: AlertPolicy) -> Decided:
    """An attempt ended unknown: the destination may have it, so it must hear the end. The notice goes on waiting."""
    record = book.record(receipt.finding_id)
    if record is None or receipt.kind in CLOSING:
        return Decided(book)
    thread = record.thread(receipt.destination)
    if thread.knows is not None:
        return Decided(book)
    thread = _replace(thread, maybe=receipt.severity, heard=True, incident=receipt.incident)
    rows: list[AlertRow] = []
    if record.state != "open" and thread.pending is None:
        alert = decode_alert(record.alert)
        thread, row = close(thread, alert, False, thread.since, policy)
        rows.append(row)
    return Decided(scheduled(with_record(book, with_thread(record, thread)), policy), tuple(rows))


def refused(
    book: Book,
    receipt: Receipt,
    reason: str,
    now: Micros,
    policy: AlertPolicy,
    *,
    word: Literal["refused", "gave_up"],
) -> Decided:
    """It cannot be said: it has failed, and does not wait any more. The cool-down that it had begun is lifted."""
    record = book.record(receipt.finding_id)
    if record is None:
        return Decided(book)
    thread, current = _taken(record, receipt)
    if not current:
        return Decided(book)
    alert = decode_alert(record.alert)
    text = f"{word}: {reason}" if reason else word
    row = row_of(alert, thread, receipt.kind, "failed", text, now, receipt.version)
    if receipt.kind in CLOSING:
        thread = _replace(thread, told=None, maybe=None, repeat_at=None)
    else:
        book = without_unsaid(book, record.finding_id, receipt.destination, receipt.severity, thread.told)
    if thread.repeat_at is not None:
        thread = _replace(thread, repeat_at=_next_repeat(thread, now, policy))
    return Decided(scheduled(with_record(book, with_thread(record, thread)), policy), (row,))


def given_up(book: Book, now: Micros, policy: AlertPolicy) -> tuple[Book, list[AlertRow]]:
    """Notices that have waited too long, or for a destination that is configured no more, have failed."""
    rows: list[AlertRow] = []
    for record in book.records:
        for thread in record.threads:
            if thread.pending is not None and thread.since + policy.give_up <= now:
                item = sending(book, Waiting(record.finding_id, thread.destination))
                assert item is not None
                done = refused(book, item.receipt, "", now, policy, word="gave_up")
                book = done.book
                rows += done.rows
    return book, rows


def _taken(record: Record, receipt: Receipt) -> tuple[Thread, bool]:
    """The thread without this notice, and whether it still was the one that waited."""
    thread = record.thread(receipt.destination)
    current = (thread.pending, thread.version, thread.since) == (receipt.kind, receipt.version, receipt.since)
    return (_replace(thread, pending=None) if current else thread), current


def _overtaken(thread: Thread, alert: Alert, now: Micros) -> tuple[Thread, list[AlertRow]]:
    """A notice that took the place of one that was being said: what is left of it is what is more severe."""
    assert thread.pending is not None
    if rank(alert.severity) > rank(thread.told):
        return _replace(thread, pending="updated"), []
    row = row_of(alert, thread, thread.pending, "suppressed", "told_already", now, thread.version)
    return _replace(thread, pending=None), [row]


def _severity(kind: NoticeKind, alert: Alert, thread: Thread) -> Severity:
    """New news has the alert's severity; what only repeats or ends has the one that is known there."""
    if kind in ("raised", "updated", "reminded", "folded"):
        return alert.severity
    return thread.knows or alert.severity


def _folded(flood: Flood, destination: str) -> Folded:
    line = flood.line(destination)
    return Folded(
        line.reported,
        format_timestamp(line.reported_since),
        format_timestamp(line.reported_until),
        tuple(dict.fromkeys(line.reported_examples))[:EXAMPLES],
        line.standing,
    )


def _next_repeat(thread: Thread, now: Micros, policy: AlertPolicy) -> Micros | None:
    traits = policy.destinations.get(thread.destination)
    if thread.told is None or traits is None or traits.repeat is None:
        return None
    return now + traits.repeat
