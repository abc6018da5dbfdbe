"""Lengths of time as people say them."""

from schemas.interaction import DAY, SECOND, Micros
from streams.core.detection.calendars import HOUR


def spoken(span: Micros) -> str:
    """The two largest units, cut off: `2 d 3 h`, `5 min`, `40 s`.

    >>> spoken(2 * DAY + 3 * HOUR + 59 * SECOND), spoken(40 * SECOND)
    ('2 d 3 h', '40 s')
    """
    parts: list[str] = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (60 * SECOND, "min"), (SECOND, "s")):
        amount, span = divmod(span, unit)
        if amount:
            parts.append(f"{amount} {name}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"
