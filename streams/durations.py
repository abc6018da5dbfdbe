"""Durations as people write them: `7d`, `12h`, `90s`, `1d12h`, a number of seconds, or ISO 8601 (`P7D`)."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms])", re.IGNORECASE)
_WHOLE = re.compile(rf"\s*(?:{_PART.pattern}\s*)+", re.IGNORECASE)
_ISO = TypeAdapter(timedelta)


def parse_duration(text: str) -> timedelta:
    """Parse a duration; raise ValueError that shows the accepted forms.

    >>> parse_duration("1d12h"), parse_duration("90"), parse_duration("P7D")
    (datetime.timedelta(days=1, seconds=43200), datetime.timedelta(seconds=90), datetime.timedelta(days=7))
    """
    if _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(text))
        try:
            return timedelta(seconds=seconds)
        except OverflowError:
            raise ValueError(f"{text!r} is longer than a duration can be (999,999,999 days)") from None
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        return _ISO.validate_python(text.strip())
    except ValidationError:
        raise ValueError(
            f"{text!r} is not a duration; write 7d, 12h, 30m, 90s, 1d12h, seconds, or P7D"
        ) from None


def _from_text(value: Any) -> Any:
    # To Python true is the number 1, and would be a second.
    if isinstance(value, bool):
        raise ValueError("a truth value is not a duration; write 7d, 12h, 30m, 90s, 1d12h, seconds, or P7D")
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_from_text)]
