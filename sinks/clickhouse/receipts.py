"""What stays of erasures, in the place of what was erased: receipts, and the hashes of what may not come back."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from clickhouse_driver import Client

from schemas.interaction import Micros


def record_erased(client: Client, erasure: str, hashes: Iterable[bytes]) -> None:
    """Enter interactions and facts, by their hashes, among those that may not come back."""
    rows = [(one.hex(), erasure) for one in hashes]
    if rows:
        client.execute("INSERT INTO erased_interactions_raw (hash, erasure) VALUES", rows)


def erased_interactions(client: Client) -> frozenset[bytes]:
    """What may not come back: `Pseudonyms.erased_identity` of interactions, `erased_fact` of facts."""
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
