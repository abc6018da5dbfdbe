"""The calendar of a rule file: when the company is at work."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.interaction import DAY, SECOND
from schemas.timestamps import TimestampError, parse_date
from streams.core.detection.calendars import HOUR, Block
from streams.core.detection.rule_values import Closed

_CLOCK: Final = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)$")
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _block(text: Any) -> Any:
    """`09:00-17:00` as time since midnight."""
    parts = str(text).split("-")
    clocks = [_CLOCK.match(part.strip()) for part in parts]
    if len(parts) == 2 and all(clocks):
        opens, closes = (int(clock[1]) * HOUR + int(clock[2]) * 60 * SECOND for clock in clocks if clock)
        if opens < closes <= DAY:
            return opens, closes
    raise PydanticCustomError("block", "write opening hours within a day, such as 09:00-17:00")


def _date(text: Any) -> Any:
    try:
        return parse_date(text if isinstance(text, str) else "")
    except TimestampError:
        raise PydanticCustomError("date", "write a date that exists, as text: '2026-03-03'") from None


Hours = Annotated[tuple[int, int], BeforeValidator(_block)]


class CalendarFile(Closed):
    """When the company is at work."""

    zone: str = "UTC"
    """IANA name of the time zone."""
    week: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[Hours]] = Field(
        default={day: [(9 * HOUR, 17 * HOUR)] for day in _DAYS[:5]}
    )
    """Opening hours of each day, several blocks if need be; a day that is not named is closed."""
    country: str | None = None
    """ISO 3166-1 alpha-2: its public holidays are closed."""
    subdivision: str | None = None
    """Part of the country whose own holidays count too."""
    holidays: list[Annotated[str, BeforeValidator(_date)]] = Field(default=[])
    """Further days that are closed."""

    @model_validator(mode="after")
    def _opens_at_all(self) -> "CalendarFile":
        if not any(self.week.values()):
            raise PydanticCustomError("calendar", "the calendar never opens: give at least one day its hours")
        for day, hours in self.week.items():
            for (_, closes), (opens, _) in zip(sorted(hours), sorted(hours)[1:], strict=False):
                if opens < closes:
                    raise PydanticCustomError("calendar", "the hours overlap", {"path": ["week", day]})
        return self

    def blocks(self) -> tuple[tuple[Block, ...], ...]:
        """The week from Monday on."""
        return tuple(tuple(sorted(self.week.get(day, []))) for day in _DAYS)
