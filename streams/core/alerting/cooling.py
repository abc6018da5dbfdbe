"""Cool-downs: who was told of a rule is spared what is as severe or milder for a while.

Each finding that is told starts its own, so that one that turns out untrue takes nobody else's along.
"""

import msgspec

from schemas.alerts import Alert
from schemas.findings import Severity
from schemas.interaction import SECOND, Micros
from streams.core.alerting.book import Book, Cooled
from streams.core.alerting.policy import AlertPolicy, rank


def with_cool_down(book: Book, alert: Alert, destination: str, now: Micros, policy: AlertPolicy) -> Book:
    """The book with a cool-down from now on, because of this alert. One of another severity goes on beside it."""
    duration = policy.cool_down if alert.cool_down is None else int(alert.cool_down * SECOND)
    if duration <= 0:
        return book
    begun = Cooled(alert.rule, destination, now + duration, alert.severity, alert.finding_id)
    others = tuple(item for item in book.cooled if not _replaces(begun, item))
    return msgspec.structs.replace(book, cooled=(*others, begun))


def without_unsaid(
    book: Book, finding_id: str, destination: str, unsaid: Severity, known: Severity | None
) -> Book:
    """The book after a notice of severity `unsaid` came to nothing: who was not told needs not to be spared.

    `known` is the severity under which the destination knows the finding, None when it does not.
    """
    if rank(unsaid) <= rank(known):
        return book
    begun = (finding_id, destination, unsaid)
    left = (item for item in book.cooled if (item.finding_id, item.destination, item.severity) != begun)
    return msgspec.structs.replace(book, cooled=tuple(left))


def without_untrue(book: Book, finding_id: str) -> Book:
    """The book after a finding was withdrawn: it never was true, so it must not hide one that is, from anybody."""
    left = tuple(item for item in book.cooled if item.finding_id != finding_id)
    return msgspec.structs.replace(book, cooled=left)


def _replaces(begun: Cooled, item: Cooled) -> bool:
    return (begun.rule, begun.destination, begun.finding_id, begun.severity) == (
        item.rule,
        item.destination,
        item.finding_id,
        item.severity,
    )
