"""Words about what is down: once when it begins, then every so often with a count, once when it answers again.

Many tasks insist on the same thing side by side: if each said so at each attempt, a worker would write hundreds of
lines a second for as long as ClickHouse is down.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

SPOKEN_EVERY: Final = 30.0
"""Seconds between two lines about the same thing that is down."""


class Outage:
    """One thing outside that may be down, seen by all who insist on it.

    It is down from the first failed attempt until nobody is left who waits for it. What is down again soon after is
    not told before its time: a thing that comes and goes says no more than one that stays away.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self._what = what
        self._clock = clock
        self._waiting: set[object] = set()
        self._failures = 0
        self._since = 0.0
        self._quiet_until = float("-inf")
        self._told = False

    def failed(self, who: object, reason: str) -> None:
        """An attempt of `who` has failed and will be repeated."""
        now = self._clock()
        if not self._waiting:
            self._failures, self._since, self._told = 0, now, False
        self._waiting.add(who)
        self._failures += 1
        if now < self._quiet_until:
            return
        self._quiet_until = now + SPOKEN_EVERY
        if self._told:
            log.warning(
                "%s still unavailable after %.0f s, %d failed attempts: %s",
                self._what,
                now - self._since,
                self._failures,
                reason,
            )
        else:
            log.warning("%s unavailable, trying until it answers: %s", self._what, reason)
        self._told = True

    def gave_up(self, who: object) -> None:
        """`who` waits no longer, though it has not been answered."""
        self._waiting.discard(who)

    def answered(self, who: object) -> None:
        """The attempt of `who` has succeeded."""
        if who not in self._waiting:
            return
        self._waiting.discard(who)
        if self._told and not self._waiting:
            log.warning(
                "%s answers again after %.0f s and %d failed attempts",
                self._what,
                self._clock() - self._since,
                self._failures,
            )


class Outages:
    """All outages of a worker, by the name of what is down."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Outage] = {}

    def of(self, what: str) -> Outage:
        """The outage of that thing, the same one at each call."""
        return self._known.setdefault(what, Outage(what, self._clock))


OUTAGES: Final = Outages()
"""Those of this process, as its log is."""
