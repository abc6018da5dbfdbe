"""`touchline reconcile`: is every event that was received accounted for?"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple

import click

from streams.commands.failures import NotAsExpected
from streams.commands.options import DURATION, print_json
from streams.commands.servers import servers
from streams.settings import load_settings

COLUMNS: Final = (
    "topic",
    "partition",
    "incarnation",
    "received",
    "stored",
    "superseded",
    "dead",
    "missing",
    "surplus",
    "balanced",
)
POLL_SECONDS: Final = 0.5
NAMED: Final = 8
"""Partitions that the one line names before it says how many more there are."""


class Partition(NamedTuple):
    """One source partition of the view `reconciliation`. `missing` and `surplus` count offsets, not
    differences.
    """

    topic: str
    partition: int
    incarnation: int
    """Which life of the topic; under replay a digest of the file."""
    received: int
    stored: int
    superseded: int
    dead: int
    missing: int
    surplus: int
    balanced: bool


class Balance(NamedTuple):
    """The whole ledger."""

    partitions: tuple[Partition, ...]

    @property
    def balanced(self) -> bool:
        """Whether every partition is."""
        return all(partition.balanced for partition in self.partitions)

    def total(self, column: str) -> int:
        """The sum of one column over all partitions."""
        return sum(getattr(partition, column) for partition in self.partitions)

    def as_json(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        return {
            **{name: self.total(name) for name in ("received", "stored", "superseded", "dead")},
            "balanced": self.balanced,
            "partitions": [partition._asdict() for partition in self.partitions],
        }

    def sentence(self) -> str:
        """The one line for people."""
        if not self.partitions:
            return "balanced: nothing received yet"
        if self.balanced:
            return (
                f"balanced: received {self.total('received'):,} = stored {self.total('stored'):,} + "
                f"superseded {self.total('superseded'):,} + dead {self.total('dead'):,}"
            )
        wrong = [partition for partition in self.partitions if not partition.balanced]
        named = "; ".join(_what_is_wrong(partition) for partition in wrong[:NAMED])
        more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        return f"NOT balanced: {named}{more}"


def _what_is_wrong(partition: Partition) -> str:
    parts = []
    if partition.missing:
        parts.append(f"{partition.missing:,} of {partition.received:,} received not accounted for")
    if partition.surplus:
        parts.append(f"{partition.surplus:,} accounted for but never received")
    return f"{partition.topic}/{partition.partition}: {' and '.join(parts) or 'not balanced'}"


def balance_of(rows: Sequence[Sequence[Any]]) -> Balance:
    """Rows of the view, in the order of `COLUMNS`."""
    return Balance(tuple(Partition._make((*row[:-1], bool(row[-1]))) for row in rows))


def read_balance(client: Any) -> Balance:
    """Read the ledger through a connected client."""
    return balance_of(
        client.execute(
            f"SELECT {', '.join(COLUMNS)} FROM reconciliation ORDER BY topic, partition, incarnation"
        )
    )


@contextmanager
def _client() -> Iterator[Any]:
    from sinks.clickhouse.client import connect

    with servers(load_settings(), clickhouse=True) as running:
        client = connect(running.clickhouse)
        try:
            yield client
        finally:
            client.disconnect()


@click.command()
@click.option("--wait", type=DURATION, metavar="DURATION", help="Poll so long until it balances (30s, 5m).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def reconcile(wait: timedelta | None, as_json: bool) -> None:
    """Check that received = stored + superseded + dead, partition by partition.

    Superseded are repetitions and older revisions; dead are dead letters. Exit status 1 when an offset is not
    accounted for. While events are still on their way a partition does not balance: --wait gives them time.
    """
    with _client() as client:
        deadline = time.monotonic() + (wait.total_seconds() if wait is not None else 0.0)
        balance = read_balance(client)
        while not balance.balanced and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            balance = read_balance(client)
    if as_json:
        print_json(balance.as_json())
    else:
        click.echo(balance.sentence())
    if not balance.balanced:
        raise NotAsExpected
