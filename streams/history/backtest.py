"""Back-test: what a rule set would have told in a period, customer by customer, with nothing that came later.

A customer's interactions are put on the line one instant after the other, and the rules are asked at each of them and
at each instant at which time alone changes something, by the functions of the live road (`detect`, `transition`).
So a finding counts when it would have been raised *in the period*, from what had occurred *by then*;
that a later interaction disproved it is told beside it and does not undo it.

Time is event time. What is known of an interaction is its latest revision, as if it had come at once when it occurred:
lateness and corrections of the past are not played again.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from schemas.findings import Finding, FindingChange, Identity, Severity
from schemas.interaction import Interaction, Micros
from streams.core.detection.detect import detect
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
    customer: str,
    interactions: Sequence[Interaction],
    period: Period,
    rules: RuleSet,
    id_key: bytes = b"",
) -> list[Raised]:
    """The findings of one customer that would have been raised in the period, in that order.

    `interactions` are all of the customer's that occurred before `period.until`, sorted by position: what is older
    than the period is what was known at its begin. `id_key` is the key of the findings' ids. Pure.
    """
    marked = [(one, mark) for one in interactions if (mark := rules.mark(one))]
    union = 0
    for _, mark in marked:
        union |= mark
    if not any(union & case.needs == case.needs for case in rules.cases):
        return []
    walk = _Walk(customer, rules, id_key)
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
            due = walk.due
            _tell(told, walk.evaluate(due, ()), due)
        if at == period.until:
            return list(told.values())
        arrivals = []
        while position < len(marked) and marked[position][0].occurred_at == at:
            walk.put(*marked[position])
            arrivals.append(marked[position][0])
            position += 1
        _tell(told, walk.evaluate(at, arrivals), at)


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

    def __init__(self, customer: str, rules: RuleSet, id_key: bytes) -> None:
        self.customer = customer
        self.rules = rules
        self.id_key = id_key
        self.due: Micros | None = None
        """When time alone changes something next; later than the last evaluation."""
        self._line: list[Interaction] = []
        self._at: list[Micros] = []
        self._marks: list[int] = []
        self._keys: list[tuple[str, ...]] = []
        self._known: tuple[Finding, ...] = ()
        self._forgotten_before: Micros | None = None

    def put(self, interaction: Interaction, mark: int) -> None:
        """Put the next one on the line."""
        self._line.append(interaction)
        self._at.append(interaction.occurred_at)
        self._marks.append(mark)
        self._keys.append(subjects_of(interaction))

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
            traits=Traits(self._at, self._marks, self._keys),
            known=self._known,
            id_key=self.id_key,
        )
        after = transition(
            self._known, detected, arrivals, now, rules, complete_from=complete_from, memory=rules.lookback
        )
        self.due, self._known = after.next_due, after.known
        if len(self._line) >= LONG:
            self._cut(self._at[-1] - rules.lookback, detected.held_until)
        return after.changes

    def _cut(self, before: Micros, expected: Mapping[Identity, Micros | None]) -> None:
        """Drop what no rule can look back on any more, as a customer's state does."""
        if self._at[0] >= before:
            return
        kept = [index for index in range(len(self._line)) if self._is_held(index, before, expected)]
        if len(kept) == len(self._line):
            return
        dropped = max(set(range(len(self._line))).difference(kept))
        forgotten = self._at[dropped] + 1
        if self._forgotten_before is None or forgotten > self._forgotten_before:
            self._forgotten_before = forgotten
        self._line = [self._line[index] for index in kept]
        self._at = [self._at[index] for index in kept]
        self._marks = [self._marks[index] for index in kept]
        self._keys = [self._keys[index] for index in kept]

    def _is_held(self, index: int, before: Micros, expected: Mapping[Identity, Micros | None]) -> bool:
        if self._at[index] >= before:
            return True
        identity = Identity(*self._line[index].key)
        if identity not in expected:
            return False
        until = expected[identity]
        return until is None or until >= before
