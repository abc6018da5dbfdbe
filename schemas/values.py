"""The values of the contract: times, money, names, durations, each with its form and its JSON Schema.

Constraints are patterns and ranges that pydantic's core checks itself; Python runs only for times and money.
"""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, Field, JsonValue, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.interaction import Micros
from schemas.personal import personal
from schemas.timestamps import (
    DATE_PATTERN,
    TIMESTAMP_PATTERN,
    TimestampError,
    format_timestamp,
    parse_date,
    parse_timestamp,
)

NO_CONTROLS: Final = r"^[^\u0000-\u001F\u007F]*$"
NO_NUL: Final = r"^[^\u0000]*$"
REASON_PATTERN: Final = r"^W+( W+)*([.]W+( W+)*)*$".replace("W", r"[^\s\u0000-\u001F\u007F.]")
MONEY_PATTERN: Final = "^-?[0-9]{1,18}([.][0-9]{1,6})?$"
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"
MAX_REVISION: Final = 2**64 - 1
MAX_SECONDS: Final = 1_000_000_000
MAX_TEXT: Final = 65_536


def _timestamp(text: str) -> Micros:
    try:
        return parse_timestamp(text)
    except TimestampError as error:
        raise PydanticCustomError("timestamp", "{reason}", {"reason": str(error)}) from None


def _timestamp_or_date(text: str) -> Micros | str:
    try:
        return parse_timestamp(text) if len(text) > 10 else parse_date(text)
    except TimestampError as error:
        raise PydanticCustomError("timestamp", "{reason}", {"reason": str(error)}) from None


def _written(due: Micros | str) -> str:
    return due if isinstance(due, str) else format_timestamp(due)


_TIMESTAMP_SCHEMA: Final[dict[str, JsonValue]] = {
    "type": "string",
    "format": "date-time",
    "pattern": TIMESTAMP_PATTERN,
    "examples": ["2026-03-01T10:00:00+02:00"],
}
_DATE_SCHEMA: Final[dict[str, JsonValue]] = {
    "type": "string",
    "format": "date",
    "pattern": DATE_PATTERN,
    "examples": ["2026-03-01"],
}

Timestamp = Annotated[
    str,
    AfterValidator(_timestamp),
    PlainSerializer(format_timestamp, return_type=str),
    WithJsonSchema(_TIMESTAMP_SCHEMA),
]
"""An RFC 3339 time with an offset; validated into microseconds since the epoch."""

DueAt = Annotated[
    str,
    AfterValidator(_timestamp_or_date),
    PlainSerializer(_written, return_type=str),
    WithJsonSchema({"anyOf": [_TIMESTAMP_SCHEMA, _DATE_SCHEMA]}),
]
"""A time (validated into microseconds), or a date (kept as text): the end of that day in the calendar's
zone."""

Money = Annotated[
    str,
    StringConstraints(pattern=MONEY_PATTERN),
    AfterValidator(Decimal),
    PlainSerializer(lambda amount: format(amount, "f"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": MONEY_PATTERN, "examples": ["12.50"]}),
]
"""A decimal string, at most 18 digits before and 6 after the point; negative is a refund."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_CONTROLS)]
"""A name that a system gave: not empty, no control characters."""

Reference = Annotated[str, StringConstraints(min_length=1, max_length=1_024, pattern=NO_CONTROLS)]
"""A longer name (a Message-ID, a menu path): not empty, no control characters."""

Identifier = Annotated[str, StringConstraints(max_length=320, pattern=NO_NUL), personal("identifier")]
"""Names a customer; blank is absent. It is normalised after validation, and never refused for its form."""

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
"""A duration. The upper bound (31 years) keeps out times that were sent in place of durations."""

AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_NUL)]
AttributeValue = Annotated[str, StringConstraints(max_length=8_192), personal("content")]
