"""A rule set: rule files compiled to detectors, with versions that name their content."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, assert_never

from schemas.findings import NAMING_FIELDS
from schemas.interaction import DAY, SECOND, Interaction, Micros
from streams.core.detection.absence import Absence
from streams.core.detection.accumulation import Accumulation
from streams.core.detection.calendars import Calendar
from streams.core.detection.conditions import BEHIND_DERIVED, Condition, compile_condition, reader_of
from streams.core.detection.draft import Detector, changeable_for
from streams.core.detection.line import Interactions, Traits
from streams.core.detection.marking import Marker
from streams.core.detection.mismatch import Excess, Mismatch, Tie
from streams.core.detection.repeat import Repeat
from streams.core.detection.rule import (
    AbsenceCase,
    AccumulationCase,
    Case,
    MismatchCase,
    RepeatCase,
    RuleFile,
    SequenceCase,
    ThresholdCase,
)
from streams.core.detection.rule_calendar import CalendarFile
from streams.core.detection.sentences import Sentence, names_in, read_sentence, worded
from streams.core.detection.sequence import Succession
from streams.core.detection.threshold import Threshold
from streams.core.facets import subjects_of

DEFINITIONS: Final = 2
"""Raise it when a detector comes to mean something else: all versions change with it."""

CLOSED_AT_MOST: Final = 14 * DAY
"""How long holidays may keep a calendar closed beyond its week."""
SUBJECT_FIELDS: Final = ("case_id", "order_id", "reason", "thread_id")
MakeCalendar = Callable[[CalendarFile], Calendar]
"""How a calendar file becomes a calendar: zones and holidays come from outside the core."""


class CompiledCase(NamedTuple):
    """One case, ready to look. `needs` are the bits without any of which it sees nothing; to an interaction that has
    none of `touches` it pays no heed.
    """

    rule: RuleFile
    version: str
    name: str
    needs: int
    touches: int
    detector: Detector
    fields: tuple[str, ...]
    """Those that the case looks at."""
    told: tuple[str, ...]
    """Whose values are told with the evidence: these, and identifiers that the sentence repeats, so that who stores it
    knows which."""
    sentence: Sentence
    action: str
    channel: Literal["anchor", "first", "last"]


class CompiledAccumulation(NamedTuple):
    """One case over the findings of the others."""

    rule: RuleFile
    version: str
    name: str
    detector: Accumulation
    sentence: Sentence
    action: str
    channel: Literal["anchor", "first", "last"]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The enabled rules, in the order of their ids. `version` changes when any of them, or the horizon, does.

    `horizon`: nothing that occurs later than this after a finding was raised changes it.
    """

    rules: tuple[RuleFile, ...]
    version: str
    versions: Mapping[str, str]
    """The version of each enabled rule by its id: a digest of its content."""
    horizon: Micros
    cases: tuple[CompiledCase, ...]
    accumulations: tuple[CompiledAccumulation, ...]
    reach: Micros
    """How far before it is raised the evidence of a finding can lie, promises and paused clocks aside."""
    marker: Marker = field(repr=False)

    @property
    def cool_downs(self) -> dict[str, float]:
        """Seconds between two alerts of a rule about a customer, by the rule's id."""
        return {rule.id: rule.cool_down / SECOND for rule in self.rules}

    @property
    def lookback(self) -> Micros:
        """How far behind its newest interaction a timeline must be whole, so that what leaves it is final: as long as
        a finding may change (`changeable_for`), and as far as its evidence reaches back from there.
        """
        return changeable_for(self.horizon) + self.reach

    def complete_from(self, forgotten_before: Micros | None) -> Micros | None:
        """Since when findings can be detected anew on a timeline that begins at `forgotten_before`; those raised
        earlier are final. None: always.

        Whoever forgets anything at all says `forgotten_before = newest - lookback`, and not the time of what
        was forgotten: findings whose evidence was held longer (`Expectation`) become final by it too.
        """
        return None if forgotten_before is None else forgotten_before + self.reach

    def mark(self, interaction: Interaction) -> int:
        """Which conditions of the set an interaction fulfils, one bit each. It depends on nothing else, so it can
        be kept beside the interaction as long as the version of the set stays. An interaction with mark 0 takes
        part in nothing: putting it on a timeline, or taking it away, changes no finding.
        """
        return self.marker.mark(interaction)

    def touched(self, union: int, fresh: int) -> bool:
        """Whether interactions with the marks `fresh` can change what stands on a line whose marks together, theirs
        among them, are `union`.
        """
        for case in self.cases:  # noqa: SIM110 - a generator would cost more than the comparisons
            if fresh & case.touches and union & case.needs == case.needs:
                return True
        return False

    def traits(self, interactions: Interactions) -> Traits:
        """The traits of interactions; to be kept beside them where that is cheaper than working them out."""
        return Traits(
            [one.occurred_at for one in interactions],
            [self.mark(one) for one in interactions],
            [subjects_of(one) for one in interactions],
        )


class _Bits:
    """Gives every different condition a bit."""

    def __init__(self) -> None:
        self.conditions: list[Condition] = []
        self._known: dict[str, int] = {}
        self.drawn = 0
        """All that was asked for since it was last set to zero."""

    def of(self, spec: Mapping[str, Any] | None) -> int:
        if spec is None:
            return 0
        text = _canonical(spec)
        if text not in self._known:
            self._known[text] = 1 << len(self.conditions)
            self.conditions.append(compile_condition(spec))
        bit = self._known[text]
        self.drawn |= bit
        return bit


def compile_rules(
    rules: Sequence[RuleFile], make_calendar: MakeCalendar, horizon: Micros = 30 * DAY
) -> RuleSet:
    """Compile rule files; raises ValueError when two have the same id, and what `make_calendar` raises."""
    enabled = tuple(sorted((rule for rule in rules if rule.enabled), key=lambda rule: rule.id))
    ids = [rule.id for rule in rules]
    for name in ids:
        if ids.count(name) > 1:
            raise ValueError(f"two rules have the id {name!r}; give each its own")
    versions = {rule.id: version_of(rule) for rule in enabled}
    bits = _Bits()
    calendars: dict[str, Calendar] = {}
    bounds: list[Micros] = []
    drawn: list[tuple[RuleFile, Case, Calendar]] = []
    for rule in enabled:
        told = _canonical(rule.calendar.model_dump(mode="json"))
        calendar = calendars.setdefault(told, make_calendar(rule.calendar))
        for case in rule.stands_when:
            drawn.append((rule, case, calendar))
            bounds.append(_reach(case, calendar))
    reach = max(bounds, default=0)
    lookback = changeable_for(horizon) + reach
    cases: list[CompiledCase] = []
    accumulations: list[CompiledAccumulation] = []
    for rule, case, calendar in drawn:
        version = versions[rule.id]
        template, action = case.sentence or rule.sentence, case.action or rule.action
        sentence = read_sentence(template)
        if isinstance(case, AccumulationCase):
            gatherer = Accumulation(
                case.of, case.at_least, case.within, frozenset(case.without), case.severity
            )
            accumulations.append(
                CompiledAccumulation(rule, version, case.name, gatherer, sentence, action, case.channel)
            )
        else:
            bits.drawn = 0
            needs, detector, fields = _compile(case, bits, calendar, lookback)
            cases.append(
                CompiledCase(
                    rule,
                    version,
                    case.name,
                    needs,
                    bits.drawn,
                    detector,
                    _plain(fields),
                    _plain((*fields, *_repeated(case, template))),
                    sentence,
                    action,
                    case.channel,
                )
            )
    told = _canonical([DEFINITIONS, horizon, sorted(versions.items())])
    return RuleSet(
        enabled,
        _digest(told),
        versions,
        horizon,
        tuple(cases),
        tuple(accumulations),
        reach,
        Marker(bits.conditions),
    )


def version_of(rule: RuleFile) -> str:
    """The digest of a rule's content: the same for files that say the same, whatever their layout."""
    return _digest(_canonical([DEFINITIONS, rule.model_dump(mode="json")]))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _compile(
    case: Case, bits: _Bits, calendar: Calendar, lookback: Micros
) -> tuple[int, Detector, Sequence[str]]:
    """The bits that a case needs, its detector, and the fields that matter to it."""
    match case:
        case ThresholdCase():
            where = bits.of(case.where)
            worse = case.worse
            threshold = Threshold(
                where,
                case.severity,
                tuple((bits.of(level.where), level.severity) for level in case.levels),
                bits.of(worse.earlier) if worse is not None else 0,
                worse.within if worse is not None else 0,
                worse.severity if worse is not None else "minor",
            )
            return where, threshold, _fields(case.where, *(level.where for level in case.levels))
        case RepeatCase():
            where = bits.of(case.where)
            repeat = Repeat(
                where,
                case.at_least,
                case.within,
                case.severity,
                tuple(f"{key}:" for key in case.per),
                reader_of(case.distinct)[0] if case.distinct is not None else None,
                bits.of(case.put_right_by),
                partial(worded, case.distinct or ""),
            )
            return where, repeat, (*_fields(case.where), *SUBJECT_FIELDS)
        case AbsenceCase():
            after = bits.of(case.after)
            waiting = case.waiting
            absence = Absence(
                after,
                bits.of(case.unless),
                bits.of({"any": [{name: {"exists": True}} for name in case.kept_by]}) if case.kept_by else 0,
                tuple(reader_of(name)[0] for name in case.kept_by),
                case.within,
                case.severity,
                calendar,
                case.working_time,
                bits.of(waiting.since) if waiting is not None else 0,
                bits.of(waiting.until) if waiting is not None else 0,
                case.episode,
                lookback,
            )
            promised = ("promise_what", "promise_due_at", "promise_due_on") if case.due is not None else ()
            fields = (*_fields(case.after, case.unless), *case.kept_by, *promised, *SUBJECT_FIELDS)
            return after, absence, fields
        case MismatchCase():
            expected = bits.of({case.expected: {"exists": True}})
            actual = bits.of({case.actual: {"exists": True}})
            limit = case.from_excess
            mismatch = Mismatch(
                expected,
                actual,
                reader_of(case.expected)[0],
                reader_of(case.actual)[0],
                tuple(reader_of(name)[0] for name in case.same),
                tuple(Tie(reader_of(tie.key)[0], tie.key, tie.compare) for tie in case.by),
                Decimal(str(case.tolerance)),
                case.within,
                case.severity,
                None
                if limit is None
                else Excess(limit.severity, Decimal(str(limit.percent)), Decimal(str(limit.units))),
                lookback,
            )
            fields = (case.expected, case.actual, *case.same, *(tie.key for tie in case.by))
            either = {"any": [{case.expected: {"exists": True}}, {case.actual: {"exists": True}}]}
            return bits.of(either), mismatch, fields
        case SequenceCase():
            first, then = bits.of(case.first), bits.of(case.then)
            sequence = Succession(
                first,
                then,
                case.within,
                case.severity,
                case.same_subject,
                bits.of(case.last_of),
                case.anchor,
                bits.of(case.put_right_by),
            )
            return first | then, sequence, (*_fields(case.first, case.then), *SUBJECT_FIELDS)
        case AccumulationCase():
            raise AssertionError("compiled apart: it looks at findings")
        case _:
            assert_never(case)


def _fields(*specs: Mapping[str, Any] | None) -> list[str]:
    return [name for spec in specs if spec is not None for name in compile_condition(spec).fields]


def _repeated(case: Case, template: str) -> list[str]:
    """Fields with a customer's name or a weak identifier whose values a sentence repeats."""
    named = names_in(template)
    if isinstance(case, RepeatCase) and case.distinct is not None:
        named = (*named, case.distinct)
    return [name for name in named if name in NAMING_FIELDS]


def _plain(names: Sequence[str]) -> tuple[str, ...]:
    """Field names without repetition, derived ones replaced by what they are derived from."""
    plain = (field for name in names for field in BEHIND_DERIVED.get(name, (name,)))
    return tuple(dict.fromkeys(plain))


def _reach(case: Case, calendar: Calendar) -> Micros:
    """How far before a finding is raised its evidence can lie."""
    match case:
        case ThresholdCase():
            return case.worse.within if case.worse is not None else 0
        case RepeatCase() | SequenceCase():
            return case.within
        case MismatchCase() | AccumulationCase():
            return 0  # the one holds whole chains, the other looks at findings
        case AbsenceCase():
            if case.within is None:
                return 0
            if not case.working_time:
                return case.within
            weekly = sum(closes - opens for blocks in calendar.week for opens, closes in blocks)
            return case.within * 7 * DAY // weekly + CLOSED_AT_MOST
        case _:
            assert_never(case)
