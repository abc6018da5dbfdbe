"""The results of a run as one document: JSON for scripts, Markdown for `docs/benchmarks.md`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.budget import Budget
from bench.contest import Contestant
from bench.figures import GOALS, Figures, Spread
from bench.latency import Latency
from bench.rule_cost import RuleCosts

PATH: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- measured: written by `make bench` -->"
END: Final = "<!-- end of measured -->"

MEMORY_GOAL_BYTES: Final = 3_072


IDENTIFY_GOAL: Final = 30_000
RECOVERY_GOAL_SECONDS: Final = 20
PRECISION_GOAL, RECALL_GOAL = 0.99, 0.95


class IdentityFigures(NamedTuple):
    """What `bench.identity_cost`, `bench.identity_recovery` and `bench.identity_quality` say."""

    cost: Mapping[str, float]
    recovery: Mapping[str, float]
    quality: Mapping[str, Any]

    @property
    def learnt(self) -> Mapping[str, float]:
        """Precision and recall with the links that interactions teach, and nothing else."""
        scores: Mapping[str, float] = self.quality["with learnt links"]
        return scores


class Results(NamedTuple):
    """All that one run has measured; None for what it was not asked for."""

    machine: Mapping[str, str]
    command: str
    broker: str
    pinned: bool
    load_before: float
    contestants: Sequence[Contestant]
    figures: dict[str, Figures]
    budget: Budget | None = None
    bytes_per_customer: float | None = None
    latency: Latency | None = None
    rules: RuleCosts | None = None
    identity: IdentityFigures | None = None

    def goals(self) -> list[dict[str, Any]]:
        """Each goal that this run can judge."""
        judged: list[dict[str, Any]] = []
        for goal in GOALS:
            verdict = goal.verdict(self.figures)
            if verdict is not None:
                against = f"x {goal.against}" if goal.against else "a second and core"
                judged.append(
                    {
                        "road": goal.road,
                        "goal": f"{goal.factor:,g} {against}",
                        "measured": round(verdict[0], 1),
                        "reached": verdict[1],
                    }
                )
        if self.bytes_per_customer is not None:
            judged.append(
                {
                    "road": "memory",
                    "goal": f"below {MEMORY_GOAL_BYTES:,} bytes a customer",
                    "measured": round(self.bytes_per_customer),
                    "reached": self.bytes_per_customer < MEMORY_GOAL_BYTES,
                }
            )
        if self.identity is not None:
            judged += _identity_goals(self.identity)
        if self.latency is not None:
            judged += [
                {
                    "road": f"event to alert, {name}",
                    "goal": f"below {limit:g} s",
                    "measured": round(seconds, 3),
                    "reached": seconds < limit,
                }
                for name, limit, seconds in self.latency.goals()
            ]
        return judged

    def as_json(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        return {
            "machine": dict(self.machine),
            "command": self.command,
            "broker": self.broker,
            "pinned": self.pinned,
            "load_before": round(self.load_before, 2),
            "figures": {
                name: {
                    "rounds": one.rounds,
                    "by_clock": one.by_clock._asdict(),
                    "by_cpu": one.by_cpu._asdict(),
                }
                for name, one in self.figures.items()
            },
            "budget": None if self.budget is None else self.budget._asdict(),
            "bytes_per_customer": self.bytes_per_customer,
            "latency": None if self.latency is None else self.latency.as_json(),
            "rules": None if self.rules is None else self.rules._asdict(),
            "identity": None if self.identity is None else self.identity._asdict(),
            "goals": self.goals(),
        }

    def markdown(self) -> str:
        """The measured part of `docs/benchmarks.md`."""
        return "\n".join((BEGIN, *self._lines(), END))

    def _lines(self) -> Iterator[str]:
        yield ""
        yield (
            f"`{self.command}` on "
            + ", ".join(f"{name} {value}" for name, value in self.machine.items())
            + "."
        )
        yield f"Broker: {self.broker}. " + (
            "Each contestant had one core to itself; broker and ClickHouse had the others."
            if self.pinned
            else "There was one core for all."
        )
        yield ""
        yield "| | road | records a second | least to greatest | for each CPU second | rounds |"
        yield "| --- | --- | ---: | ---: | ---: | ---: |"
        for one in self.contestants:
            measured = self.figures.get(one.name)
            if measured is not None:
                yield (
                    f"| {one.letter} | {one.title} | {measured.by_clock.median:,.0f} | {_range(measured.by_clock)} "
                    f"| {measured.by_cpu.median:,.0f} | {measured.rounds} |"
                )
        yield ""
        yield "| goal | wanted | measured | |"
        yield "| --- | --- | ---: | --- |"
        for goal in self.goals():
            said = "reached" if goal["reached"] else "**missed**"
            yield f"| {goal['road']} | {goal['goal']} | {goal['measured']:,} | {said} |"
        if self.budget is not None:
            yield from self._budget_lines(self.budget)
        if self.rules is not None:
            yield from _rule_lines(self.rules)
        if self.latency is not None:
            yield from self._latency_lines(self.latency)
        if self.identity is not None:
            yield from _identity_lines(self.identity)
        yield ""

    def _latency_lines(self, latency: Latency) -> Iterator[str]:
        figures = latency.as_json()
        yield ""
        yield (
            f"From an event's publishing to its alert on the alerts topic, one worker, all rules, "
            f"{figures['events_a_second']:,} events a second beside it: median {figures['median']:,} ms, "
            f"p95 {figures['p95']:,} ms, p99 {figures['p99']:,} ms, most {figures['max']:,} ms "
            f"({figures['probes']:,} probes)."
        )
        yield ""
        yield "```text"
        yield from latency.lines()
        yield "```"

    def _budget_lines(self, budget: Budget) -> Iterator[str]:
        yield ""
        yield (
            f"Where the time goes: CPU microseconds for each event, stage by stage, over {budget.events:,} simulated "
            f"events of {budget.customers:,} customers and anonymous visitors."
        )
        yield ""
        yield "| stage | us |"
        yield "| --- | ---: |"
        for stage, cost in budget.microseconds.items():
            yield f"| {stage} | {cost:.1f} |"
        together = sum(budget.microseconds.values())
        yield f"| **together** | **{together:.1f}** |"
        whole = self.figures.get("pipeline")
        if whole is not None:
            total = 1e6 / whole.by_cpu.median
            beyond = "links and sightings, Kafka's protocol three times, ClickHouse's once, event loop, Faust"
            yield f"| {beyond} | {total - together:.1f} |"
            yield f"| **the worker (d)** | **{total:.1f}** |"


def _rule_lines(costs: RuleCosts) -> Iterator[str]:
    yield ""
    yield (
        f"What rules cost: CPU microseconds that each adds, alone, to every interaction of one partition "
        f"({costs.interactions:,}); the journeys without rules take {costs.without:.1f}. Together they share marks and "
        "state; a rule over other findings costs nothing alone."
    )
    yield ""
    yield "| rule | us |"
    yield "| --- | ---: |"
    for rule, cost in sorted(costs.alone.items(), key=lambda item: -item[1]):
        yield f"| `{rule}` | {cost:.1f} |"
    yield f"| **all together** | **{costs.together:.1f}** |"


def _range(spread: Spread) -> str:
    return f"{spread.least:,.0f} to {spread.greatest:,.0f}"


def with_results(document: str, results: Results) -> str:
    """The document with its measured part replaced. Raises ValueError when it has no place for it."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PATH.name}: the marks {BEGIN} and {END} are missing")
    return head + results.markdown() + tail


def write_document(results: Results, path: Path = PATH) -> None:
    """Replace the measured part of `docs/benchmarks.md`."""
    path.write_text(with_results(path.read_text(encoding="utf-8"), results), encoding="utf-8")


def _identity_goals(identity: IdentityFigures) -> Iterator[dict[str, Any]]:
    pace = identity.cost["identify, events a second and core"]
    recovery = identity.recovery["seconds"]
    precision, recall = identity.learnt["precision"], identity.learnt["recall"]
    yield _goal(
        "identify, a million links known", f"{IDENTIFY_GOAL:,} a second and core", pace, pace >= IDENTIFY_GOAL
    )
    yield _goal(
        "a million links read from the broker",
        f"below {RECOVERY_GOAL_SECONDS} s",
        recovery,
        recovery < RECOVERY_GOAL_SECONDS,
    )
    yield _goal(
        "who is whom, precision", f"{PRECISION_GOAL}", round(precision, 4), precision >= PRECISION_GOAL
    )
    yield _goal("who is whom, recall", f"{RECALL_GOAL}", round(recall, 4), recall >= RECALL_GOAL)


def _goal(road: str, wanted: str, measured: float, reached: bool) -> dict[str, Any]:
    return {"road": road, "goal": wanted, "measured": measured, "reached": reached}


def _identity_lines(identity: IdentityFigures) -> Iterator[str]:
    quality = identity.quality
    yield ""
    yield (
        f"Who is whom, of {quality['people']:,} simulated people in a month "
        f"({quality['interactions']:,} interactions), pairwise, against the simulation's truth:"
    )
    yield ""
    yield "| known | precision | recall |"
    yield "| --- | ---: | ---: |"
    for name, scores in quality.items():
        if isinstance(scores, Mapping):
            yield f"| {name} | {scores['precision']:.4f} | {scores['recall']:.4f} |"
    yield ""
    yield f"With {identity.cost['links']:,} links of {identity.cost['identifiers']:,} identifiers known:"
    yield ""
    yield "| | |"
    yield "| --- | ---: |"
    for name, value in identity.cost.items():
        if name not in ("links", "identifiers"):
            yield f"| {name} | {value:,} |"
    recovery = identity.recovery
    yield ""
    yield (
        f"A worker that starts knows {recovery['links']:,} links after {recovery['seconds']:,} s "
        f"({recovery['CPU seconds']:,} s of CPU), read from the broker."
    )
