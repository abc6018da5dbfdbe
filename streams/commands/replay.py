"""`touchline replay`: files through the same core, without Kafka."""

import shutil
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from streams.commands.options import DURATION, INSTANT, print_json
from streams.commands.servers import servers
from streams.garbage import rare_collections
from streams.history.line_files import Source, once, sources_named
from streams.history.replay import (
    SHOWN_REJECTIONS,
    IsErased,
    Replay,
    ReplayReport,
)
from streams.settings import Settings, load_settings
from streams.settings.identity import identity_policy

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouseTarget
    from sinks.clickhouse.pseudonyms import Pseudonyms

STDIN = "-"


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option(
    "--identity",
    "facts",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Facts about who is whom, one JSON document a line; may be given more than once.",
)
@click.option("--gap", type=DURATION, help="Silence that ends a journey; default TOUCHLINE_JOURNEYS__GAP.")
@click.option(
    "--until",
    type=INSTANT,
    metavar="TIME",
    help="The instant of evaluation, such as 2026-03-01T00:00:00Z; default the greatest occurred_at read.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with the counts.")
def replay(
    files: tuple[str, ...],
    facts: tuple[str, ...],
    gap: timedelta | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Run events, one JSON document a line, from FILES or standard input (-) straight into ClickHouse.

    The same core as the live road, at full speed, whatever the order of the lines; the rows are the same. Lines that do
    not validate become dead letters. Replaying a file again changes nothing.

    Which identifiers are one customer's is learnt from the events and from the facts of --identity before anything is
    evaluated; the links of a broker are not read.

    What stands already takes part: interactions of the customers who are read, from earlier replays or from the live
    road, are evaluated together with those of the files, and their journeys, findings and lights are put right.
    """
    settings = load_settings()
    if gap is not None:
        if gap <= timedelta(0):
            raise click.BadParameter("expected more than nothing", param_hint="--gap")
        journeys = settings.journeys.model_copy(update={"gap": gap})
        settings = settings.model_copy(update={"journeys": journeys})
    started = time.monotonic()
    files, facts = once(files), once(facts)
    with ExitStack() as stack:
        named = zip(_names((*files, *facts)), (*files, *facts), strict=True)
        sources = [Source(name, _open(stack, file)) for name, file in named]
        report = _replay(sources[: len(files)], sources[len(files) :], settings, until)
    seconds = time.monotonic() - started
    for name, number, reason in report.rejections:
        click.echo(f"{name}, line {number} (from 0): {reason}", err=True)
    if report.dead > SHOWN_REJECTIONS:
        click.echo(
            f"... and {report.dead - SHOWN_REJECTIONS:,} more: `touchline dead-letters list`", err=True
        )
    evaluated_at = datetime.fromtimestamp(report.until / 1e6, UTC)
    if as_json:
        print_json(
            {
                "read": report.read,
                "stored": report.stored,
                "superseded": report.superseded,
                "dead": report.dead,
                "facts": report.facts,
                "journeys": report.journeys,
                "customers": report.customers,
                "findings": report.findings,
                "until": evaluated_at,
                "seconds": round(seconds, 3),
            }
        )
        return
    facts_read = f" ({report.facts:,} facts among them)" if report.facts else ""
    click.echo(
        f"read {report.read:,} = stored {report.stored:,} + superseded {report.superseded:,} "
        f"+ dead {report.dead:,}{facts_read}; {report.journeys:,} journeys of {report.customers:,} customers, "
        f"{report.findings:,} findings, "
        f"evaluated at {evaluated_at:%Y-%m-%d %H:%M:%S}Z, in {seconds:.1f} s "
        f"({report.read / max(seconds, 1e-9):,.0f} lines a second)"
    )


def _names(files: tuple[str, ...]) -> list[str]:
    named = sources_named([Path(file) for file in files])
    return ["stdin" if file == STDIN else name for file, name in zip(files, named, strict=True)]


def _open(stack: ExitStack, file: str) -> BinaryIO:
    """A seekable file; standard input is spooled first."""
    if file != STDIN:
        return stack.enter_context(Path(file).open("rb"))
    spool = cast(BinaryIO, stack.enter_context(tempfile.SpooledTemporaryFile(max_size=1 << 24)))  # noqa: SIM115
    shutil.copyfileobj(click.get_binary_stream("stdin"), spool)
    spool.seek(0)
    return spool


def _replay(
    sources: list[Source], facts: list[Source], settings: Settings, until: datetime | None
) -> ReplayReport:
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.epochs import open_epoch
    from sinks.clickhouse.hash_key import hold_to_key
    from sinks.clickhouse.migrate import migrate
    from sinks.clickhouse.standing import standing_rows
    from sinks.clickhouse.writer import ClickHouseWriter
    from streams.policies import build_decoder, build_fact_decoder, detection_of, journey_policy
    from streams.pseudonymity import pseudonyms_of

    clock = time.time_ns() // 1000
    console = Console(stderr=True)
    size = sum(_size(source.file) for source in (*sources, *facts))
    with (
        servers(settings, clickhouse=True) as running,
        rare_collections(),
        Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        ) as progress,
    ):
        migrate(running.clickhouse)
        pseudonyms = pseudonyms_of(settings)
        id_key = hold_to_key(running.clickhouse, pseudonyms)
        reading = progress.add_task("reading", total=size)
        evaluating = progress.add_task("evaluating", total=None)
        writer = ClickHouseWriter(running.clickhouse, pseudonyms)
        standing = standing_rows(running.clickhouse, pseudonyms)
        try:
            report = Replay(
                build_decoder(settings),
                journey_policy(settings, id_key),
                writer,
                version=clock,
                clock=clock,
                standing=standing,
                detection=detection_of(settings, id_key),
                identity=identity_policy(settings.identity),
                fact_decoder=build_fact_decoder(settings),
                **erased(running.clickhouse, pseudonyms),
            ).run(
                sources,
                None if until is None else round(until.timestamp() * 1_000_000),
                on_bytes=lambda more: progress.advance(reading, more),
                on_customers=lambda done, total: progress.update(evaluating, completed=done, total=total),
                identity=facts,
            )
            client = connect(running.clickhouse)
            try:
                # What the live road writes from now on wins over what this run wrote.
                open_epoch(client, "replay", settings.kafka.prefix, clock + 1)
            finally:
                client.disconnect()
        finally:
            writer.close_sync()
            if standing is not None:
                standing.close()
    return report


def erased(target: "ClickHouseTarget", pseudonyms: "Pseudonyms") -> dict[str, IsErased]:
    """What was forgotten, as `Replay` asks for it: nothing where nobody was."""
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.receipts import erased_interactions

    client = connect(target)
    try:
        gone = erased_interactions(client)
    finally:
        client.disconnect()
    if not gone:
        return {}
    return {
        "is_erased": lambda source, id_: pseudonyms.erased_identity(source, id_) in gone,
        "is_erased_fact": lambda source, id_: pseudonyms.erased_fact(source, id_) in gone,
    }


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size
