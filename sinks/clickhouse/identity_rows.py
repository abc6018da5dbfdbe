"""Who is whom, as rows: identities, their changes, what the hashes stand for, and customers who became another."""

from collections.abc import Sequence
from typing import Final

from clickhouse_driver import Client

from schemas.links import kind_of
from schemas.records import IdentityChange, IdentityRow, SinkBatch
from sinks.clickhouse.pseudonyms import Pseudonyms
from sinks.clickhouse.rows import Rows, transposed

IDENTITY_COLUMNS: Final = (
    "name",
    "kind",
    "identifier",
    "customer",
    "shared",
    "since",
    "evidence",
    "links_seen",
    "is_deleted",
)

IDENTITY_HISTORY_COLUMNS: Final = (
    "name",
    "kind",
    "identifier",
    "change",
    "before",
    "after",
    "changed_at",
    "decided_by",
    "reason",
    "links_seen",
)

IDENTIFIER_COLUMNS: Final = ("name", "clear_name")

RENAMED_COLUMNS: Final = ("name", "customer", "links_seen")

_WITH_ROWS: Final = (
    "SELECT DISTINCT customer FROM journeys_raw WHERE customer IN (SELECT asked FROM asked) "
    "UNION DISTINCT SELECT name FROM renamed_customers_raw WHERE name IN (SELECT asked FROM asked)"
)


def identity_rows(identities: Sequence[tuple[IdentityRow, int]], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `identity_raw`: (identity, position in the log of links). What is linked no more is a deletion."""
    rows = []
    for row, links_seen in identities:
        name, bare = _stored(row.identifier, pseudonyms)
        told = (row.identifier, row.customer)
        evidence = tuple([pseudonyms.veiled(item, told) for item in row.evidence])
        rows.append(
            (
                name,
                kind_of(row.identifier),
                bare,
                pseudonyms.customers[row.customer],
                row.shared,
                row.since,
                evidence,
                links_seen,
                int(row.removed),
            )
        )
    return transposed(IDENTITY_COLUMNS, rows)


def identity_history_rows(changes: Sequence[tuple[IdentityChange, int]], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `identity_history_raw`: (change, position in the log of links)."""
    rows = []
    for change, links_seen in changes:
        name, bare = _stored(change.identifier, pseudonyms)
        told = (change.identifier, change.before, change.after)
        rows.append(
            (
                name,
                kind_of(change.identifier),
                bare,
                change.kind,
                pseudonyms.customers[change.before],
                pseudonyms.customers[change.after],
                change.changed_at,
                change.by,
                None if change.reason is None else pseudonyms.veiled(change.reason, told),
                links_seen,
            )
        )
    return transposed(IDENTITY_HISTORY_COLUMNS, rows)


def identifier_rows(names: Sequence[tuple[str, str]]) -> Rows:
    """Rows of `identifiers_raw`: (stored name, clear name)."""
    return transposed(IDENTIFIER_COLUMNS, names)


def renamed_rows(client: Client, batches: Sequence[SinkBatch], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `renamed_customers_raw` for those identifiers of the batches that are customers in the rows.

    To be asked once the batches' journeys stand. All rows of a customer come from the partition that also tells who
    that customer is, so none is written under a name after it was said to be another's.
    """
    now: dict[str, tuple[str, int]] = {}
    for batch in batches:
        for row in batch.identities:
            known = now.get(row.identifier)
            if known is None or batch.links_seen >= known[1]:
                now[row.identifier] = (row.identifier if row.removed else row.customer, batch.links_seen)
    stored = pseudonyms.customers
    present = {stored[name]: (stored[customer], seen) for name, (customer, seen) in now.items()}
    if not present:
        return transposed(RENAMED_COLUMNS, [])
    # As a table sent along: thousands of names would be longer than a query may be.
    asked = {
        "name": "asked",
        "structure": [("asked", "String")],
        "data": [{"asked": name} for name in present],
    }
    found = client.execute(_WITH_ROWS, external_tables=[asked])
    return transposed(RENAMED_COLUMNS, [(name, *present[name]) for (name,) in found])


def _stored(name: str, pseudonyms: Pseudonyms) -> tuple[str, str]:
    """An identifier's name as it is stored, and the value in it."""
    stored = pseudonyms.customers[name]
    return stored, stored.partition(":")[2]
