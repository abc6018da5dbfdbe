"""Office hours of the simulated company: Monday to Friday, 09:00-17:00 UTC, without holidays.

It is the default calendar of the rules, so that planted troubles about slow answers are true by it.
"""

from typing import Final

from schemas.interaction import DAY, SECOND, Micros

HOUR: Final = 3_600 * SECOND
OPENS: Final = 9 * HOUR
CLOSES: Final = 17 * HOUR


def is_working(at: Micros) -> bool:
    """Whether the office is open (from 09:00 inclusive to 17:00 exclusive)."""
    return _weekday(at) < 5 and OPENS <= at % DAY < CLOSES


def next_opening(at: Micros) -> Micros:
    """`at` itself while the office is open, else the next instant at which it opens."""
    if is_working(at):
        return at
    day = at - at % DAY
    if at % DAY >= OPENS:
        day += DAY
    while _weekday(day) >= 5:
        day += DAY
    return day + OPENS


def after_working_time(at: Micros, worked: Micros) -> Micros:
    """The earliest instant by which `worked` microseconds of office time have elapsed since `at`."""
    at = next_opening(at)
    while (left := at - at % DAY + CLOSES - at) < worked:
        worked -= left
        at = next_opening(at + left)
    return at + worked


def _weekday(at: Micros) -> int:
    return (at // DAY + 3) % 7  # 1970-01-01 was a Thursday
