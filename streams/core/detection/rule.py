"""What a rule file may say. One file is one rule; what makes it stand is a list of cases, each of one kind.

The models say what is valid, and what can be meant: what they let through is evaluated without an error
(tests/properties/test_rule_laws.py). `streams.core.detection.ruleset` compiles them. Durations are written `7d`, `8h`,
`90s`; here they are microseconds.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.findings import Severity
from schemas.interaction import DAY
from streams.core.detection.rule_calendar import CalendarFile
from streams.core.detection.rule_values import (
    LONGEST,
    Amount,
    AmountName,
    Closed,
    FieldName,
    Lasting,
    ReferenceName,
    Sentence,
    Slug,
    Span,
    Template,
    When,
)
from streams.core.detection.sentences import SentenceError, check_sentence

SubjectKey = Literal["case", "order", "reason", "thread"]
SUBJECT_KEYS: Final[tuple[SubjectKey, ...]] = ("case", "order", "reason", "thread")

DEFAULT_WEIGHTS: Final[dict[Severity, float]] = {"minor": 1.0, "major": 3.0, "severe": 10.0}


class _Case(Closed):
    """What the cases of every kind have in common."""

    name: Slug = "default"
    """Tells the cases of a rule apart; it is part of a finding's identity."""
    severity: Severity
    sentence: Template | None = None
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
    within: Lasting
    severity: Severity


class ThresholdCase(_Case):
    """One interaction that fulfils a condition: one finding each."""

    kind: Literal["threshold"]
    where: When
    levels: list[Level] = Field(default=[])
    """The first that holds gives the severity; where there are levels, one must hold."""
    worse: Worse | None = None


class RepeatCase(_Case):
    """So many interactions (or so many different values of a field) about one subject within a time."""

    kind: Literal["repeat"]
    where: When
    at_least: Annotated[int, Field(ge=2)]
    within: Lasting
    distinct: FieldName | None = None
    """Count different values of this field, not interactions."""
    per: list[SubjectKey] = Field(default=list(SUBJECT_KEYS), min_length=1)
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
    kept_by: list[ReferenceName] = Field(default=[])
    """Fields of a later interaction that name the id of the one that made it expected."""
    within: Lasting | None = None
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
        if self.working_time and self.within is None:
            raise PydanticCustomError("absence", "working_time counts within, and a promise has its own time")
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
    percent: Amount
    units: Amount


class MismatchCase(_Case):
    """An amount above the one that was agreed."""

    kind: Literal["mismatch"]
    expected: AmountName
    actual: AmountName
    same: list[FieldName] = Field(default=[])
    """Fields that must be equal (a currency); absent equals absent."""
    by: Annotated[list[Comparison], Field(min_length=1)]
    """Tried in this order."""
    tolerance: Amount = 0
    within: Lasting
    """Amounts of one key with a longer silence between them have nothing to do with each other."""
    from_excess: Severe | None = None

    @model_validator(mode="after")
    def _compares_two(self) -> "MismatchCase":
        if self.expected == self.actual:
            raise PydanticCustomError(
                "mismatch", "an amount is never above itself: name two fields", {"path": ["actual"]}
            )
        return self


class SequenceCase(_Case):
    """One thing and then, strictly later and within a time, another."""

    kind: Literal["sequence"]
    first: When
    then: When
    within: Lasting
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
    within: Lasting
    without: list[Severity] = Field(default=[])

    @model_validator(mode="after")
    def _can_be_at_all(self) -> "AccumulationCase":
        if self.of in self.without:
            raise PydanticCustomError(
                "accumulation",
                "{of} is what it counts: without any of them it never stands",
                {"of": self.of, "path": ["without"]},
            )
        return self


Case = Annotated[
    ThresholdCase | RepeatCase | AbsenceCase | MismatchCase | SequenceCase | AccumulationCase,
    Field(discriminator="kind"),
]


class RuleFile(Closed):
    """One rule as its file has it."""

    id: Slug
    title: Sentence
    enabled: bool = True
    weight: dict[Severity, Annotated[float, Field(gt=0, le=1_000)]] = Field(default={})
    """What a finding of a severity adds to the light, where it is not the usual (minor 1, major 3, severe 10)."""
    cool_down: Span
    """For so long after an alert of this rule a further one of the same customer is held back, unless it is
    graver."""
    calendar: CalendarFile = CalendarFile()
    sentence: Template
    """Why it stands: a template over the evidence, `{name}` being a fact of the kind or a field of the anchor."""
    action: Sentence
    """What to do about it."""
    stands_when: Annotated[list[Case], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_sound(self) -> "RuleFile":
        named: dict[str, int] = {}
        for place, case in enumerate(self.stands_when):
            if case.name in named:
                raise PydanticCustomError(
                    "cases",
                    "{name} is the name of stands_when.{other} already: each case of a rule needs its own",
                    {
                        "name": repr(case.name),
                        "other": named[case.name],
                        "path": ["stands_when", place, "name"],
                    },
                )
            named[case.name] = place
            self._can_be_said(place, case)
            self._can_be_late(place, case)
        if "calendar" in self.model_fields_set and not any(map(_uses_calendar, self.stands_when)):
            raise PydanticCustomError(
                "calendar",
                "no case counts working time or the day of a promise: leave it out, or write working_time: true",
                {"path": ["calendar"]},
            )
        return self

    def _can_be_said(self, place: int, case: Case) -> None:
        own = case.sentence
        try:
            check_sentence(self.sentence if own is None else own, case.kind)
        except SentenceError as error:
            path = ["sentence"] if own is None else ["stands_when", place, "sentence"]
            raise PydanticCustomError("sentence", "{reason}", {"reason": str(error), "path": path}) from None

    def _can_be_late(self, place: int, case: Case) -> None:
        if not isinstance(case, AbsenceCase) or not case.working_time or case.within is None:
            return
        weekly = sum(closes - opens for blocks in self.calendar.blocks() for opens, closes in blocks)
        if case.within * 7 * DAY > LONGEST * weekly:
            raise PydanticCustomError(
                "duration",
                "with the hours of the calendar that takes more than {days}d",
                {"days": LONGEST // DAY, "path": ["stands_when", place, "within"]},
            )

    def weight_of(self, severity: Severity) -> float:
        """What a finding of that severity adds to the light."""
        return self.weight.get(severity, DEFAULT_WEIGHTS[severity])


def _uses_calendar(case: Case) -> bool:
    return isinstance(case, AbsenceCase) and (case.working_time or case.due is not None)


def parse_rule(data: Mapping[str, Any]) -> RuleFile:
    """Validate a rule that was read; raises `pydantic.ValidationError`."""
    return RuleFile.model_validate(dict(data))
