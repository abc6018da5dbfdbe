"""What a rule file may say. One file is one rule; what makes it stand is a list of cases, each of one kind.

The models say what is valid; `streams.core.detection.ruleset` compiles them. Durations are written `7d`, `8h`, `90s`;
here they are microseconds.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.findings import Severity
from schemas.interaction import DAY, SECOND, Micros
from streams.core.detection.calendars import HOUR, Block, day_number
from streams.core.detection.conditions import ConditionError, compile_condition, reader_of
from streams.durations import parse_duration

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500)]
SubjectKey = Literal["case", "order", "reason", "thread"]
SUBJECT_KEYS: Final[tuple[SubjectKey, ...]] = ("case", "order", "reason", "thread")

DEFAULT_WEIGHTS: Final[dict[Severity, float]] = {"minor": 1.0, "major": 3.0, "severe": 10.0}


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
    return micros


def _condition(value: dict[str, Any]) -> dict[str, Any]:
    try:
        compile_condition(value)
    except ConditionError as error:
        path = list(error.path)
        raise PydanticCustomError("condition", "{reason}", {"reason": error.reason, "path": path}) from None
    return value


def _field_name(name: str) -> str:
    try:
        reader_of(name)
    except ConditionError as error:
        raise PydanticCustomError("field", "{reason}", {"reason": error.reason}) from None
    return name


Span = Annotated[Micros, BeforeValidator(_span)]
When = Annotated[dict[str, Any], AfterValidator(_condition)]
FieldName = Annotated[str, AfterValidator(_field_name)]


class Closed(BaseModel):
    """Unknown entries are errors, types are strict, nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


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
    if isinstance(text, str) and re.match(r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", text):
        day_number(text)
        return text
    raise PydanticCustomError("date", "write a date as text: '2026-03-03'")


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
    holidays: list[Annotated[str, BeforeValidator(_date)]] = []
    """Further days that are closed."""

    @model_validator(mode="after")
    def _opens_at_all(self) -> "CalendarFile":
        if not any(self.week.values()):
            raise PydanticCustomError("calendar", "the calendar never opens: give at least one day its hours")
        for day, hours in self.week.items():
            for (_, closes), (opens, _) in zip(sorted(hours), sorted(hours)[1:], strict=False):
                if opens < closes:
                    raise PydanticCustomError("calendar", "the hours of {day} overlap", {"day": day})
        return self

    def blocks(self) -> tuple[tuple[Block, ...], ...]:
        """The week from Monday on."""
        return tuple(tuple(sorted(self.week.get(day, []))) for day in _DAYS)


class _Case(Closed):
    """What the cases of every kind have in common."""

    name: Slug = "default"
    """Tells the cases of a rule apart; it is part of a finding's identity."""
    severity: Severity
    sentence: Sentence | None = None
    """In place of the rule's."""
    action: Sentence | None = None
    """In place of the rule's."""
    channel: Literal["anchor", "first", "last"] = "anchor"
    """The process that it counts for: the channel of the anchor, or of the first or last piece of evidence."""


class Level(Closed):
    """A condition and the severity that it means."""

    where: When
    severity: Severity


class Worse(Closed):
    """What makes it worse: something of the same customer not long before."""

    earlier: When
    within: Span
    severity: Severity


class ThresholdCase(_Case):
    """One interaction that fulfils a condition: one finding each."""

    kind: Literal["threshold"]
    where: When
    levels: list[Level] = []
    """The first that holds gives the severity; where there are levels, one must hold."""
    worse: Worse | None = None


class RepeatCase(_Case):
    """So many interactions (or so many different values of a field) about one subject within a time."""

    kind: Literal["repeat"]
    where: When
    at_least: Annotated[int, Field(ge=2)]
    within: Span
    distinct: FieldName | None = None
    """Count different values of this field, not interactions."""
    per: list[SubjectKey] = list(SUBJECT_KEYS)
    """Keys to count by; of findings with equal evidence the key that is named first stays."""
    put_right_by: When | None = None


class Waiting(Closed):
    """While the clock stands still: what begins it and what ends it, both of the same subject."""

    since: When
    until: When


class AbsenceCase(_Case):
    """Something expected that has not come in time."""

    kind: Literal["absence"]
    after: When
    """What makes it expected."""
    unless: When | None = None
    """What fulfils it when it comes; required unless `kept_by` is given."""
    kept_by: list[FieldName] = []
    """Fields of a later interaction that name the id of the one that made it expected."""
    within: Span | None = None
    due: Literal["promise"] | None = None
    working_time: bool = False
    """Whether `within` counts the calendar's working time."""
    waiting: Waiting | None = None
    episode: bool = False
    """Whether all that `after` selects until it is fulfilled is one finding."""

    @model_validator(mode="after")
    def _is_definite(self) -> "AbsenceCase":
        if (self.within is None) == (self.due is None):
            raise PydanticCustomError("absence", "give either within or due")
        if (self.unless is None) == (not self.kept_by):
            raise PydanticCustomError("absence", "give either unless or kept_by")
        if self.waiting is not None and (self.within is None or self.unless is None):
            raise PydanticCustomError("absence", "waiting needs within and unless")
        if self.episode and self.unless is None:
            raise PydanticCustomError("absence", "an episode needs unless")
        return self


class Comparison(Closed):
    """What ties the expected amounts to the actual ones, and how they are compared."""

    key: FieldName
    compare: Literal["each", "sum"]


class Severe(Closed):
    """From which excess on the severity is another; either suffices."""

    severity: Severity
    percent: Annotated[float, Field(ge=0)]
    units: Annotated[float, Field(ge=0)]


class MismatchCase(_Case):
    """An amount above the one that was agreed."""

    kind: Literal["mismatch"]
    expected: FieldName
    actual: FieldName
    same: list[FieldName] = []
    """Fields that must be equal (a currency); absent equals absent."""
    by: Annotated[list[Comparison], Field(min_length=1)]
    """Tried in this order."""
    tolerance: Annotated[float, Field(ge=0)] = 0
    within: Span
    """Amounts of one key with a longer silence between them have nothing to do with each other."""
    from_excess: Severe | None = None


class SequenceCase(_Case):
    """One thing and then, strictly later and within a time, another."""

    kind: Literal["sequence"]
    first: When
    then: When
    within: Span
    same_subject: bool = True
    last_of: When | None = None
    """`first` must hold for the last interaction before `then` of those that this selects."""
    anchor: Literal["first", "then"] = "then"
    put_right_by: When | None = None


class AccumulationCase(_Case):
    """Many findings of one severity within a time, and none that outweighs them."""

    kind: Literal["accumulation"]
    of: Severity
    at_least: Annotated[int, Field(ge=2)]
    within: Span
    without: list[Severity] = []


Case = Annotated[
    ThresholdCase | RepeatCase | AbsenceCase | MismatchCase | SequenceCase | AccumulationCase,
    Field(discriminator="kind"),
]

_FACTS: Final[dict[str, frozenset[str]]] = {
    "threshold": frozenset({"values"}),
    "repeat": frozenset({"count", "contacts", "subject", "span", "values"}),
    "absence": frozenset({"deadline", "late", "subject", "count"}),
    "mismatch": frozenset({"expected", "actual", "excess", "key", "unit"}),
    "sequence": frozenset({"span", "subject", "count", "first_channel", "then_channel"}),
    "accumulation": frozenset({"count", "span", "rules"}),
}


class RuleFile(Closed):
    """One rule as its file has it."""

    id: Slug
    title: Sentence
    enabled: bool = True
    weight: dict[Severity, Annotated[float, Field(gt=0, le=1_000)]] = {}
    """What a finding of a severity adds to the light, where it is not the usual (minor 1, major 3, severe 10)."""
    cool_down: Span
    """For so long after an alert of this rule a further one of the same customer is held back, unless it is
    graver."""
    calendar: CalendarFile = CalendarFile()
    sentence: Sentence
    """Why it stands: a template over the evidence, `{name}` being a fact of the kind or a field of the anchor."""
    action: Sentence
    """What to do about it."""
    stands_when: Annotated[list[Case], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_sound(self) -> "RuleFile":
        names = [case.name for case in self.stands_when]
        if len(set(names)) < len(names):
            raise PydanticCustomError("cases", "each case of a rule needs a name of its own")
        for case in self.stands_when:
            check_template(case.sentence or self.sentence, case.kind)
        return self

    def weight_of(self, severity: Severity) -> float:
        """What a finding of that severity adds to the light."""
        return self.weight.get(severity, DEFAULT_WEIGHTS[severity])


def check_template(template: str, kind: str) -> None:
    """Refuse a template that names what its kind does not tell."""
    facts = _FACTS[kind]
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise PydanticCustomError("sentence", "the sentence: {reason}", {"reason": str(error)}) from None
    for name in names:
        if name not in facts:
            try:
                reader_of(name)
            except ConditionError:
                raise PydanticCustomError(
                    "sentence",
                    "the sentence names {name}, which is neither a fact of {kind} ({facts}) nor a field",
                    {"name": "{" + name + "}", "kind": kind, "facts": ", ".join(sorted(facts)) or "none"},
                ) from None


def parse_rule(data: Mapping[str, Any]) -> RuleFile:
    """Validate a rule that was read; raises `pydantic.ValidationError`."""
    return RuleFile.model_validate(dict(data))
