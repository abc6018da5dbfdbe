"""The `touchline` command: an explicit list of subcommands, loaded when they are called.

Exit status: 0 done, 1 it failed or the answer is no, 2 the command line or a setting is wrong, 130 Ctrl-C,
143 SIGTERM.
Standard output carries results only (with `--json` exactly one JSON document); all else goes to standard
error.
"""

import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

import click

from streams.commands.failures import Failure, NotAsExpected, explain


class Entry(NamedTuple):
    """One subcommand: where its function lives, the line that help shows, and an example that works."""

    name: str
    target: str
    summary: str
    example: str


SECTIONS: Final[dict[str, tuple[Entry, ...]]] = {
    "Try it": (
        Entry(
            "demo",
            "streams.commands.demo:demo",
            "Start everything, publish a simulation, watch it arrive.",
            "touchline demo --seconds 60",
        ),
        Entry(
            "up",
            "streams.commands.up:up",
            "Start broker, ClickHouse and workers; stop with Ctrl-C.",
            "touchline up",
        ),
    ),
    "Feed it": (
        Entry(
            "publish",
            "streams.commands.publish:publish",
            "Publish events from JSON lines to their topics.",
            "touchline publish events.jsonl",
        ),
        Entry(
            "replay",
            "streams.commands.replay:replay",
            "Run the same core over files, without Kafka.",
            "touchline replay events.jsonl --gap 7d",
        ),
    ),
    "Read it": (
        Entry(
            "query",
            "streams.commands.query:query",
            "Ask ClickHouse, in any of its formats.",
            'touchline query "SELECT channel, count() FROM interactions GROUP BY channel"',
        ),
        Entry(
            "reconcile",
            "streams.commands.reconcile:reconcile",
            "Is every received event accounted for?",
            "touchline reconcile --wait 30s",
        ),
        Entry(
            "dead-letters",
            "streams.commands.dead_letters:dead_letters",
            "See what did not validate, why, and send it again.",
            "touchline dead-letters list --reason direction",
        ),
    ),
    "Act on it": (
        Entry(
            "findings",
            "streams.commands.findings:findings",
            "What dissatisfies customers, why; acknowledge it, snooze it.",
            "touchline findings list --severity severe --state open",
        ),
        Entry(
            "light",
            "streams.commands.light:light",
            "Why a customer is green, yellow or red, line by line.",
            "touchline light crm:A1",
        ),
        Entry(
            "rules",
            "streams.commands.rules:rules",
            "Check rules, list them, try them on history before they count.",
            "touchline rules backtest my-rules/ --from 2026-01-01T00:00:00Z",
        ),
        Entry(
            "identity",
            "streams.commands.identity:identity",
            "Which identifiers are one customer's, and why; link, unlink them.",
            "touchline identity show phone:+359888123456",
        ),
        Entry(
            "forget",
            "streams.commands.forget:forget",
            "Erase a customer from everything, with a receipt.",
            'touchline forget crm:A1 --reason "asked for it"',
        ),
    ),
    "Run it": (
        Entry(
            "migrate",
            "streams.commands.migrate:migrate",
            "Create topics and tables, or bring them up to date.",
            "touchline migrate",
        ),
        Entry(
            "worker",
            "streams.commands.worker:worker",
            "Run one worker process of the pipeline.",
            "touchline worker",
        ),
        Entry(
            "doctor",
            "streams.commands.doctor:doctor",
            "Check everything that has to be right, say what to do.",
            "touchline doctor",
        ),
        Entry(
            "bench",
            "streams.commands.bench:bench",
            "Measure the road and its peers on one broker.",
            "touchline bench --rounds 3",
        ),
    ),
}

ENTRIES: Final[dict[str, Entry]] = {entry.name: entry for section in SECTIONS.values() for entry in section}

INTRODUCTION: Final = """\
Touchline joins phone calls, e-mails, office visits and online actions into one journey per customer,
as they happen: events come in over Kafka, journeys are read from ClickHouse with plain SQL."""

CONFIGURATION: Final = """\
With nothing configured a Kafka broker and a ClickHouse run as local processes, data under ./.touchline.
TOUCHLINE_KAFKA__BOOTSTRAP and TOUCHLINE_CLICKHOUSE__URL name your own servers; docs/settings.md has the rest.
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command, in the order of the sections."""
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command, or None when there is none of that name."""
        entry = ENTRIES.get(cmd_name)
        return None if entry is None else load(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a suggestion for a name that is nearly right."""
        if args and args[0] not in ENTRIES:
            import difflib

            near = difflib.get_close_matches(args[0], ENTRIES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `touchline --help` lists them."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lines of what it is, then the commands by use, each with an example; imports no command."""
        self.format_usage(ctx, formatter)
        formatter.write(f"\n{INTRODUCTION}\n")
        width = max(map(len, ENTRIES))
        for title, entries in SECTIONS.items():
            formatter.write(f"\n{title}:\n")
            for entry in entries:
                formatter.write(f"  {entry.name:<{width}}  {entry.summary}\n")
                formatter.write(f"  {'':<{width}}    $ {entry.example}\n")
        formatter.write("\n")
        self.format_options(ctx, formatter)
        formatter.write(f"\n{CONFIGURATION}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The global options only: the commands are listed by use above."""
        records = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        formatter.write("Options:\n")
        formatter.indent()
        formatter.write_dl(records)
        formatter.dedent()


def load(entry: Entry) -> click.Command:
    """Import one command."""
    module, _, attribute = entry.target.partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("touchline")
        except PackageNotFoundError:
            number = "(not installed; run `make setup`)"
        click.echo(f"touchline {number}, Python {sys.version.split()[0]}")
        ctx.exit()


@click.group(cls=LazyGroup, name="touchline", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Log in detail and show tracebacks.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Join every touchpoint of a customer into one journey."""
    ctx.meta["touchline.debug"] = debug
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    if not debug:
        # What a client library mutters while it connects is not the message: the command's own error is.
        for library in ("kafka", "aiokafka", "clickhouse_driver"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
    for library in ("kafka.net.connection", "kafka.protocol.parser", "aiokafka.conn"):
        # However much is asked for: they log whole requests, and one of SASL PLAIN is the password.
        logging.getLogger(library).setLevel(logging.INFO if debug else logging.CRITICAL)


@contextmanager
def _unwinding_on_signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM raise `KeyboardInterrupt` in the block, as long as a command has no way of its own to stop, so
    that what it started is stopped. The list has the signals that came.
    """
    came: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    # A shell has its background jobs ignore Ctrl-C.
    heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    numbers = (signal.SIGTERM, signal.SIGINT) if heard else (signal.SIGTERM,)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; whatever goes wrong is told on standard error."""
    given = sys.argv[1:] if args is None else list(args)
    debug = "--debug" in given
    came: list[int] = []
    try:
        with _unwinding_on_signals() as came:
            answer = cli.main(args=given, prog_name="touchline", standalone_mode=False)
    except NotAsExpected:
        return 1
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        # click takes an EOFError for Ctrl-D at a prompt; here it is a database that went away.
        if isinstance(stop.__cause__, EOFError):
            return _tell(explain(stop.__cause__), debug)
        return _stopped(came)
    except click.exceptions.NoArgsIsHelpError as error:
        # Its message is the help itself.
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else _command_named(given)
        return _tell(Failure(error.format_message(), f"`{command} --help` shows how", error.exit_code), debug)
    except SystemExit as end:
        # click's own answer to a reader that has seen enough (`| head`); it has silenced standard output.
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        # Interrupted while they are imported, some libraries raise errors of their own instead.
        return _stopped(came) if came else _tell(explain(error), debug)
    return answer if isinstance(answer, int) else 0


def _stopped(came: Sequence[int]) -> int:
    ended = signal.SIGTERM in came[:1]
    click.echo("terminated" if ended else "interrupted", err=True)
    return 143 if ended else 130


def _command_named(given: Sequence[str]) -> str:
    """The command that these arguments name, as help is asked of it: errors of click's parser do not know theirs."""
    return next((f"touchline {each}" for each in given if each in ENTRIES), "touchline")


def _tell(failure: Failure, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"error: {failure.message}", err=True)
    if failure.what_to_do:
        click.echo(f"  {failure.what_to_do}", err=True)
    return failure.status


def main() -> None:
    """Entry point of the `touchline` script."""
    _open_what_is_closed()
    sys.exit(run())


def _open_what_is_closed() -> None:
    """Standard streams that the caller has closed (`>&-`) become ones that say nothing: else Python has none, and what
    is opened next, a socket perhaps, gets their number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - for as long as the process lives
            if stream.fileno() != number:
                os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
