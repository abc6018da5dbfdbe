"""What holds a notice back, and when a book is due."""

from typing import Final

import msgspec

from schemas.interaction import Micros
from streams.core.alerting.book import Book, Flood, Held, Record, Thread
from streams.core.alerting.policy import AlertPolicy, rank

NEVER: Final[Micros] = -1
"""An instant before every other: by then no hold has ended."""

AT_ONCE: Final[Micros] = 0
"""Due: what held it back is gone before its time."""

HUSHED: Final = frozenset({"acknowledged", "snoozed"})
"""Why something is held back because people said so."""

_PASSING: Final = HUSHED | {"cool_down"}


def held_back(
    book: Book, record: Record, destination: str, now: Micros, *, cooling: bool = True
) -> Held | None:
    """Why this finding may not be told to this destination now; None when it may."""
    severity = rank(record.severity)
    for hush in book.hushes:
        if hush.covers(record) and now < hush.until and severity <= rank(hush.severity):
            return hush.held
    for cooled in book.cooled if cooling else ():
        if (
            (cooled.rule, cooled.destination) == (record.rule, destination)
            and now < cooled.until
            and severity <= rank(cooled.severity)
        ):
            return "cool_down"
    return None


def has_nothing_to_say(flood: Flood, thread: Thread) -> bool:
    """Whether a destination waits for a summary of nothing, or believes in a flood of which nothing stands."""
    line = flood.line(thread.destination)
    if thread.pending == "folded":
        return not line.reported
    if thread.pending not in (None, "repeated") or thread.held == "flood":
        return False
    return thread.knows is not None and not (line.folded or line.standing)


def scheduled(book: Book, policy: AlertPolicy) -> Book:
    """The book with `due` and `waiting` as its contents say; each step ends with this."""
    instants = [item.until for item in book.cooled] + [item.until for item in book.hushes]
    waiting = 0
    for record in book.records:
        if record.over_at is not None and all(thread.pending is None for thread in record.threads):
            instants.append(record.over_at + policy.memory)
        for thread in record.threads:
            if book.flood is not None and has_nothing_to_say(book.flood, thread):
                instants.append(AT_ONCE)
            if thread.pending is not None:
                waiting += 1
                instants.append(thread.since + policy.give_up)
                continue
            if thread.repeat_at is not None:
                instants.append(thread.repeat_at)
            if thread.held in _PASSING and not held_back(
                book, record, thread.destination, NEVER, cooling=thread.told is None
            ):
                instants.append(AT_ONCE)
    if book.flood is not None:
        instants.append(book.flood.window + policy.flood_window)
    return msgspec.structs.replace(book, due=min(instants, default=None), waiting=waiting)
