"""`touchline bench`: measure the road and its peers on one broker, in one run."""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.failures import CommandFailed
from streams.commands.options import print_json

if TYPE_CHECKING:
    from bench.contest import Contestant
    from bench.report import Results

NAMES = (
    "raw-poll",
    "faust",
    "touchline-count",
    "pipeline",
    "pipeline-rules",
    "pipeline-acquainted",
    "quix",
    "bytewax",
)
EXTRAS = ("budget", "rules", "memory", "latency", "identity")


@click.command()
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often each takes its turn.",
)
@click.option(
    "--only",
    type=click.Choice((*NAMES, *EXTRAS)),
    multiple=True,
    help="Measure this alone; may be given more than once.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="EVENTS",
    help="Events a second beside which latency is measured; default: half of what pipeline-rules reaches.",
)
@click.option("--broker", type=click.Choice(("kafka", "mock")), help="Default: the real Kafka where Java is.")
@click.option("--write", is_flag=True, help="Write the results into docs/benchmarks.md.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON document.")
def bench(
    rounds: int, only: tuple[str, ...], rate: float | None, broker: str | None, write: bool, as_json: bool
) -> None:
    """Measure Touchline, stock Faust and its peers on the same broker, each in turn, several times.

    Starts servers of its own in a scratch directory; nothing of yours is touched. Takes some minutes, and wants a
    machine that has nothing else to do. Needs the source tree, and for the peers what `make bench` installs.
    """
    try:
        from bench.contest import CONTESTANTS, ContestantFailed, peers_installed
        from bench.pipeline import PipelineStuck
    except ImportError as error:
        raise CommandFailed(
            f"the benchmark is not installed ({error})", "run it in the source tree"
        ) from error
    extras = [name for name in EXTRAS if not only or name in only]
    wanted = {*only, "pipeline-rules"} if only and "latency" in only and rate is None else set(only)
    chosen = [one for one in CONTESTANTS if not wanted or one.name in wanted & set(NAMES)]
    if not peers_installed():
        for one in [one for one in chosen if one.peer]:
            click.echo(f"left out: {one.title}; `make bench` installs it", err=True)
            chosen.remove(one)
    try:
        results = _measure(chosen, extras, rounds, rate, broker)
    except (ContestantFailed, PipelineStuck) as error:
        raise CommandFailed(str(error)) from error
    if write:
        from bench.report import write_document

        write_document(results)
    if as_json:
        print_json(results.as_json())
    else:
        click.echo(results.markdown())


def _measure(
    chosen: "list[Contestant]", extras: list[str], rounds: int, rate: float | None, broker: str | None
) -> "Results":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from bench.budget import BUDGET_EVENTS, measure_budget, table_columns
    from bench.contest import ROOT, Contest
    from bench.figures import figures
    from bench.identity_quality import QUALITY_PEOPLE, QUALITY_SEED, evaluate
    from bench.identity_recovery import CUSTOMERS as CUSTOMERS_WITH_LINKS
    from bench.identity_recovery import measure_recovery
    from bench.latency import SECONDS, measure_latency
    from bench.machine import busy_share, machine
    from bench.memory import CUSTOMERS
    from bench.pinned import command
    from bench.pipeline import PIPELINE_EVENTS, simulate
    from bench.report import IdentityFigures, Results
    from bench.rule_cost import measure_rules
    from bench.servers import arena
    from streams.settings import Settings

    console = Console(stderr=True)
    busy = busy_share()
    if busy > 0.3:
        console.print(
            f"note: the machine is busy (load {busy:.1f} a core); figures will be too low", highlight=False
        )
    wants_load = bool({"budget", "rules", "latency"} & set(extras)) or any(
        one.module is None for one in chosen
    )
    with (
        tempfile.TemporaryDirectory(prefix="touchline-bench-") as home,
        Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(), console=console, disable=not console.is_terminal,
        ) as progress,
    ):  # fmt: skip
        steps = progress.add_task("starting servers", total=rounds * len(chosen) + len(extras) + 1)
        load = simulate(PIPELINE_EVENTS) if wants_load else None
        with arena(
            Path(home), "mock" if broker == "mock" else "kafka" if broker else None, console.print
        ) as place:
            contest = Contest(place, chosen, load)
            progress.update(steps, description="publishing")
            contest.prepare()

            def done(one: "Contestant", reading: object) -> None:  # noqa: ARG001
                progress.update(steps, advance=1, description=one.title)

            progress.update(steps, advance=1, description="measuring")
            contest.run(rounds, done)
            budget = None
            if "budget" in extras and load is not None:
                progress.update(steps, description="budget")
                budget = measure_budget(load.events[:BUDGET_EVENTS], table_columns(place), Settings())
                progress.update(steps, advance=1)
            rules = None
            if "rules" in extras and load is not None:
                progress.update(steps, description="rules")
                rules = measure_rules(load.events[:BUDGET_EVENTS], Settings())
                progress.update(steps, advance=1)
            latency = None
            if "latency" in extras and load is not None:
                progress.update(steps, description="latency")
                reached = figures(contest.readings["pipeline-rules"]).by_clock.median if rate is None else 0
                beside = reached / 2 if rate is None else rate
                part = load._replace(events=load.events[: round(beside * SECONDS)])
                latency = measure_latency(place, part, beside)
                progress.update(steps, advance=1)
            weight = None
            if "memory" in extras:
                progress.update(steps, description="memory")
                program = command(place.core, [sys.executable, "-m", "bench.memory", str(CUSTOMERS)])
                said = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout
                weight = float(said.rpartition(":")[2].strip(" }\n"))
                progress.update(steps, advance=1)
            identity = None
            if "identity" in extras:
                progress.update(steps, description="identity")
                program = command(place.core, [sys.executable, "-m", "bench.identity_cost"])
                said = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout
                recovery = asyncio.run(measure_recovery(place, CUSTOMERS_WITH_LINKS))
                identity = IdentityFigures(json.loads(said), recovery, evaluate(QUALITY_SEED, QUALITY_PEOPLE))
                progress.update(steps, advance=1)
            return Results(
                machine(),
                "make bench",
                "Apache Kafka (KRaft, one node)"
                if place.kind == "kafka"
                else "the mock cluster of librdkafka",
                place.core is not None,
                busy,
                chosen,
                {name: figures(readings) for name, readings in contest.readings.items()},
                budget,
                weight,
                latency,
                rules,
                identity,
            )
