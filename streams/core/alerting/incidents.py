"""Incidents of floods that several partitions were told of under one name, that of one of them: the host.

The worker that has the host ends the incident once nothing stands in any of its partitions. So the host remembers an
incident for as long as others stand in it, and a partition that comes to a worker without its host is told of anew,
under an incident of that worker: nobody ends what another one may still rely on.
"""

from collections.abc import Collection

import msgspec

from schemas.alerts import decode_alert
from schemas.interaction import Micros
from streams.core.alerting.book import Book, Decided, Flood, Thread, row_of, with_record, with_thread
from streams.core.alerting.flood_windows import with_line
from streams.core.alerting.outbox import Receipt
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.schedule import scheduled

_replace = msgspec.structs.replace


def postponed(book: Book, receipt: Receipt, now: Micros, policy: AlertPolicy) -> Decided:
    """Nothing stands in the host any more, but in others: it remembers the incident, and the end does not wait."""
    record = book.record(receipt.finding_id)
    if record is None:
        return Decided(book)
    thread = record.thread(receipt.destination)
    if (thread.pending, thread.version, thread.since) != (receipt.kind, receipt.version, receipt.since):
        return Decided(book)
    thread = _replace(thread, pending=None, held="flood")
    alert = decode_alert(record.alert)
    row = row_of(alert, thread, receipt.kind, "suppressed", "stands_elsewhere", now, receipt.version)
    return Decided(scheduled(with_record(book, with_thread(record, thread)), policy), (row,))


def taken_over(book: Book, here: Collection[int], policy: AlertPolicy) -> Book:
    """The guard in the hands of a worker that has the partitions `here`; taken over twice, it is as taken over once."""
    flood = book.flood
    assert flood is not None, "a guard"
    for record in book.records:
        for thread in record.threads:
            if thread.knows is None or thread.incident is None:
                continue
            if thread.incident in here:
                thread_here = _replace(thread, held=None)
            else:
                thread_here, flood = _moved(thread, flood, thread.incident)
            book = with_record(
                _replace(book, flood=flood),
                with_thread(book.record(record.finding_id) or record, thread_here),
            )
    return scheduled(book, policy)


def _moved(thread: Thread, flood: Flood, incident: int) -> tuple[Thread, Flood]:
    """A thread that was told under an incident whose host is elsewhere: what stands waits to be told anew."""
    line = flood.line(thread.destination)
    fresh = _replace(thread, told=None, maybe=None, incident=None, held=None, repeat_at=None, pending=None)
    if not line.standing:
        return fresh, flood
    line = _replace(
        line,
        reported=line.standing,
        reported_since=flood.since,
        reported_until=flood.window,
        reported_examples=(),
    )
    # Not now, but an instant that follows from what is stored: whoever takes it over next says the same delivery.
    since = flood.window + 1 + incident
    return _replace(fresh, pending="folded", version=flood.window, since=since), with_line(flood, line)
