"""What the passing of time means: holds that end, repetitions, notices given up, findings forgotten."""

from collections.abc import Sequence

import msgspec

from schemas.alerts import AlertRow, decode_alert
from schemas.interaction import Micros
from schemas.notices import NoticeKind
from streams.core.alerting.book import (
    Book,
    Decided,
    Hush,
    Record,
    Thread,
    with_record,
    with_thread,
)
from streams.core.alerting.decide import offer
from streams.core.alerting.flood import Gate
from streams.core.alerting.flood_windows import pass_time
from streams.core.alerting.outbox import given_up
from streams.core.alerting.policy import AlertPolicy, rank
from streams.core.alerting.schedule import HUSHED, held_back, scheduled

_replace = msgspec.structs.replace


def wake(book: Book, gate: Gate, now: Micros, policy: AlertPolicy) -> Decided:
    """The book at `now`.

    What a cool-down or a hush held back and still stands is told once that is over. A finding whose hush ended is told
    again (`reminded`) to those who know it as something that was hushed, or were spared something of it, not to those
    who were told something graver meanwhile. What a flood folded stays folded. Before `book.due` nothing
    changes.
    """
    rows: list[AlertRow] = []
    if book.flood is not None:
        passed = pass_time(book, now, policy)
        book = passed.book
        rows += passed.rows
    book, given = given_up(book, now, policy)
    rows += given
    ended = tuple(hush for hush in book.hushes if hush.until <= now)
    book = _replace(
        book,
        cooled=tuple(item for item in book.cooled if now < item.until),
        hushes=tuple(hush for hush in book.hushes if now < hush.until),
    )
    for record in book.records:
        if record.state != "open":
            continue
        over = tuple(hush for hush in ended if hush.covers(record))
        for thread in record.threads:
            book, told = _continue(book, record.finding_id, thread, over, gate, now, policy)
            rows += told
    records = tuple(record for record in book.records if not _forgettable(record, now, policy))
    return Decided(scheduled(_replace(book, records=records), policy), tuple(rows))


def _continue(
    book: Book,
    finding_id: str,
    thread: Thread,
    over: Sequence[Hush],
    gate: Gate,
    now: Micros,
    policy: AlertPolicy,
) -> tuple[Book, list[AlertRow]]:
    """What waits at one destination from now on. `over` are the hushes of this finding that have ended."""
    record = book.record(finding_id)
    assert record is not None
    if thread.pending is not None:
        return book, []
    if thread.destination not in policy.destinations:  # configured no more: nobody to repeat it to
        gone = _replace(thread, held=None, repeat_at=None)
        return with_record(book, with_thread(record, gone)), []
    due = thread.repeat_at is not None and thread.repeat_at <= now
    if thread.told is None:
        if thread.held in (None, "flood") or held_back(book, record, thread.destination, now):
            return book, []
    elif not _spared(thread, over) or held_back(book, record, thread.destination, now, cooling=False):
        if due:
            repeated = _replace(thread, pending="repeated", version=record.version, since=now)
            book = with_record(book, with_thread(record, repeated))
        return book, []
    alert = decode_alert(record.alert)
    kind: NoticeKind = "raised" if thread.told is None else "reminded"
    book, thread, row = offer(book, record, alert, thread, kind, gate, now, policy)
    return with_record(book, with_thread(record, thread)), [row]


def _spared(thread: Thread, over: Sequence[Hush]) -> bool:
    """Whether a destination that knows of a finding was spared something of it that it may hear from now on."""
    return thread.held in HUSHED or any(rank(thread.told) <= rank(hush.severity) for hush in over)


def _forgettable(record: Record, now: Micros, policy: AlertPolicy) -> bool:
    if record.over_at is None or now < record.over_at + policy.memory:
        return False
    return all(thread.pending is None for thread in record.threads)
