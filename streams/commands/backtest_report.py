"""What a back-test found, counted as it goes along, and told: as a JSON document and as lines."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

from schemas.findings import SEVERITIES
from schemas.interaction import DAY, Micros
from schemas.timestamps import format_timestamp
from streams.commands.columns import table
from streams.core.detection.ruleset import RuleSet
from streams.history.backtest import Period, Raised
from streams.history.prediction import ANY_RULE, Predictions, Share, Verdict

SHOWN_DAYS: Final = 31
"""Days that are drawn one by one; a longer period says its median and its busiest day."""
BAR: Final = 40


class Tally:
    """Counts of findings: per rule and severity, per rule and customer, per day."""

    def __init__(self, rules: RuleSet, period: Period) -> None:
        self.rules = rules
        self.period = period
        self.customers = 0
        self.interactions = 0
        self._found: Counter[tuple[str, str]] = Counter()
        self._withdrawn: Counter[str] = Counter()
        self._concerned: Counter[str] = Counter()
        self._days: Counter[tuple[int, str]] = Counter()

    def add(self, interactions: int, raised: Sequence[Raised]) -> None:
        """One customer."""
        self.customers += 1
        self.interactions += interactions
        for one in raised:
            self._found[one.rule, one.severity] += 1
            self._days[one.at // DAY, one.severity] += 1
            self._withdrawn[one.rule] += one.withdrawn_at is not None
        self._concerned.update({one.rule for one in raised})

    @property
    def found(self) -> int:
        """All findings."""
        return self._found.total()

    @property
    def days(self) -> float:
        """The length of the period in days."""
        return max(self.period.until - self.period.since, 1) / DAY

    def per_day(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Every day (UTC) of the period, also one without findings, and its findings by severity."""
        for day in range(self.period.since // DAY, (self.period.until - 1) // DAY + 1):
            yield (
                format_timestamp(day * DAY)[:10],
                {severity: self._days[day, severity] for severity in SEVERITIES},
            )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "from": format_timestamp(self.period.since),
            "to": format_timestamp(self.period.until),
            "rules_version": self.rules.version,
            "customers": self.customers,
            "interactions": self.interactions,
            "findings": self.found,
            "withdrawn": self._withdrawn.total(),
            "per_day": round(self.found / self.days, 3),
            "by_severity": {severity: self._of(severity=severity) for severity in SEVERITIES},
            "by_rule": [
                {
                    "rule": rule.id,
                    "title": rule.title,
                    "rule_version": self.rules.versions[rule.id],
                    "findings": self._of(rule=rule.id),
                    **{severity: self._found[rule.id, severity] for severity in SEVERITIES},
                    "withdrawn": self._withdrawn[rule.id],
                    "customers": self._concerned[rule.id],
                    "per_day": round(self._of(rule=rule.id) / self.days, 3),
                }
                for rule in self.rules.rules
            ],
            "by_day": [
                {"day": day, "findings": sum(found.values()), **found} for day, found in self.per_day()
            ],
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"{self.found:,} findings, {self.found / self.days:,.1f} a day, from {when(self.period.since)} to "
            f"{when(self.period.until)}; {self.customers:,} customers, {self.interactions:,} interactions"
        )
        if withdrawn := self._withdrawn.total():
            yield f"{withdrawn:,} of them disproved by a later interaction of the period (withdrawn)"
        yield ""
        yield from table(
            ("rule", *SEVERITIES, "findings", "withdrawn", "customers", "a day"),
            [
                (
                    rule.id,
                    *(self._found[rule.id, severity] for severity in SEVERITIES),
                    self._of(rule=rule.id),
                    self._withdrawn[rule.id],
                    self._concerned[rule.id],
                    f"{self._of(rule=rule.id) / self.days:,.1f}",
                )
                for rule in self.rules.rules
            ],
            right=(*SEVERITIES, "findings", "withdrawn", "customers", "a day"),
        )
        yield ""
        yield from self._calendar()

    def _calendar(self) -> Iterator[str]:
        days = [(day, sum(found.values())) for day, found in self.per_day()]
        busiest = max(days, key=lambda one: one[1])
        if len(days) > SHOWN_DAYS:
            middle = median(count for _, count in days)
            yield f"a day: median {middle:,.0f}, most {busiest[1]:,} on {busiest[0]}; --json has every day"
            return
        for day, count in days:
            yield f"{day}  {count:>6,}  {'#' * round(BAR * count / max(busiest[1], 1))}".rstrip()

    def _of(self, rule: str | None = None, severity: str | None = None) -> int:
        return sum(
            count
            for (its_rule, its_severity), count in self._found.items()
            if rule in (None, its_rule) and severity in (None, its_severity)
        )


def prediction_document(predictions: Predictions, horizon: Micros) -> dict[str, Any]:
    """How well findings announce outcomes, as JSON; shares with their intervals, null where there was no trial."""

    def told(verdict: Verdict) -> dict[str, Any]:
        lift = predictions.lift(verdict)
        return {
            "rule": verdict.rule or None,
            "precision": _share(verdict.precision),
            "recall": _share(verdict.recall),
            "lift": None if lift is None else {"value": lift[0], "low": lift[1], "high": lift[2]},
            "undecided_customers": verdict.undecided,
        }

    every, *rules = predictions.verdicts
    return {
        "horizon_seconds": horizon / 1e6,
        "outcomes": dict(predictions.labels),
        "customers_with_outcome": predictions.customers,
        "unknown_customers": predictions.unknown,
        "base_rate": predictions.base_rate,
        "interval": "Wilson score, 95 %, one trial a customer",
        "all_rules": told(every),
        "by_rule": [told(verdict) for verdict in rules],
    }


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {"hits": share.hits, "trials": share.trials, "value": share.value, "low": low, "high": high}


def prediction_lines(predictions: Predictions, horizon: Micros) -> Iterator[str]:
    """The same for people."""
    outcomes = ", ".join(f"{count:,} {what}" for what, count in predictions.labels.items()) or "none"
    base = "unknown" if predictions.base_rate is None else percent(predictions.base_rate)
    yield ""
    yield f"outcomes in the period: {outcomes}; of {predictions.customers:,} customers"
    if predictions.unknown:
        yield f"{predictions.unknown:,} customers with outcomes have no interaction before, and are left out"
    yield (
        f"base rate: {base} of customers have an outcome within {horizon / DAY:g} d of any instant; "
        "intervals are Wilson's at 95 %, one trial a customer"
    )
    yield ""
    yield from table(
        ("rule", "precision", "recall", "lift", "undecided"),
        [
            (
                "(all rules)" if verdict.rule == ANY_RULE else verdict.rule,
                _spoken(verdict.precision),
                _spoken(verdict.recall),
                _times(predictions.lift(verdict)),
                verdict.undecided,
            )
            for verdict in predictions.verdicts
        ],
        right=("undecided",),
    )


def percent(share: float) -> str:
    """A share in percent: one decimal, two significant digits where it is below a thousandth."""
    return f"{share:.1%}" if share >= 0.001 or share == 0 else f"{share * 100:.2g}%"


def _spoken(share: Share) -> str:
    if share.value is None:
        return "no trial"
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%} to {high:.1%}) {share.hits:,}/{share.trials:,}"


def _times(lift: tuple[float, float, float] | None) -> str:
    return "" if lift is None else f"{lift[0]:.1f} ({lift[1]:.1f} to {lift[2]:.1f})"


def when(at: Micros) -> str:
    """An instant to the second, UTC."""
    return f"{datetime.fromtimestamp(at // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}Z"


def difference(
    old: Iterable[Raised], new: Iterable[Raised]
) -> tuple[list[Raised], list[Raised], list[tuple[Raised, Raised]]]:
    """Of one customer: what only the new rules raise, what only the old ones do, and what both do (old, new)."""
    before = {one.finding_id: one for one in old}
    after = {one.finding_id: one for one in new}
    return (
        [one for one in after.values() if one.finding_id not in before],
        [one for one in before.values() if one.finding_id not in after],
        [(one, after[one.finding_id]) for one in before.values() if one.finding_id in after],
    )
