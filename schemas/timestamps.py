"""RFC 3339 times of the contract as integer microseconds, and back.

Stricter than ISO 8601 (RFC 3339, section 5.6): a full date and time with an offset, `T` between them (`t` and
`z` are allowed), nothing that leaves a reader guessing: no Unix numbers, no time without an offset, no date
alone. Fractions finer than a microsecond are cut off. A leap second (`:60`) is refused, since neither Kafka
nor ClickHouse can hold it; the year is 1970 to 2261, what every part of the road can hold.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.interaction import DAY, HOUR, SECOND, Micros

MIN_YEAR: Final = 1970
MAX_YEAR: Final = 2261

TIMESTAMP_PATTERN: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,32})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
DATE_PATTERN: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEGIN: Final[Micros] = (datetime(MIN_YEAR, 1, 1, tzinfo=UTC) - EPOCH).days * DAY
_END: Final[Micros] = (datetime(MAX_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH).days * DAY
_EXAMPLE: Final = "2026-03-01T10:00:00+02:00"
_SHAPE: Final = re.compile(TIMESTAMP_PATTERN)
_DATE_SHAPE: Final = re.compile(DATE_PATTERN)
_fromisoformat = datetime.fromisoformat

_MINUTES: Final = {f"{minute:02}:": minute * 60 * SECOND for minute in range(60)}
_SECONDS: Final = {f"{second:02}.": second * SECOND for second in range(60)}
_MILLISECONDS: Final = {f"{milli:03}Z": milli * 1_000 for milli in range(1_000)}
_HOURS_KEPT: Final = 10_000
_hours: Final[dict[str, Micros]] = {}
"""The beginnings of times that were read already (`2026-03-01T10:`), and the instant of that hour."""


class TimestampError(ValueError):
    """The text is not a time (or date) of the contract; the message says what is expected, without the
    text."""


def parse_timestamp(text: str) -> Micros:
    """The instant of an RFC 3339 time; raise `TimestampError`.

    >>> parse_timestamp("1970-01-01T02:00:01.5+02:00")
    1500000
    """
    if len(text) == 24:
        # The commonest form, `2026-03-01T10:00:00.000Z`: to look up four pieces takes two thirds of reading it.
        try:
            hour, minute = _hours[text[:14]], _MINUTES[text[14:17]]
            return hour + minute + _SECONDS[text[17:20]] + _MILLISECONDS[text[20:]]
        except KeyError:
            pass
    instant = _parsed(text)
    if len(text) == 24 and text[10] == "T" and text[23] == "Z":
        if len(_hours) >= _HOURS_KEPT:
            _hours.clear()
        _hours[text[:14]] = instant - instant % HOUR
    return instant


def _parsed(text: str) -> Micros:
    # To the second, as every third character and the end tell: `fromisoformat` then reads nothing but digits between.
    if text[4:20:3] != "--T::Z" or len(text) != 20:
        if _SHAPE.match(text) is None or text[-1] == "\n":
            raise TimestampError(_wrong_shape(text))
        if text[-1] == "z":
            text = text[:-1] + "Z"
    try:
        since = _fromisoformat(text) - EPOCH
    except ValueError:
        raise TimestampError(
            _wrong_shape(text) if _SHAPE.match(text) is None else _wrong_value(text)
        ) from None
    instant = since.days * DAY + since.seconds * SECOND + since.microseconds
    if _BEGIN <= instant < _END:
        return instant
    raise TimestampError(f"the year must be {MIN_YEAR} to {MAX_YEAR} in UTC")


def instant_of_record(milliseconds: int) -> Micros | None:
    """The instant of a record's timestamp; None where it has none (-1), or one that nobody means.

    Clients set it as they like, also in microseconds or nanoseconds: years that no part of the road can hold.

    >>> instant_of_record(1_500)
    1500000
    """
    instant = milliseconds * 1_000
    return instant if _BEGIN <= instant < _END else None


def parse_date(text: str) -> str:
    """A calendar date `YYYY-MM-DD`, returned as it is; raise `TimestampError`."""
    if _DATE_SHAPE.match(text) is None or text[-1] == "\n":
        raise TimestampError(f"expected a date such as 2026-03-01 or a time such as {_EXAMPLE}")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise TimestampError("this day does not exist") from None
    if not MIN_YEAR <= day.year <= MAX_YEAR:
        raise TimestampError(f"the year must be {MIN_YEAR} to {MAX_YEAR}")
    return text


def format_timestamp(micros: Micros) -> str:
    """The instant in UTC, as short as is exact.

    >>> format_timestamp(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return (EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def _wrong_shape(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        return f"a number is no time: write RFC 3339 such as {_EXAMPLE}"
    if _DATE_SHAPE.match(text):
        return f"a date alone is not enough: write RFC 3339 with a time and an offset, such as {_EXAMPLE}"
    if _SHAPE.match(text + "Z"):
        return f"the offset from UTC is missing: write it, such as {_EXAMPLE}"
    return f"expected an RFC 3339 time with an offset, such as {_EXAMPLE}"


def _wrong_value(text: str) -> str:
    if text[17:19] == "60":
        return "leap seconds (:60) cannot be stored: write :59, or the second after"
    return "this date, time or offset does not exist"
