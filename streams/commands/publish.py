"""`touchline publish`: events, or facts about who is whom, from files of JSON lines to their topics."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from schemas.codec import Decoder
from schemas.identity import FactDecoder
from schemas.topics import IDENTITY, RAW
from schemas.vocabulary import CHANNELS, Channel
from streams.commands.failures import CommandFailed, NotAsExpected
from streams.commands.options import print_json
from streams.commands.servers import servers
from streams.core.identity import customer_of
from streams.kafka.access import KafkaAccess
from streams.kafka.addressing import Addressing, EventAddressing, FactAddressing, Line
from streams.kafka.publishing import BrokerSilent, LinePublisher, PublishReport, TopicMissing, lines_of
from streams.settings import Settings, load_settings


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--identity", is_flag=True, help="The lines are facts about who is whom, not events.")
@click.option("--channel", type=click.Choice(CHANNELS), help="Publish this channel's events, reject others.")
@click.option("--allow-invalid", is_flag=True, help="Also publish lines that do not validate (dead letters).")
@click.option("--json", "as_json", is_flag=True, help='Print {"read", "published", "rejected"}.')
def publish(
    files: tuple[str, ...], identity: bool, channel: Channel | None, allow_invalid: bool, as_json: bool
) -> None:
    """Publish events, one JSON document a line, from FILES or standard input (-).

    Each line is validated first and then sent as it is to its channel's topic. Lines that do not validate are
    named on standard error and rejected; the rest is published. Exit status 0 only when every line was
    published.

    With --identity the lines are facts about who is whom (docs/identity.md), and a fact replaces the one of the same
    source and id that has a lower revision.

    Events older than the horizon (TOUCHLINE_JOURNEYS__HORIZON, 30 days) count as too late once newer ones have come:
    history is for `touchline replay`, which reads everything first.
    """
    if identity and (channel is not None or allow_invalid):
        raise click.UsageError("--identity is about facts: --channel and --allow-invalid are about events")
    settings = load_settings()
    with servers(settings, kafka=True) as running:
        report = _publish(files, _addressing(settings, identity, channel, allow_invalid), running.kafka)
    if as_json:
        print_json({"read": report.read, "published": report.published, "rejected": report.rejected})
    else:
        click.echo(_sentence(report))
    if report.undelivered:
        raise CommandFailed(
            f"{report.undelivered} lines were not delivered",
            "they are named above: publish them again later (repetitions change nothing)",
        )
    if not report.complete:
        raise NotAsExpected


def _addressing(
    settings: Settings, identity: bool, channel: Channel | None, allow_invalid: bool
) -> Addressing:
    prefix, region = settings.kafka.prefix, settings.identity.region
    future = settings.time.future // timedelta(microseconds=1)
    if identity:
        return FactAddressing(IDENTITY.full_name(prefix), FactDecoder(region, future))
    return EventAddressing(
        lambda name: RAW[name].full_name(prefix),
        Decoder(region, future, customer_of),
        channel=channel,
        allow_invalid=allow_invalid,
    )


def _publish(files: tuple[str, ...], addressing: Addressing, access: KafkaAccess) -> PublishReport:
    console = Console(stderr=True)
    with _progress(files, console) as progress:
        publisher = LinePublisher(
            access,
            addressing,
            clock=lambda: time.time_ns() // 1_000,
            on_rejected=lambda rejection: progress.console.print(
                str(rejection), markup=False, highlight=False, soft_wrap=True
            ),
        )
        try:
            return publisher.publish(_lines(files, progress))
        except TopicMissing as error:
            raise CommandFailed(str(error), "run `touchline migrate` first") from error
        except BrokerSilent as error:
            raise CommandFailed(
                str(error),
                "check TOUCHLINE_KAFKA__BOOTSTRAP or run `touchline doctor`; then publish the same file "
                "again (repetitions change nothing)",
            ) from error


def _lines(files: tuple[str, ...], progress: Progress) -> Iterator[Line]:
    tasks = {name: progress.add_task(_shown(name), total=_size(name)) for name in dict.fromkeys(files)}
    for name in files:
        with ExitStack() as stack:
            file: BinaryIO = (
                click.get_binary_stream("stdin")
                if name == "-"
                else stack.enter_context(Path(name).open("rb"))
            )
            yield from _counted(lines_of(_shown(name), file), progress, tasks[name])


def _counted(lines: Iterator[Line], progress: Progress, task: TaskID) -> Iterator[Line]:
    done = 0
    for line in lines:
        yield line
        done += len(line.value) + 1
        if line.number % 500 == 0:
            progress.update(task, completed=done)
    progress.update(task, completed=done)


def _progress(files: tuple[str, ...], console: Console) -> Progress:
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")]
    if "-" in files:
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed:,.0f} bytes"),
        ]
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)


def _shown(name: str) -> str:
    return "<stdin>" if name == "-" else name


def _size(name: str) -> int | None:
    return None if name == "-" else Path(name).stat().st_size


def _sentence(report: PublishReport) -> str:
    sentence = f"published {report.published:,} of {report.read:,} lines"
    return sentence + (f", rejected {report.rejected:,}" if report.rejected else "")
