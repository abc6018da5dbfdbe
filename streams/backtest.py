"""Back-test: what a rule set would have told in a period, customer by customer, with nothing that came later.

A customer's interactions are put on the line one instant after the other, and the rules are asked at each of them and at
each instant at which time alone changes something, by the functions of the live road (`detect`, `transition`).
So a finding counts when it would have been raised *in the period*, from what had occurred *by then*;
that a later interaction disproved it is told beside it and does not undo it.

Time is event time. What is known of an interaction is its latest revision, as if it had come at once when it occurred:
lateness and corrections of the past are not played again.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from schemas.findings import Finding, FindingChange, Identity, Severity
from schemas.interaction import Interaction, Micros
from streams.core.detection.detect import detect
from streams.core.detection.draft import Expectation
from streams.core.detection.lifecycle import final_of, transition
from streams.core.detection.line import Traits
from streams.core.detection.ruleset import RuleSet
from streams.core.facets import subjects_of

LONG: Final = 128
"""Interactions from which on a line is cut to what the rules can look back on; a shorter one costs nothing."""


class Period(NamedTuple):
    """Since an instant, until before another."""

    since: Micros
    until: Micros


class Raised(NamedTuple):
    """One finding that would have been told in the period, as it was when it was told first."""

    finding_id: str
    customer: str
    rule: str
    severity: Severity
    at: Micros
    """When it would have been told: a deadline has passed then, so it is never before `raised_at`."""
    sentence: str
    withdrawn_at: Micros | None = None
    """When an interaction of the period disproved it."""


def raised_in(
    customer: str, interactions: Sequence[Interaction], period: Period, rules: RuleSet
) -> list[Raised]:
    """The findings of one customer that would have been raised in the period, in that order.

    `interactions` are all of the customer's that occurred before `period.until`, sorted by position: what is older
    than the period is what was known at its begin. Pure.
    """
    walk = _Walk(customer, rules)
    marked = [(one, mark) for one in interactions if (mark := rules.mark(one))]
    if not any(walk.concerns(union) for union in (_union(mark for _, mark in marked),)):
        return []
    position = 0
    while position < len(marked) and marked[position][0].occurred_at < period.since:
        walk.put(*marked[position])
        position += 1
    if position:
        walk.evaluate(period.since - 1, ())
    told: dict[str, Raised] = {}
    while True:
        at = marked[position][0].occurred_at if position < len(marked) else period.until
        at = min(at, period.until)
        while walk.due is not None and walk.due < at:
            _tell(told, walk.evaluate(walk.due, ()), walk.clock)
        if at == period.until:
            return list(told.values())
        arrivals = []
        while position < len(marked) and marked[position][0].occurred_at == at:
            walk.put(*marked[position])
            arrivals.append(marked[position][0])
            position += 1
        _tell(told, walk.evaluate(at, arrivals), at)


def _union(marks: Iterable[int]) -> int:
    union = 0
    for mark in marks:
        union |= mark
    return union


def _tell(told: dict[str, Raised], changes: Sequence[FindingChange], at: Micros) -> None:
    for change in changes:
        finding = change.finding
        if change.kind == "raised":
            before = told.get(finding.finding_id)
            told[finding.finding_id] = (
                before._replace(withdrawn_at=None)
                if before is not None
                else Raised(
                    finding.finding_id, finding.customer, finding.rule, finding.severity, at, finding.sentence
                )
            )
        elif change.kind == "withdrawn" and finding.finding_id in told:
            told[finding.finding_id] = told[finding.finding_id]._replace(withdrawn_at=at)


class _Walk:
    """One customer's line as it grows. Interactions that take part in nothing are left out of it."""

    def __init__(self, customer: str, rules: RuleSet) -> None:
        self.customer = customer
        self.rules = rules
        self.clock: Micros = 0
        self.due: Micros | None = None
        self._line: list[Interaction] = []
        self._traits = Traits([], [], [])
        self._known: tuple[Finding, ...] = ()
        self._forgotten_before: Micros | None = None

    def concerns(self, union: int) -> bool:
        """Whether any case can see anything on a line with these marks."""
        return any(union & case.needs for case in self.rules.cases)

    def put(self, interaction: Interaction, mark: int) -> None:
        """Put the next one on the line."""
        self._line.append(interaction)
        at, marks, keys = self._traits
        at.append(interaction.occurred_at)  # type: ignore[attr-defined]
        marks.append(mark)  # type: ignore[attr-defined]
        keys.append(subjects_of(interaction))  # type: ignore[attr-defined]

    def evaluate(self, now: Micros, arrivals: Sequence[Interaction]) -> Sequence[FindingChange]:
        """What is told at `now`, which never goes back."""
        rules = self.rules
        complete_from = rules.complete_from(self._forgotten_before)
        detected = detect(
            self.customer,
            self._line,
            now,
            rules,
            final=final_of(self._known, complete_from),
            complete_from=complete_from,
            traits=self._traits,
            known=self._known,
        )
        after = transition(self._known, detected, arrivals, now, rules, complete_from=complete_from)
        self.clock, self.due, self._known = now, after.next_due, after.known
        if len(self._line) >= LONG:
            self._cut(self._line[-1].occurred_at - rules.lookback, detected.expects)
        return after.changes

    def _cut(self, before: Micros, expects: Iterable[Expectation]) -> None:
        """Drop what no rule can look back on any more, as a customer's state does."""
        if self._line[0].occurred_at >= before:
            return
        expected: dict[Identity, Micros | None] = {one.identity: one.until for one in expects}
        kept = []
        for index, one in enumerate(self._line):
            until = expected.get(Identity(one.source, one.id), before - 1)
            if one.occurred_at >= before or until is None or until >= before:
                kept.append(index)
            else:
                self._forgotten_before = max(self._forgotten_before or 0, one.occurred_at + 1)
        if len(kept) < len(self._line):
            self._line = [self._line[index] for index in kept]
            self._traits = Traits(*([values[index] for index in kept] for values in self._traits))
