"""Erase a customer from ClickHouse: every row that names them, also in what is not shown any more.

What is to be erased is kept in a table of its own, in the private database, for as long as the erasure lasts. All
deletions refer to it, so no name stands in a query or in the text of a mutation, which ClickHouse keeps beside the
data. It is also what a command that was interrupted goes on from. Once it is dropped nothing tells whom it was about.

What came after the erasure was asked for stays: a forgotten customer who calls again is a new customer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from clickhouse_driver import Client

from schemas.interaction import Micros
from schemas.links import Name
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.pseudonyms import WEAK, WEAK_PREFIXES, Pseudonyms

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


class Deletion(NamedTuple):
    """What is to be deleted from one table. `{work}` is the table of the erasure; `private` the database beside."""

    table: str
    condition: str
    private: bool = False
    bounded: bool = True
    """Only rows that were written before the survey: others may be new."""
    tombstones: bool = False
    """Rows that hide earlier ones (`is_deleted`) go last, lest those show for a moment."""


_NAMES: Final = "(SELECT other FROM {work} WHERE what = 'name')"
_ERASED: Final = "(SELECT name, other FROM {work} WHERE what = 'interaction')"


def _those(what: str, columns: str) -> str:
    return f"(SELECT {columns} FROM {{work}} WHERE what = '{what}')"


DELETIONS: Final = (
    Deletion(
        "placed_interactions_raw",
        f"(source, id) IN {_ERASED} OR (customer IN {_NAMES} AND (source, id) IN {_those('moved', 'name, other')})",
        bounded=False,
    ),
    Deletion(
        "journeys_raw",
        f"customer IN {_NAMES} AND (customer, journey_id, version) NOT IN {_those('journey', 'name, other, n')}",
        tombstones=True,
    ),
    Deletion(
        "findings_raw",
        f"(customer IN {_NAMES} AND (customer, finding_id, version) NOT IN {_those('finding', 'name, other, n')}) "
        f"OR (customer, finding_id, version) IN {_those('stale finding', 'name, other, n')}",
        tombstones=True,
    ),
    Deletion(
        "findings_history_raw",
        f"(customer IN {_NAMES} AND (customer, finding_id) NOT IN {_those('finding', 'name, other')}) "
        f"OR (customer, finding_id, sequence) IN {_those('stale change', 'name, other, n')}",
    ),
    Deletion(
        "lights_raw",
        f"customer IN {_NAMES} AND (customer, version) NOT IN {_those('light', 'name, n')}",
        tombstones=True,
    ),
    Deletion(
        "alerts_raw",
        f"customer IN {_NAMES} AND (customer, finding_id) NOT IN {_those('finding', 'name, other')}",
    ),
    Deletion(
        "identity_raw",
        f"(name IN {_NAMES} OR customer IN {_NAMES}) AND (name, links_seen) NOT IN {_those('identity', 'name, n')}",
        tombstones=True,
    ),
    Deletion(
        "identity_history_raw",
        f"(name IN {_NAMES} OR before IN {_NAMES} OR after IN {_NAMES}) "
        f"AND (name, after) NOT IN {_those('identity', 'name, other')}",
    ),
    Deletion(
        "renamed_customers_raw",
        f"(name IN {_NAMES} OR customer IN {_NAMES}) AND (name, customer) NOT IN {_those('identity', 'name, other')}",
        bounded=False,
    ),
    Deletion(
        "dead_letters_raw",
        f"(topic, partition, `offset`, incarnation) IN {_those('letter', 'name, toUInt32(n), m, k')}",
        bounded=False,
    ),
    Deletion("identifiers_raw", f"name IN {_NAMES} AND name NOT IN {_those('used', 'name')}", private=True),
)
"""Every table that may name a customer. The ledger holds offsets only and stays, so that it still balances."""

_BOUND: Final = "toUnixTimestamp64Milli(inserted_at) < (SELECT max(n) FROM {work} WHERE what = 'bound')"
_SINCE: Final = "(SELECT max(n) FROM {work} WHERE what = 'told')"
_LATER: Final = f"toUnixTimestamp64Milli(inserted_at) >= {_SINCE}"

_STANDING: Final[Mapping[str, str]] = {
    # Rows of others that were this customer's before: earlier versions that are not shown any more.
    "moved": "SELECT source, id, 0, 0, 0 FROM placed_interactions_raw FINAL WHERE (source, id) IN "
    f"(SELECT source, id FROM placed_interactions_raw WHERE customer IN {_NAMES}) AND "
    f"(customer IS NULL OR customer NOT IN {_NAMES})",
    # What the workers hold of the customer now that they have let go of what is erased: it came later.
    "journey": f"SELECT customer, journey_id, version, 0, 0 FROM journeys_raw FINAL WHERE customer IN {_NAMES}",
    "finding": f"SELECT customer, finding_id, version, 0, 0 FROM findings_raw FINAL WHERE customer IN {_NAMES}",
    "light": f"SELECT customer, '', version, 0, 0 FROM lights_raw FINAL WHERE customer IN {_NAMES}",
    "identity": "SELECT name, customer, links_seen, 0, 0 FROM identity_raw FINAL "
    f"WHERE (name IN {_NAMES} OR customer IN {_NAMES}) AND {_LATER}",
    # Findings that rested on what is erased, of whomever: an interaction may have been another's for a while.
    "stale finding": "SELECT DISTINCT customer, finding_id, version, 0, 0 FROM findings_raw "
    f"ARRAY JOIN evidence.source AS s, evidence.id AS i WHERE (s, i) IN {_ERASED}",
    "stale change": "SELECT DISTINCT customer, finding_id, sequence, 0, 0 FROM findings_history_raw "
    f"ARRAY JOIN evidence.source AS s, evidence.id AS i WHERE (s, i) IN {_ERASED}",
    # Identifiers that what stays still carries.
    "used": " UNION DISTINCT ".join(
        (
            _those("identity", "name, '', 0, 0, 0")[1:-1],
            *(
                f"SELECT concat('{prefix}', assumeNotNull({kind})), '', 0, 0, 0 FROM placed_interactions_raw FINAL "
                f"WHERE {kind} IN (SELECT substring(other, {len(prefix) + 1}) FROM {{work}} WHERE what = 'name' "
                f"AND startsWith(other, '{prefix}')) AND (source, id) NOT IN {_ERASED}"
                for kind, prefix in zip(WEAK, WEAK_PREFIXES, strict=True)
            ),
        )
    ),
}
"""By what they are called in the table of the erasure: rows that are read there by the deletions, in this order."""


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
            f"placed_interactions_raw FINAL WHERE customer IN {_NAMES.format(work=self._work)} "
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
                f"SELECT count() FROM {view}_raw FINAL WHERE customer IN {_NAMES.format(work=self._work)}"
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

    def note_letters(self, letters: Iterable[Letter]) -> None:
        """These dead letters name the customer, and no others."""
        self._client.execute(
            f"ALTER TABLE {self._work} {self._on_cluster} DELETE WHERE what = 'letter'", settings=_MUTATING
        )
        self._put(
            "letter",
            [(one.topic, "", one.partition, one.offset, one.incarnation) for one in letters],
        )

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
                condition = f"({condition}) AND {_BOUND.format(work=self._work)}"
            hiding = [f"({condition}) AND is_deleted = 0"] if deletion.tombstones else []
            for rows in (*hiding, condition):
                self._client.execute(
                    f"ALTER TABLE {self._table(deletion, local=True)} {self._on_cluster} DELETE WHERE {rows}",
                    settings=_MUTATING,
                )
        self._now("deleted")

    def files_left(self) -> int:
        """Parts with deleted rows that are still on a disk, though no query reads them any more."""
        parts = (
            f"clusterAllReplicas('{self._target.cluster}', system.parts)"
            if self._target.cluster
            else "system.parts"
        )
        rows = self._client.execute(
            f"SELECT count() FROM {parts} WHERE NOT active AND database IN (%(main)s, %(private)s) "
            f"AND toUnixTimestamp(remove_time) <= "
            f"(SELECT intDiv(max(n), 1000) FROM {self._work} WHERE what = 'deleted')",
            self._databases,
        )
        return int(rows[0][0])

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
            {"what": (*_STANDING, "bound")},
            settings=_MUTATING,
        )
        self._now("bound", -WRITING_SECONDS)
        for what, query in _STANDING.items():
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


def record_erased(client: Client, erasure: str, hashes: Iterable[bytes]) -> None:
    """Enter interactions, by their hashes, among those that may not come back."""
    rows = [(one.hex(), erasure) for one in hashes]
    if rows:
        client.execute("INSERT INTO erased_interactions_raw (hash, erasure) VALUES", rows)


def erased_interactions(client: Client) -> frozenset[bytes]:
    """The hashes of all interactions that may not come back (`Pseudonyms.erased_identity`)."""
    return frozenset(
        bytes.fromhex(one) for (one,) in client.execute("SELECT DISTINCT hash FROM erased_interactions_raw")
    )


class Receipt(NamedTuple):
    """What is kept of an erasure: nobody's name."""

    id: str
    asked_at: Micros
    asked_by: str
    reason: str | None
    customer: str
    """`Pseudonyms.erased_customer` in hex."""
    counts: Mapping[str, int]
    finished_at: Micros | None
    gone_at: Micros | None
    version: Micros
    """When this was written; a later one replaces it."""


def record_receipt(client: Client, receipt: Receipt) -> None:
    """Enter a receipt, in the place of an earlier one of the same id."""
    client.execute(
        f"INSERT INTO erasures_raw ({', '.join(Receipt._fields)}) VALUES",
        [receipt._replace(counts=dict(receipt.counts))],
    )


def _working_table(target: ClickHouseTarget, erasure: str) -> str:
    return f"`{private_database(target.database)}`.erasing_{erasure}"
