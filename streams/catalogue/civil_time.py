"""Time zones (IANA) and public holidays, as the functions that `streams.core.detection.calendars` works with.

Here are the tables that people change: the time zone database (`zoneinfo`, with `tzdata` where the system has none)
and the holidays of countries (`holidays`). The core knows neither.
"""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.interaction import Micros
from streams.core.detection.calendars import Zone, utc

_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE: Final = timedelta(microseconds=1)
_FIRST_DAY: Final = date(1970, 1, 1)


class UnknownZone(ValueError):
    """The IANA time zone database has no such zone."""


class UnknownCountry(ValueError):
    """No holidays are known of that country, or of that part of it."""


@lru_cache(maxsize=64)
def zone_of(name: str) -> Zone:
    """The zone of an IANA name (`Europe/Sofia`); raises `UnknownZone`."""
    if name == "UTC":
        return utc
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(
            f"{name!r} is no time zone; write an IANA name such as Europe/Sofia or UTC"
        ) from None

    @lru_cache(maxsize=16_384)
    def instant(wall: Micros) -> Micros:
        local = _EPOCH + timedelta(microseconds=wall)
        before = local.replace(tzinfo=zone).utcoffset() or timedelta()
        after = local.replace(tzinfo=zone, fold=1).utcoffset() or timedelta()
        first = wall - before // _ONE
        if after <= before:  # unambiguous, or shown twice: the first of the two
            return first
        return _change_between(zone, wall - after // _ONE, first)

    return instant


def _change_between(zone: ZoneInfo, early: Micros, late: Micros) -> Micros:
    """The instant, after `early` and not after `late`, from which on the clocks of a zone run ahead."""
    ahead = _offset(zone, late)
    while late - early > 1:
        middle = (early + late) // 2
        if _offset(zone, middle) == ahead:
            late = middle
        else:
            early = middle
    return late


def _offset(zone: ZoneInfo, instant: Micros) -> timedelta:
    return (_EPOCH_UTC + timedelta(microseconds=instant)).astimezone(zone).utcoffset() or timedelta()


def holidays_of(
    country: str | None, subdivision: str | None = None, dates: Collection[str] = ()
) -> Callable[[int], bool]:
    """Whether a day (since 1970-01-01) is a public holiday of a country, or one of the explicit `dates`.

    `country` is ISO 3166-1 alpha-2 (`BG`), `subdivision` its part as ISO 3166-2 writes it behind the hyphen (`BY` of
    `DE-BY`). Raises `UnknownCountry`.
    """
    explicit = frozenset((date.fromisoformat(day) - _FIRST_DAY).days for day in dates)
    if country is None:
        return explicit.__contains__
    import holidays  # a fifth of a second that only calendars with a country spend

    try:
        table = holidays.country_holidays(country, subdiv=subdivision)
    except NotImplementedError as error:
        raise UnknownCountry(str(error)) from None

    def is_holiday(day: int) -> bool:
        return day in explicit or (_FIRST_DAY + timedelta(days=day)) in table

    return is_holiday
