"""Which rows name a customer, table by table: what an erasure deletes, and what stays.

Written as SQL in which `{work}` is the table of the erasure (`sinks.clickhouse.erasure`): a row of it says in `what`
what it notes, and in `name`, `other`, `n`, `m`, `k` what that is. No name of a customer stands in a query.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from schemas.links import WEAK_PREFIXES
from sinks.clickhouse.pseudonyms import WEAK


class Deletion(NamedTuple):
    """What is to be deleted from one table. `{work}` is the table of the erasure; `private` the database beside."""

    table: str
    condition: str
    private: bool = False
    bounded: bool = True
    """Only rows that were written before the survey: others may be new."""
    tombstones: bool = False
    """Rows that hide earlier ones (`is_deleted`) go last, lest those show for a moment."""


NAMES: Final = "(SELECT other FROM {work} WHERE what = 'name')"
_ERASED: Final = "(SELECT name, other FROM {work} WHERE what = 'interaction')"


def _those(what: str, columns: str) -> str:
    return f"(SELECT {columns} FROM {{work}} WHERE what = '{what}')"


DELETIONS: Final = (
    Deletion(
        "placed_interactions_raw",
        f"(source, id) IN {_ERASED} OR (customer IN {NAMES} AND (source, id) IN {_those('moved', 'name, other')})",
        bounded=False,
    ),
    Deletion(
        "journeys_raw",
        f"customer IN {NAMES} AND (customer, journey_id, version) NOT IN {_those('journey', 'name, other, n')}",
        tombstones=True,
    ),
    Deletion(
        "findings_raw",
        f"(customer IN {NAMES} AND (customer, finding_id, version) NOT IN {_those('finding', 'name, other, n')}) "
        f"OR (customer, finding_id, version) IN {_those('stale finding', 'name, other, n')}",
        tombstones=True,
    ),
    Deletion(
        "findings_history_raw",
        f"(customer IN {NAMES} AND (customer, finding_id) NOT IN {_those('finding', 'name, other')}) "
        f"OR (customer, finding_id, sequence) IN {_those('stale change', 'name, other, n')}",
    ),
    Deletion(
        "lights_raw",
        f"customer IN {NAMES} AND (customer, version) NOT IN {_those('light', 'name, n')}",
        tombstones=True,
    ),
    Deletion(
        "alerts_raw",
        f"customer IN {NAMES} AND (customer, finding_id) NOT IN {_those('finding', 'name, other')}",
    ),
    Deletion(
        "alerts_history_raw",
        f"customer IN {NAMES} AND (customer, finding_id) NOT IN {_those('finding', 'name, other')}",
    ),
    Deletion(
        "identity_raw",
        f"(name IN {NAMES} OR customer IN {NAMES}) AND (name, links_seen) NOT IN {_those('identity', 'name, n')}",
        tombstones=True,
    ),
    Deletion(
        "identity_history_raw",
        f"(name IN {NAMES} OR before IN {NAMES} OR after IN {NAMES}) "
        f"AND (name, after) NOT IN {_those('identity', 'name, other')}",
    ),
    Deletion(
        "renamed_customers_raw",
        f"(name IN {NAMES} OR customer IN {NAMES}) AND (name, customer) NOT IN {_those('identity', 'name, other')}",
        bounded=False,
    ),
    Deletion(
        "dead_letters_raw",
        f"(topic, partition, `offset`, incarnation) IN {_those('letter', 'name, toUInt32(n), m, k')}",
        bounded=False,
    ),
    Deletion("identifiers_raw", f"name IN {NAMES} AND name NOT IN {_those('used', 'name')}", private=True),
)
"""Every table that may name a customer. The ledger holds offsets only and stays, so that it still balances."""

BOUND: Final = "toUnixTimestamp64Milli(inserted_at) < (SELECT max(n) FROM {work} WHERE what = 'bound')"
_SINCE: Final = "(SELECT max(n) FROM {work} WHERE what = 'told')"
LATER: Final = f"toUnixTimestamp64Milli(inserted_at) >= {_SINCE}"

STANDING: Final[Mapping[str, str]] = {
    # Rows of others that were this customer's before: earlier versions that are not shown any more.
    "moved": "SELECT source, id, 0, 0, 0 FROM placed_interactions_raw FINAL WHERE (source, id) IN "
    f"(SELECT source, id FROM placed_interactions_raw WHERE customer IN {NAMES}) AND "
    f"(customer IS NULL OR customer NOT IN {NAMES})",
    # Findings that rested on what is erased, of whomever: an interaction may have been another's for a while.
    "stale finding": "SELECT DISTINCT customer, finding_id, version, 0, 0 FROM findings_raw "
    f"ARRAY JOIN evidence.source AS s, evidence.id AS i WHERE (s, i) IN {_ERASED}",
    "stale change": "SELECT DISTINCT customer, finding_id, sequence, 0, 0 FROM findings_history_raw "
    f"ARRAY JOIN evidence.source AS s, evidence.id AS i WHERE (s, i) IN {_ERASED}",
    # What the workers hold of the customer now that they have let go of what is erased: it came later.
    "journey": f"SELECT customer, journey_id, version, 0, 0 FROM journeys_raw FINAL WHERE customer IN {NAMES}",
    "finding": f"SELECT customer, finding_id, version, 0, 0 FROM findings_raw FINAL WHERE customer IN {NAMES} "
    f"AND (customer, finding_id, version) NOT IN {_those('stale finding', 'name, other, n')}",
    "light": f"SELECT customer, '', version, 0, 0 FROM lights_raw FINAL WHERE customer IN {NAMES}",
    "identity": "SELECT name, customer, links_seen, 0, 0 FROM identity_raw FINAL "
    f"WHERE (name IN {NAMES} OR customer IN {NAMES}) AND {LATER}",
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
