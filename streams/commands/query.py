"""`touchline query`: SQL in, any of ClickHouse's formats out, streamed.

The statement goes over ClickHouse's HTTP interface, because there the server itself writes the format that is
asked for: every format name works and reads exactly as it does elsewhere. Reading is the default
(`readonly=2`: no writes, settings allowed); `--write` lifts it.
"""

import re
import sys
from typing import BinaryIO

import click

from streams.commands.failures import CommandFailed
from streams.commands.http import HttpTarget, answer
from streams.commands.servers import servers
from streams.settings import load_settings

TERMINAL_FORMAT = "PrettyCompact"
PIPE_FORMAT = "TabSeparatedWithNames"

UNKNOWN_DATABASE = re.compile(r"Code: 81\. .*\bDatabase (?P<name>`[^`]+`|\S+) does not exist", re.DOTALL)


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "output_format",
    metavar="FORMAT",
    help=f"A ClickHouse format name. Default: {TERMINAL_FORMAT} on a terminal, else {PIPE_FORMAT}. "
    "A FORMAT clause in the statement wins.",
)
@click.option("--write", is_flag=True, help="Allow statements that change data; without it they are refused.")
def query(sql: str, output_format: str | None, write: bool) -> None:
    """Run one SQL statement; `-` reads it from standard input.

    Tables without a database are looked up in the configured one. People read the views interactions, journeys,
    journey_steps, findings, findings_history, customers, lights, light_contributions, alerts, alerts_history,
    identity, identity_history, renamed_customers, erasures, dead_letters, ledger and reconciliation:
    docs/data-dictionary.md explains every column.

    \b
    touchline query "SELECT * FROM journeys ORDER BY started_at DESC LIMIT 5"
    touchline query "SELECT * FROM interactions" --format Parquet > interactions.parquet
    """
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise click.UsageError("the statement is empty")
    output = sys.stdout.buffer
    chosen = output_format or (TERMINAL_FORMAT if sys.stdout.isatty() else PIPE_FORMAT)
    settings = load_settings()
    with servers(settings, clickhouse=True) as running:
        copy(running.clickhouse_http, text, chosen, output, write=write)


def copy(target: HttpTarget, sql: str, output_format: str, output: BinaryIO, *, write: bool = False) -> None:
    """Run `sql` and write the answer to `output` as it arrives; raise `CommandFailed` with ClickHouse's
    message.
    """
    settings = {"default_format": output_format}
    if not write:
        settings["readonly"] = "2"
    try:
        for chunk in answer(target, sql, settings):
            output.write(chunk)
    except CommandFailed as failure:
        if not write and "readonly" in failure.reason.lower():
            raise CommandFailed(failure.reason, "add --write to change data") from None
        unknown = UNKNOWN_DATABASE.match(failure.reason)
        if unknown and unknown["name"].strip("`") == target.database:
            raise CommandFailed(failure.reason, "run `touchline migrate` first") from None
        raise
    output.flush()
