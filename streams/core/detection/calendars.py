"""Working time: how much of it has passed between two instants, and when so much of it will have passed.

A calendar is a week of opening blocks in one time zone, less holidays. Time zones and holidays are given to it as
functions, so nothing here reads a clock or a database. Working time is real time that elapsed inside opening blocks:
a block across a change of the clocks has as many hours as really passed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from schemas.interaction import DAY, SECOND, Micros

HOUR: Final = 3_600 * SECOND
NEVER_AFTER_DAYS: Final = 3_660
"""A calendar that has not opened for ten years never will."""
_REMEMBERED: Final = 8_192

Zone = Callable[[Micros], Micros]
"""From wall-clock time (microseconds since 1970-01-01 00:00 on that wall) to the instant. It never goes back: a time
that the clocks skip is the instant of the change, one that they show twice is the first of the two."""

Block = tuple[Micros, Micros]
"""Opening and closing as time since local midnight; the closing may be 24 hours."""

Pause = tuple[Micros, Micros | None]
"""From when to when a clock stands still; None: still."""


def utc(wall: Micros) -> Micros:
    """The zone whose clocks show UTC."""
    return wall


def no_holiday(day: int) -> bool:  # noqa: ARG001 - the shape of a holiday test
    """The holidays of a calendar without any."""
    return False


OFFICE_WEEK: Final[tuple[tuple[Block, ...], ...]] = (((9 * HOUR, 17 * HOUR),),) * 5 + ((), ())
"""Monday to Friday, 09:00-17:00."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When somebody is at work. `week` begins on Monday; `holiday` takes days since 1970-01-01.

    Blocks of a day are sorted and do not overlap.
    """

    week: tuple[tuple[Block, ...], ...] = OFFICE_WEEK
    zone: Zone = utc
    holiday: Callable[[int], bool] = no_holiday
    _days: dict[int, tuple[Block, ...]] = field(default_factory=dict, repr=False, compare=False)
    _deadlines: dict[tuple[Micros, Micros], Micros | None] = field(
        default_factory=dict, repr=False, compare=False
    )

    def midnight(self, day: int) -> Micros:
        """The instant at which a local day begins."""
        return self.zone(day * DAY)

    def end_of_day(self, date: str) -> Micros:
        """The instant at which a local day (`2026-03-01`) is over: the next one's beginning."""
        return self.midnight(day_number(date) + 1)

    def worked(self, begin: Micros, end: Micros) -> Micros:
        """Working time between two instants; zero when `end` is not after `begin`."""
        if end <= begin:
            return 0
        total = 0
        for day in count(self._local_day(begin)):
            if self.midnight(day) >= end:
                return total
            for opens, closes in self._open(day):
                total += max(0, min(closes, end) - max(opens, begin))
        raise AssertionError("unreachable")

    def deadline(self, begin: Micros, amount: Micros) -> Micros | None:
        """The last instant by which no more than `amount` of working time has passed since `begin`.

        Acting exactly then is in time. Eight hours that are full at closing time are still eight until the
        next opening, so that is the deadline. None if the calendar never opens again.
        """
        known = self._deadlines
        key = (begin, amount)
        if key not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[key] = self._deadline(begin, amount)
        return known[key]

    def deadline_with_pauses(self, begin: Micros, amount: Micros, pauses: Sequence[Pause]) -> Micros | None:
        """The same with a clock that stands still during `pauses` (sorted, disjoint); None while it stands
        still without an end, or for ever.
        """
        for since, until in pauses:
            found = self.deadline(begin, amount)
            if found is None or found < since:
                return found
            if until is None:
                return None
            amount -= self.worked(begin, since)
            begin = until
        return self.deadline(begin, amount)

    def _deadline(self, begin: Micros, amount: Micros) -> Micros | None:
        first = self._local_day(begin)
        for day in range(first, first + NEVER_AFTER_DAYS):
            for opens, closes in self._open(day):
                if closes <= begin:
                    continue
                since = max(opens, begin)
                if since + amount < closes:
                    return since + amount
                amount -= closes - since
        return None

    def _local_day(self, instant: Micros) -> int:
        day = instant // DAY + 1
        while self.midnight(day) > instant:
            day -= 1
        return day

    def _open(self, day: int) -> tuple[Block, ...]:
        """The opening blocks of a local day, as instants."""
        found = self._days.get(day)
        if found is None:
            found = ()
            if not self.holiday(day):
                midnight = day * DAY
                blocks = self.week[(day + 3) % 7]  # 1970-01-01 was a Thursday
                instants = (
                    (self.zone(midnight + opens), self.zone(midnight + closes)) for opens, closes in blocks
                )
                found = tuple((opens, closes) for opens, closes in instants if opens < closes)
            if len(self._days) >= _REMEMBERED:
                self._days.clear()
            self._days[day] = found
        return found


DEFAULT_CALENDAR: Final = Calendar()
"""Monday to Friday, 09:00-17:00, UTC, without holidays."""


def day_number(date: str) -> int:
    """Days from 1970-01-01 to a date of the proleptic Gregorian calendar written `YYYY-MM-DD`.

    Counted in years that begin in March, so that the leap day is a year's last (H. Hinnant, "chrono-compatible
    low-level date algorithms").
    """
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:10])
    year -= month <= 2
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719_468
