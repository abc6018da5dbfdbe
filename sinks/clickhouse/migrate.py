"""Bring a database to the schema of this code: numbered SQL files, applied once each, never edited.

A file is rendered for one server or, when the target names a cluster, for that: the storage table becomes
`NAME_local` with a Replicated engine and a Distributed table takes its name. The ledger `schema_migrations`
keeps the checksum of each applied file. Every statement may be repeated, and what a file removes is no longer needed
by the files before it once they are entered, so two processes that migrate at once do no harm.
"""

import hashlib
import re
from importlib import resources
from string import Template
from typing import Final, NamedTuple

from clickhouse_driver import Client
from clickhouse_driver import errors as driver

from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.errors import SinkMisconfigured, classify

_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_SHARDED: Final = re.compile(r"^-- sharded by (?P<key>.+)$", re.MULTILINE)
_CREATE_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (?:(?P<database>\w+)\.)?(?P<table>\w+)")
_COMMENT_LINE: Final = re.compile(r"^\s*--.*$\n?", re.MULTILINE)
_STATEMENT_END: Final = re.compile(r";[ \t]*$", re.MULTILINE)

# Identical blocks must not vanish: after an erasure the same rows may rightly come again (docs/adr/0001).
_NO_DEDUPLICATION: Final = {
    False: "non_replicated_deduplication_window = 0",
    True: "replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0",
}


class Migration(NamedTuple):
    """One file: `template` is its text, `checksum` the SHA-256 of that text in hex."""

    number: int
    name: str
    template: str
    checksum: str


class MigrationRefused(SinkMisconfigured):
    """The database and the code disagree about the past: an applied file was edited, or the database is
    newer.
    """


def available() -> list[Migration]:
    """All migrations of this code in their order; ValueError when two have one number or one is missing."""
    found = []
    for entry in resources.files("sinks.clickhouse").joinpath("migrations").iterdir():
        if match := _FILE_NAME.fullmatch(entry.name):
            text = entry.read_text(encoding="utf-8").replace("\r\n", "\n")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match[1]), entry.name, text, checksum))
    found.sort()
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise ValueError(f"{migration.name}: expected number {expected:04d}; numbers are consecutive")
    return found


def private_database(database: str) -> str:
    """The database beside it that says what hashed identifiers stand for."""
    return f"{database}_private"


def render(migration: Migration, database: str, cluster: str | None = None) -> list[str]:
    """The statements of one migration, for one server or for `cluster`; pure."""
    on_cluster = f"ON CLUSTER '{cluster}'" if cluster else ""
    text = Template(migration.template).substitute(
        on_cluster=on_cluster,
        local="_local" if cluster else "",
        private=private_database(database),
        replicated="Replicated" if cluster else "",
        no_deduplication=_NO_DEDUPLICATION[cluster is not None],
    )
    statements = []
    for piece in _STATEMENT_END.split(text):
        sharded = _SHARDED.search(piece)
        statement = _COMMENT_LINE.sub("", piece).strip()
        if not statement:
            continue
        created = _CREATE_TABLE.match(statement)
        if cluster is None or created is None:
            statements.append(statement)
            continue
        if sharded is None:
            raise ValueError(
                f"{migration.name}: table {created['table']} needs a line `-- sharded by EXPRESSION`"
            )
        within = f"{created['database']}." if created["database"] else ""
        table, local = created["table"], f"{created['table']}_local"
        head = f"CREATE TABLE IF NOT EXISTS {within}{local} {on_cluster}"
        statements.append(head + statement[created.end() :])
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {within}{table} {on_cluster} AS {within}{local}\n"
            f"ENGINE = Distributed('{cluster}', '{created['database'] or database}', '{local}', {sharded['key']})"
        )
    return statements


def pending(target: ClickHouseTarget) -> list[Migration]:
    """The migrations that the database lacks; all of them where there is no database.

    Raises `MigrationRefused` when an applied file was edited or the database is newer than this code,
    `SinkUnavailable` or `SinkMisconfigured` when the server cannot be asked.
    """
    client = connect(target, database="")
    try:
        return _pending(client, target)
    except (driver.Error, EOFError, OSError) as error:
        raise classify(error) from error
    finally:
        client.disconnect()


def migrate(target: ClickHouseTarget) -> list[Migration]:
    """Create the database where it is missing, apply what is pending, and return what was applied.

    Raises like `pending`. A file that fails half-way is applied again from its beginning by the next call.
    """
    on_cluster = f"ON CLUSTER '{target.cluster}'" if target.cluster else ""
    server = connect(target, database="")
    client = connect(target)
    applied = []
    try:
        todo = _pending(server, target)
        server.execute(f"CREATE DATABASE IF NOT EXISTS `{target.database}` {on_cluster}")
        for migration in todo:
            try:
                for statement in render(migration, target.database, target.cluster):
                    client.execute(statement)
            except driver.ServerException:
                # Another process migrates too, is ahead of us, and has removed what this one reads.
                if migration in _pending(server, target):
                    raise
                continue
            entry = (migration.number, migration.name, migration.checksum)
            client.execute("INSERT INTO schema_migrations (number, name, checksum) VALUES", [entry])
            applied.append(migration)
    except (driver.Error, EOFError, OSError) as error:
        raise classify(error) from error
    finally:
        client.disconnect()
        server.disconnect()
    return applied


def _pending(client: Client, target: ClickHouseTarget) -> list[Migration]:
    migrations = available()
    exists = client.execute(
        "SELECT count() FROM system.tables WHERE database = %(database)s AND name = 'schema_migrations'",
        {"database": target.database},
    )
    if not exists[0][0]:
        return migrations
    entries = client.execute(
        f"SELECT number, name, checksum FROM `{target.database}`.schema_migrations FINAL ORDER BY number"
    )
    known = {migration.number: migration for migration in migrations}
    for number, name, checksum in entries:
        if number not in known:
            raise MigrationRefused(
                f"database {target.database} has migration {name}, which this version of Touchline does not "
                "know: upgrade Touchline, or use another database"
            )
        if known[number].checksum != checksum:
            raise MigrationRefused(
                f"migration {known[number].name} was edited after database {target.database} had applied it: "
                "restore the file and write a new migration instead"
            )
    done = {number for number, _, _ in entries}
    return [migration for migration in migrations if migration.number not in done]
