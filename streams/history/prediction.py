"""How well findings announce outcomes: precision, recall and lift over the base rate, with confidence intervals.

A finding *announces* an outcome that comes strictly later, at most `horizon` later. Each customer is one trial,
however many findings or outcomes there are of them, since those of one customer are not independent:

- precision: of the customers for whom a rule raised something, the share whose first finding announced an outcome;
- recall: of the customers with an outcome in the period, the share whose first one was announced by any finding;
- base rate: the chance that a customer, at an instant of the period, has an outcome within the horizon: the share
  of all customers' time that lies so before one. A customer's time begins with the first interaction and ends
  with the last outcome, if there is one;
- lift: precision over base rate.

Labels are known until `labels_until`; a finding whose horizon ends later is not judged.
Intervals are Wilson's score intervals at 95 % (E. B. Wilson, Probable inference, the law of succession, and
statistical inference, JASA 22, 1927); that of the lift is precision's over the base rate, which is taken as known.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Final, NamedTuple

from schemas.interaction import Micros
from streams.history.backtest import Period, Raised
from streams.history.outcome_labels import Label

Z_95: Final = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

ANY_RULE: Final = ""
"""The name under which all rules together are judged."""


class Share(NamedTuple):
    """`hits` of `trials`, and the interval that covers the true share in 95 of 100 cases."""

    hits: int
    trials: int

    @property
    def value(self) -> float | None:
        """The share; None without a trial."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval; everything is possible without a trial."""
        if not self.trials:
            return 0.0, 1.0
        trials, share, square = self.trials, self.hits / self.trials, Z_95 * Z_95
        centre = share + square / (2 * trials)
        margin = Z_95 * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
        scale = 1 + square / trials
        low = 0.0 if self.hits == 0 else (centre - margin) / scale
        high = 1.0 if self.hits == trials else (centre + margin) / scale
        return low, high


class Verdict(NamedTuple):
    """How well one rule (or all together) announces outcomes. `undecided`: customers for whom it raised something of
    which nobody can know yet what came of it.
    """

    rule: str
    precision: Share
    recall: Share
    undecided: int


class Predictions(NamedTuple):
    """The whole answer. `labels` counts outcomes in the period by what they are; `unknown` are customers with
    outcomes but without any interaction before.
    """

    verdicts: tuple[Verdict, ...]
    base_rate: float | None
    labels: Mapping[str, int]
    customers: int
    unknown: int

    def lift(self, verdict: Verdict) -> tuple[float, float, float] | None:
        """Lift and its interval; None where there is no base rate or no trial."""
        value = verdict.precision.value
        if value is None or not self.base_rate:
            return None
        low, high = verdict.precision.interval
        return value / self.base_rate, low / self.base_rate, high / self.base_rate


class Judge:
    """Takes in one customer after the other; `predictions` at the end."""

    def __init__(
        self, labels: Iterable[Label], period: Period, horizon: Micros, labels_until: Micros | None = None
    ) -> None:
        """`labels_until` None: until the end of the period, or the last label if that is later."""
        self._labels: dict[str, list[Label]] = {}
        for label in sorted(labels, key=lambda one: one.when):
            self._labels.setdefault(label.customer, []).append(label)
        last = max((its[-1].when for its in self._labels.values()), default=period.until)
        self._period = period
        self._horizon = horizon
        until = max(period.until, last) if labels_until is None else labels_until
        self._decidable_until = until - horizon
        self._flagged: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._announced: Counter[str] = Counter()
        self._undecided: Counter[str] = Counter()
        self._whats: Counter[str] = Counter()
        self._with_outcome = 0
        self._observed = self._before_outcome = 0
        self._seen: set[str] = set()

    def add(self, customer: str, first_seen: Micros, raised: Sequence[Raised]) -> None:
        """One customer of the history: when they were seen first, and what was raised of them, in order."""
        outcomes = [label for label in self._labels.get(customer, ()) if label.when > first_seen]
        if outcomes:
            self._seen.add(customer)
        times = [label.when for label in outcomes]
        by_rule: dict[str, list[Micros]] = {}
        for one in raised:
            by_rule.setdefault(ANY_RULE, []).append(one.at)
            by_rule.setdefault(one.rule, []).append(one.at)
        for rule, instants in by_rule.items():
            if instants[0] > self._decidable_until:
                self._undecided[rule] += 1
                continue
            self._flagged[rule] += 1
            self._right[rule] += self._follows(times, instants[0])
        mine = [label for label in outcomes if self._period.since <= label.when < self._period.until]
        self._whats.update(label.what for label in mine)
        if mine:
            self._with_outcome += 1
            for rule, instants in by_rule.items():
                self._announced[rule] += self._precedes(instants, mine[0].when)
        self._observe(first_seen, times)

    def predictions(self, rules: Iterable[str]) -> Predictions:
        """The verdict on all rules together, then on each of `rules`."""
        return Predictions(
            tuple(
                Verdict(
                    rule,
                    Share(self._right[rule], self._flagged[rule]),
                    Share(self._announced[rule], self._with_outcome),
                    self._undecided[rule],
                )
                for rule in (ANY_RULE, *rules)
            ),
            self._before_outcome / self._observed if self._observed else None,
            dict(self._whats.most_common()),
            self._with_outcome,
            len(self._labels) - len(self._seen),
        )

    def _follows(self, outcomes: Sequence[Micros], at: Micros) -> bool:
        place = bisect_right(outcomes, at)
        return place < len(outcomes) and outcomes[place] <= at + self._horizon

    def _precedes(self, raised: Sequence[Micros], outcome: Micros) -> bool:
        place = bisect_left(raised, outcome)
        return place > 0 and raised[place - 1] >= outcome - self._horizon

    def _observe(self, first_seen: Micros, outcomes: Sequence[Micros]) -> None:
        """Add the customer's time, and what of it lies within a horizon before an outcome."""
        begin = max(self._period.since, first_seen)
        end = min(self._period.until, self._decidable_until)
        if outcomes:
            end = min(end, outcomes[-1])
        if end <= begin:
            return
        self._observed += end - begin
        covered = begin
        for outcome in outcomes:
            since, until = max(covered, outcome - self._horizon), min(end, outcome)
            if until > since:
                self._before_outcome += until - since
                covered = until
