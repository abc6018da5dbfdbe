"""The values of a rule file: durations, amounts, conditions, names of fields, sentences, each with what it may be."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.interaction import DAY, SECOND, Micros
from streams.core.detection.calendars import NEVER_AFTER_DAYS
from streams.core.detection.conditions import ConditionError, compile_condition, field_hints, reader_of
from streams.core.detection.operands import amounts_among, holds_any_text
from streams.core.detection.sentences import SentenceError, read_sentence
from streams.durations import parse_duration

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500)]

LONGEST: Final[Micros] = NEVER_AFTER_DAYS * DAY
"""No duration of a rule is longer: ten years."""


def _span(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise PydanticCustomError("duration", "write a duration such as 7d, 8h or 90s")
    try:
        span = parse_duration(str(value))
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None
    micros = (span.days * DAY) + span.seconds * SECOND + span.microseconds
    if micros < 0:
        raise PydanticCustomError("duration", "a duration is not negative")
    if micros > LONGEST:
        raise _too_long()
    return micros


def _too_long() -> PydanticCustomError:
    return PydanticCustomError("duration", "a duration is {days}d at most", {"days": LONGEST // DAY})


def _lasting(span: Micros) -> Micros:
    if not span:
        raise PydanticCustomError("duration", "no time at all: write a duration above zero, such as 7d")
    return span


def _condition(value: dict[str, Any]) -> dict[str, Any]:
    try:
        compile_condition(value)
    except ConditionError as error:
        path = list(error.path)
        raise PydanticCustomError("condition", "{reason}", {"reason": error.reason, "path": path}) from None
    return value


def _hint_of(name: str) -> Any:
    try:
        return reader_of(name)[1]
    except ConditionError as error:
        raise PydanticCustomError("field", "{reason}", {"reason": error.reason}) from None


def _field_name(name: str) -> str:
    _hint_of(name)
    return name


def _amount_name(name: str) -> str:
    _hint_of(name)
    amounts = amounts_among(field_hints())
    if name not in amounts:
        raise PydanticCustomError(
            "field",
            "{name} holds no amount; write one of {amounts}",
            {"name": repr(name), "amounts": ", ".join(amounts)},
        )
    return name


def _reference_name(name: str) -> str:
    if not holds_any_text(_hint_of(name)):
        raise PydanticCustomError(
            "field",
            "{name} cannot hold the id of an interaction; write a field of text",
            {"name": repr(name)},
        )
    return name


def _template(sentence: str) -> str:
    try:
        read_sentence(sentence)
    except SentenceError as error:
        raise PydanticCustomError("sentence", "{reason}", {"reason": str(error)}) from None
    return sentence


Span = Annotated[Micros, BeforeValidator(_span)]
Lasting = Annotated[Span, AfterValidator(_lasting)]
When = Annotated[dict[str, Any], AfterValidator(_condition)]
FieldName = Annotated[str, AfterValidator(_field_name)]
AmountName = Annotated[str, AfterValidator(_amount_name)]
ReferenceName = Annotated[str, AfterValidator(_reference_name)]
Template = Annotated[Sentence, AfterValidator(_template)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Closed(BaseModel):
    """Unknown entries are errors, types are strict, nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)
