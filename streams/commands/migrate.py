"""`touchline migrate`: create the tables and the topics, or bring them up to date. Safe to run again and
again.
"""

import time
from datetime import timedelta
from typing import Any, NamedTuple

import click

from schemas.topics import DEFAULT_HORIZON, INTERACTIONS
from streams.commands.failures import NotAsExpected
from streams.commands.options import print_json
from streams.commands.servers import Servers, servers
from streams.kafka.admin import Layout, Survey, broker_admin, create_missing, survey
from streams.settings import Settings, load_settings
from streams.settings.kafka import KafkaSettings


class Migrated(NamedTuple):
    """What was done, and what stands in the way."""

    migrations: tuple[str, ...]
    topics: Survey
    epoch: int | None
    """When a new life of the topics was recorded (microseconds since the epoch); None when they existed
    before.
    """


def layout_of(settings: KafkaSettings, horizon: timedelta = DEFAULT_HORIZON) -> Layout:
    """The topics that these settings ask for."""
    return Layout(settings.prefix, settings.partitions, settings.replication, horizon)


def bring_up_to_date(
    running: Servers, settings: Settings, now: int, *, fresh_topics: bool = False
) -> Migrated:
    """Apply the migrations, then create the missing topics. `now` is in microseconds since the Unix epoch.

    The order matters. Tables come first: a worker that sees topics may write at once. Before the interactions
    topic is created (again), ClickHouse is told that a new life of the topics begins: their offsets start
    from 0, and rows of the former life must not win over theirs. A crash in between records a life too many,
    which changes nothing. `fresh_topics` says that topics which exist are new all the same: the mock broker
    makes them at its start.
    """
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.epochs import open_epoch, topics_incarnation
    from sinks.clickhouse.migrate import migrate as apply_migrations

    applied = tuple(migration.name for migration in apply_migrations(running.clickhouse))
    layout = layout_of(settings.kafka, settings.journeys.horizon)
    epoch = None
    with broker_admin(running.kafka) as admin:
        fresh_topics = fresh_topics or INTERACTIONS.full_name(layout.prefix) in survey(admin, layout).missing
        client = connect(running.clickhouse)
        try:
            # A database that knows of no life of these topics is new to them, whatever their age.
            if fresh_topics or topics_incarnation(client, layout.prefix) is None:
                open_epoch(client, "topics", layout.prefix, now)
                epoch = now
        finally:
            client.disconnect()
        topics = create_missing(admin, layout)
    return Migrated(applied, topics, epoch)


def report(migrated: Migrated) -> list[str]:
    """The lines for people."""
    topics = migrated.topics
    lines = [
        f"tables: applied {', '.join(migrated.migrations)}" if migrated.migrations else "tables: up to date",
        f"topics: created {', '.join(topics.created)}" if topics.created else "topics: all there",
    ]
    lines += [f"differs: {difference} (left as it is)" for difference in topics.differences]
    if not topics.config_known:
        lines.append("note: this broker does not tell topic configurations; only partitions were compared")
    if topics.partitions_differ:
        lines.append(
            "Every topic needs the same number of partitions: set TOUCHLINE_KAFKA__PARTITIONS to theirs, "
            "or use another TOUCHLINE_KAFKA__PREFIX."
        )
    return lines


def document(migrated: Migrated) -> dict[str, Any]:
    """What `--json` prints."""
    topics = migrated.topics
    return {
        "migrations": list(migrated.migrations),
        "topics": {
            "created": list(topics.created),
            "existing": [name for name in topics.existing if name not in topics.created],
            "differences": [
                {"topic": one.topic, "what": one.what, "expected": one.expected, "found": one.found}
                for one in topics.differences
            ],
        },
        "epoch": migrated.epoch,
    }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def migrate(as_json: bool) -> None:
    """Create or update the ClickHouse tables and create the Kafka topics that are missing.

    Existing topics are compared and never altered. Exit status 1 when their number of partitions differs from
    the settings, since no worker may start on them.
    """
    settings = load_settings()
    with servers(settings, kafka=True, clickhouse=True) as running:
        migrated = bring_up_to_date(running, settings, now=time.time_ns() // 1000)
    if as_json:
        print_json(document(migrated))
    else:
        click.echo("\n".join(report(migrated)))
    if migrated.topics.partitions_differ:
        raise NotAsExpected
