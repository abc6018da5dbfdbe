"""`touchline rules backtest` and `rules diff`: what rules would have told of the history that is stored."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from schemas.interaction import Micros
from schemas.timestamps import format_timestamp
from streams.commands.backtest_report import (
    Tally,
    difference,
    prediction_document,
    prediction_lines,
    when,
)
from streams.commands.candidate_rules import candidate, horizon_of
from streams.commands.columns import table
from streams.commands.failures import CommandFailed
from streams.commands.options import DURATION, INSTANT, print_json
from streams.commands.servers import servers
from streams.core.detection.ruleset import RuleSet
from streams.history.backtest import Period, Raised, raised_in
from streams.history.outcome_labels import Label, LabelProblem, read_labels
from streams.history.prediction import Judge
from streams.settings import Settings, load_settings

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouseTarget
    from sinks.clickhouse.history import Extent

SHOWN_CUSTOMERS: Final = 20
"""Findings of each side of a difference that are listed; `--json` lists all."""

EachCustomer = Callable[[str, Micros, int, list[list[Raised]]], None]
"""Told of each customer: who, seen since, how many interactions, what each rule set raised."""

_EXISTING: Final = click.Path(exists=True, path_type=Path)
_SINCE: Final = click.option(
    "--from",
    "since",
    type=INSTANT,
    metavar="TIME",
    help="Findings from TIME on; default: the first interaction.",
)
_UNTIL: Final = click.option(
    "--to", "until", type=INSTANT, metavar="TIME", help="Findings before TIME; default: now."
)


@click.command()
@click.argument("rules", type=_EXISTING)
@_SINCE
@_UNTIL
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines of what became of customers: customer, when, what.",
)
@click.option(
    "--what", multiple=True, metavar="NAME", help="Only labels of this kind; may be given more than once."
)
@click.option(
    "--horizon",
    type=DURATION,
    default="30d",
    show_default=True,
    help="How far ahead a finding announces an outcome.",
)
@click.option(
    "--labels-until",
    type=INSTANT,
    metavar="TIME",
    help="Labels are complete until TIME; default: --to, or the last label if that is later.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def backtest(
    rules: Path,
    since: datetime | None,
    until: datetime | None,
    labels: Path | None,
    what: tuple[str, ...],
    horizon: timedelta,
    labels_until: datetime | None,
    as_json: bool,
) -> None:
    """Run the rules of RULES (a file or a folder) over the history in ClickHouse.

    The code is that of the live road, and it never looks ahead: a finding counts when it would have been raised in the
    period, from what had occurred by then. Nothing is written and nobody is alerted.

    With --labels: precision, recall and lift over the base rate, with 95 % intervals (Wilson's), one trial a customer.
    """
    if labels is None and (what or labels_until is not None):
        raise click.UsageError("--what and --labels-until need --labels")
    if horizon <= timedelta(0):
        raise click.BadParameter("expected more than nothing", param_hint="--horizon")
    settings = load_settings()
    rule_set = candidate(rules, horizon_of(settings))
    outcomes = None if labels is None else _labels(labels, what)
    run = _Run(settings, since, until)
    tally: Tally | None = None
    judge: Judge | None = None

    def begin(period: Period) -> None:
        nonlocal tally, judge
        tally = Tally(rule_set, period)
        if outcomes is not None:
            known_until = None if labels_until is None else micros_of(labels_until)
            judge = Judge(outcomes, period, _micros(horizon), known_until)

    def each(customer: str, first_seen: Micros, interactions: int, raised: list[list[Raised]]) -> None:
        assert tally is not None
        tally.add(interactions, raised[0])
        if judge is not None:
            judge.add(customer, first_seen, raised[0])

    seconds = run.over([rule_set], begin, each)
    assert tally is not None
    predictions = None if judge is None else judge.predictions([rule.id for rule in rule_set.rules])
    if predictions is not None and predictions.unknown and not predictions.customers:
        click.echo(
            f"warning: none of the {predictions.unknown:,} customers of {labels} has an outcome in the period after an "
            "interaction of theirs; are they written as in the column `customer`?",
            err=True,
        )
    if as_json:
        document = tally.document() | {"seconds": round(seconds, 3)}
        if predictions is not None:
            document["prediction"] = prediction_document(predictions, _micros(horizon))
        print_json(document)
        return
    for line in tally.lines():
        click.echo(line)
    if predictions is not None:
        for line in prediction_lines(predictions, _micros(horizon)):
            click.echo(line)


@click.command()
@click.argument("old", type=_EXISTING)
@click.argument("new", type=_EXISTING)
@_SINCE
@_UNTIL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def diff(old: Path, new: Path, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Compare what the rules of OLD and of NEW (files or folders) would have told: more, fewer, unchanged.

    A finding is the same when rule, case, customer, anchor and counted subject are: also when its severity is another.
    """
    settings = load_settings()
    before, after = (candidate(path, horizon_of(settings)) for path in (old, new))
    run = _Run(settings, since, until)
    added: list[Raised] = []
    gone: list[Raised] = []
    period = Period(0, 0)
    unchanged = 0
    graded: list[tuple[Raised, Raised]] = []

    def begin(its: Period) -> None:
        nonlocal period
        period = its

    def each(_customer: str, _first_seen: Micros, _interactions: int, raised: list[list[Raised]]) -> None:
        nonlocal unchanged
        more, fewer, both = difference(*raised)
        added.extend(more)
        gone.extend(fewer)
        unchanged += len(both)
        graded.extend((one, other) for one, other in both if one.severity != other.severity)

    seconds = run.over([before, after], begin, each)
    if as_json:
        print_json(
            {
                "from": format_timestamp(period.since),
                "to": format_timestamp(period.until),
                "old": before.version,
                "new": after.version,
                "added": [_document(one) for one in added],
                "removed": [_document(one) for one in gone],
                "unchanged": unchanged,
                "other_severity": [
                    {**_document(other), "severity_before": one.severity} for one, other in graded
                ],
                "seconds": round(seconds, 3),
            }
        )
        return
    click.echo(f"+{len(added):,} findings, -{len(gone):,}, {unchanged:,} unchanged")
    if graded:
        click.echo(f"{len(graded):,} of the unchanged have another severity")
    for sign, found in (("+", added), ("-", gone)):
        _list(sign, found)
    _list("~", [other for _, other in graded])


def _list(sign: str, found: Sequence[Raised]) -> None:
    if not found:
        return
    click.echo("")
    shown = sorted(found, key=lambda one: (one.at, one.finding_id))[:SHOWN_CUSTOMERS]
    for line in table(
        ("", "when", "customer", "rule", "severity", "sentence"),
        [(sign, when(one.at), one.customer, one.rule, one.severity, one.sentence) for one in shown],
    ):
        click.echo(line)
    if len(found) > len(shown):
        customers = len({one.customer for one in found})
        click.echo(f"... {len(found):,} in all, of {customers:,} customers: --json lists them")


def _document(one: Raised) -> dict[str, Any]:
    return {
        "finding_id": one.finding_id,
        "customer": one.customer,
        "rule": one.rule,
        "severity": one.severity,
        "at": format_timestamp(one.at),
        "sentence": one.sentence,
    }


class _Run:
    """One pass over the history, with a progress bar on standard error."""

    def __init__(self, settings: Settings, since: datetime | None, until: datetime | None) -> None:
        self._settings = settings
        self._since = None if since is None else micros_of(since)
        self._until = time.time_ns() // 1_000 if until is None else micros_of(until)
        if self._since is not None and self._since >= self._until:
            raise click.BadParameter("must be later than --from", param_hint="--to")

    def over(
        self, rule_sets: Sequence[RuleSet], begin: Callable[[Period], None], each: EachCustomer
    ) -> float:
        """Tell the period, then each customer; the seconds it took. `CommandFailed` without any history."""
        from sinks.clickhouse.history import extent_of

        started = time.monotonic()
        with servers(self._settings, clickhouse=True) as running:
            extent = extent_of(running.clickhouse, self._until)
            if not extent.interactions:
                raise CommandFailed(
                    f"no interaction of a known customer before {when(self._until)}",
                    "there is no history to test on: `touchline replay` or `touchline publish` brings it in",
                )
            period = Period(extent.first if self._since is None else self._since, self._until)
            begin(period)
            id_key = _id_key(running.clickhouse, self._settings)
            self._walk(running.clickhouse, extent, period, rule_sets, each, id_key)
        return time.monotonic() - started

    @staticmethod
    def _walk(
        target: "ClickHouseTarget",
        extent: "Extent",
        period: Period,
        rule_sets: Sequence[RuleSet],
        each: EachCustomer,
        id_key: bytes,
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        from sinks.clickhouse.history import histories

        console = Console(stderr=True)
        with Progress(
            TextColumn("testing"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        ) as progress:
            task = progress.add_task("testing", total=extent.interactions)
            for customer, interactions in histories(target, period.until):
                raised = [raised_in(customer, interactions, period, rules, id_key) for rules in rule_sets]
                each(customer, interactions[0].occurred_at, len(interactions), raised)
                progress.advance(task, len(interactions))


def _id_key(target: "ClickHouseTarget", settings: Settings) -> bytes:
    """The key of the ids that the database shows; those of customers with weak names alone are others all the same."""
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.hash_key import id_key_of
    from streams.pseudonymity import pseudonyms_of

    client = connect(target)
    try:
        return id_key_of(client, pseudonyms_of(settings))
    finally:
        client.disconnect()


def _labels(file: Path, what: tuple[str, ...]) -> list[Label]:
    try:
        labels = read_labels(file, what)
    except LabelProblem as problem:
        raise CommandFailed(
            str(problem),
            'a label is a line such as {"customer": "crm:A1", "when": "2026-03-01T10:00:00Z", "what": "churn"}',
        ) from None
    if not labels:
        kinds = f" of {', '.join(what)}" if what else ""
        raise CommandFailed(f"{file}: no label{kinds}", "look at the values of `what` in it" if what else "")
    return labels


def _micros(duration: timedelta) -> Micros:
    return duration // timedelta(microseconds=1)


def micros_of(instant: datetime) -> Micros:
    """An aware instant as microseconds since the epoch."""
    return int(instant.timestamp()) * 1_000_000 + instant.microsecond
