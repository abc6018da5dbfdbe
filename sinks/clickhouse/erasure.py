"""Erase a customer from ClickHouse: every row that names them, also in what is not shown any more.

What is to be erased is kept in a table of its own, in the private database, for as long as the erasure lasts. All
deletions refer to it, so no name stands in a query or in the text of a mutation, which ClickHouse keeps beside the
data. It is also what a command that was interrupted goes on from. Once it is dropped nothing tells whom it was about.

What came after the erasure was asked for stays: a forgotten customer who calls again is a new customer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from clickhouse_driver import Client

from schemas.links import Name
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.personal_rows import BOUND, DELETIONS, NAMES, STANDING, Deletion
from sinks.clickhouse.pseudonyms import Pseudonyms

MUTATION_SECONDS: Final = 3_600.0
"""So long one deletion may take: it rewrites every part that holds a row of the customer."""

WRITING_SECONDS: Final = 3
"""So long a row may be under way between the instant that it bears and when it can be read."""

CLEANING_SECONDS: Final = 60
"""So often a ClickHouse that has no such setting looks for parts whose lifetime is over."""

_MUTATING: Final = {"mutations_sync": 2, "allow_nondeterministic_mutations": 1}
_WORKING_TABLE: Final = re.compile(r"erasing_([0-9a-f]{32})")
_LIFETIME: Final = re.compile(r"old_parts_lifetime = (\d+)")


class Letter(NamedTuple):
    """Where a dead letter stands, and what it holds."""

    topic: str
    partition: int
    offset: int
    incarnation: int
    key: bytes
    value: bytes
    headers: tuple[bytes, ...]


class Erasing:
    """One erasure in one ClickHouse, begun by `begin` or found by `unfinished`; raises the driver's errors."""

    def __init__(self, client: Client, target: ClickHouseTarget, erasure: str) -> None:
        """`erasure` is the id, 32 hex digits; the table exists."""
        self.id = erasure
        self._client = client
        self._target = target
        self._work = _working_table(target, erasure)

    @property
    def names(self) -> tuple[Name, ...]:
        """The names that are erased, in clear text."""
        rows = self._client.execute(f"SELECT name FROM {self._work} WHERE what = 'name' ORDER BY n")
        return tuple(name for (name,) in rows)

    def noted(self, what: str) -> str | None:
        """What `note` was told."""
        rows = self._client.execute(
            f"SELECT other FROM {self._work} WHERE what = 'note' AND name = %(w)s", {"w": what}
        )
        return rows[0][0] if rows else None

    def note(self, what: str, value: str) -> None:
        """Keep something for the command that goes on, should this one be interrupted."""
        self._put("note", [(what, value)])

    def collect(self) -> None:
        """Note every interaction that is the customer's now."""
        self._client.execute(
            f"INSERT INTO {self._work} (what, name, other, n) SELECT 'interaction', source, id, max(revision) FROM "
            f"placed_interactions_raw FINAL WHERE customer IN {NAMES.format(work=self._work)} "
            "GROUP BY source, id"
        )

    def interactions(self) -> list[tuple[str, str, int]]:
        """(source, id, revision) of what `collect` noted."""
        found: list[tuple[str, str, int]] = self._client.execute(
            f"SELECT name, other, max(n) FROM {self._work} WHERE what = 'interaction' GROUP BY name, other "
            "ORDER BY name, other"
        )
        return found

    def note_facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """(source, id) of the facts that name the customer."""
        self._put("fact", list(facts))

    def facts(self) -> list[tuple[str, str]]:
        """What `note_facts` was told."""
        found: list[tuple[str, str]] = self._client.execute(
            f"SELECT DISTINCT name, other FROM {self._work} WHERE what = 'fact' ORDER BY name, other"
        )
        return found

    def held(self) -> dict[str, int]:
        """What people can see of the customer now, by the view; views without anything are left out."""
        found = {"interactions": len(self.interactions())}
        for view in ("journeys", "findings", "alerts"):
            rows = self._client.execute(
                f"SELECT count() FROM {view}_raw FINAL WHERE customer IN {NAMES.format(work=self._work)}"
            )
            found[view] = int(rows[0][0])
        letters = self._client.execute(f"SELECT count() FROM {self._work} WHERE what = 'letter'")
        found["dead letters"] = int(letters[0][0])
        return {view: number for view, number in found.items() if number}

    def letters(self) -> Iterator[Letter]:
        """Every dead letter, to be looked through; it needs a connection of its own."""
        client = connect(self._target)
        try:
            for topic, partition, offset, incarnation, key, value, headers in client.execute_iter(
                "SELECT toString(topic), partition, `offset`, incarnation, hex(ifNull(key, '')), "
                "hex(ifNull(value, '')), arrayMap(header -> hex(header.2), headers) FROM dead_letters_raw"
            ):
                yield Letter(
                    topic,
                    partition,
                    offset,
                    incarnation,
                    bytes.fromhex(key),
                    bytes.fromhex(value),
                    tuple(map(bytes.fromhex, headers)),
                )
        finally:
            client.disconnect()

    def note_letters(self, letters: Iterable[tuple[Letter, str]]) -> None:
        """These dead letters name the customer, and no others; each with what stands for its bytes, if anything."""
        self._client.execute(
            f"ALTER TABLE {self._work} {self._on_cluster} DELETE WHERE what = 'letter'", settings=_MUTATING
        )
        self._put(
            "letter",
            [(one.topic, bytes_, one.partition, one.offset, one.incarnation) for one, bytes_ in letters],
        )

    def bytes_of_letters(self) -> list[str]:
        """What stands for the bytes of the dead letters that were noted."""
        rows = self._client.execute(
            f"SELECT DISTINCT other FROM {self._work} WHERE what = 'letter' AND other != '' ORDER BY other"
        )
        return [other for (other,) in rows]

    def told(self) -> None:
        """From now on the workers know: identities that are written later are new ones."""
        self._now("told")

    def partitions_done(self) -> set[int]:
        """The partitions of the interactions topic whose owners have let go of all of it."""
        rows = self._client.execute(
            "SELECT DISTINCT partition FROM erasures_done_raw WHERE id = %(id)s", {"id": self.id}
        )
        return {partition for (partition,) in rows}

    def survey(self) -> dict[str, int]:
        """Rows that are to be deleted, by table; tables without one are left out."""
        self._note_standing()
        found = {}
        for deletion in DELETIONS:
            rows = self._client.execute(
                f"SELECT count() FROM {self._table(deletion)} WHERE {deletion.condition.format(work=self._work)}"
            )[0][0]
            if rows:
                found[deletion.table] = int(rows)
        return found

    def delete(self, tables: Iterable[str]) -> None:
        """Delete what `survey` has found in these tables; return when every part is written without it."""
        wanted = frozenset(tables)
        for deletion in DELETIONS:
            if deletion.table not in wanted:
                continue
            condition = deletion.condition.format(work=self._work)
            if deletion.bounded:
                condition = f"({condition}) AND {BOUND.format(work=self._work)}"
            hiding = [f"({condition}) AND is_deleted = 0"] if deletion.tombstones else []
            for rows in (*hiding, condition):
                self._client.execute(
                    f"ALTER TABLE {self._table(deletion, local=True)} {self._on_cluster} DELETE WHERE {rows}",
                    settings=_MUTATING,
                )
        self._now("deleted")

    def lifetime_seconds(self) -> int:
        """After so long ClickHouse has removed them: `old_parts_lifetime`, and the longest pause of its cleaning."""
        rows = self._client.execute(
            "SELECT name, toUInt64(value) FROM system.merge_tree_settings "
            "WHERE name IN ('old_parts_lifetime', 'max_cleanup_delay_period')"
        )
        usual = dict(rows)
        tables = self._client.execute(
            "SELECT engine_full FROM system.tables WHERE database IN (%(main)s, %(private)s) "
            "AND engine LIKE '%%MergeTree'",
            self._databases,
        )
        own = (_LIFETIME.search(engine) for (engine,) in tables)
        longest = max((int(found[1]) if found else usual["old_parts_lifetime"] for found in own), default=0)
        return int(longest) + int(usual.get("max_cleanup_delay_period", CLEANING_SECONDS))

    def finish(self) -> None:
        """Drop the table of the erasure, with its files."""
        self._client.execute(f"DROP TABLE IF EXISTS {self._work} {self._on_cluster} SYNC")

    def _note_standing(self) -> None:
        """Note what stays. A row that is being written now is neither noted nor deleted: it may belong to it."""
        self._client.execute(
            f"ALTER TABLE {self._work} {self._on_cluster} DELETE WHERE what IN %(what)s",
            {"what": (*STANDING, "bound")},
            settings=_MUTATING,
        )
        self._now("bound", -WRITING_SECONDS)
        for what, query in STANDING.items():
            self._client.execute(
                f"INSERT INTO {self._work} (what, name, other, n, m, k) "
                f"SELECT '{what}', * FROM ({query.format(work=self._work)})"
            )

    def _now(self, what: str, seconds: int = 0) -> None:
        """Note ClickHouse's own time, so many seconds on, in milliseconds since 1970."""
        self._client.execute(
            f"INSERT INTO {self._work} (what, n) SELECT '{what}', toUnixTimestamp64Milli(now64(3)) + {1_000 * seconds}"
        )

    @property
    def _on_cluster(self) -> str:
        return f"ON CLUSTER '{self._target.cluster}'" if self._target.cluster else ""

    @property
    def _databases(self) -> dict[str, str]:
        return {"main": self._target.database, "private": private_database(self._target.database)}

    def _table(self, deletion: Deletion, *, local: bool = False) -> str:
        database = private_database(self._target.database) if deletion.private else self._target.database
        suffix = "_local" if local and self._target.cluster else ""
        return f"`{database}`.{deletion.table}{suffix}"

    def _put(self, what: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._client.execute(
                f"INSERT INTO {self._work} (what, name, other, n, m, k) VALUES",
                [(what, *row, *(0,) * (5 - len(row))) for row in rows],
            )


def begin(
    client: Client, target: ClickHouseTarget, erasure: str, names: Sequence[Name], pseudonyms: Pseudonyms
) -> Erasing:
    """Begin an erasure of these names (in clear text, the customer first) under a new id of 32 hex digits."""
    work = _working_table(target, erasure)
    on_cluster, engine = "", "MergeTree"
    if target.cluster:
        # Every node holds all of it: the deletions of each shard read it where they are.
        on_cluster = f"ON CLUSTER '{target.cluster}'"
        engine = "ReplicatedMergeTree('/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}')"
    client.execute(
        f"CREATE TABLE {work} {on_cluster} (what LowCardinality(String), name String, other String, "
        f"n UInt64, m UInt64, k UInt64) ENGINE = {engine} ORDER BY (what, name, other) "
        "COMMENT 'An erasure that is under way: whom and what it is about. `touchline forget` drops it at its end.'"
    )
    begun = Erasing(client, target, erasure)
    stored = pseudonyms.customers
    begun._put("name", [(name, stored[name], number) for number, name in enumerate(names)])
    return begun


def unfinished(client: Client, target: ClickHouseTarget, *, older_than: int = 0) -> list[Erasing]:
    """The erasures that were begun and not finished, at least so many seconds ago."""
    rows = client.execute(
        "SELECT name FROM system.tables WHERE database = %(private)s "
        "AND metadata_modification_time <= now() - %(seconds)s ORDER BY name",
        {"private": private_database(target.database), "seconds": older_than},
    )
    return [
        Erasing(client, target, found[1]) for (name,) in rows if (found := _WORKING_TABLE.fullmatch(name))
    ]


def erasing_client(target: ClickHouseTarget) -> Client:
    """A connection that waits as long as deletions take. What one node writes, the next query must see."""
    settings: dict[str, Any] = (
        {"insert_quorum": "auto", "select_sequential_consistency": 1} if target.cluster else {}
    )
    return connect(replace(target, timeout_seconds=MUTATION_SECONDS), **settings)


def _working_table(target: ClickHouseTarget, erasure: str) -> str:
    return f"`{private_database(target.database)}`.erasing_{erasure}"
