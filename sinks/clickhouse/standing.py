"""What the database shows already of customers, read back in clear, so that a replay can take it into account.

Weak identifiers are stored as hashes. What a hash stands for is read from the table of identifiers; one of which
nothing is known there stays as it is stored, and is written back like that.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from clickhouse_driver import Client

from schemas.findings import Evidence, Finding, Identity
from schemas.interaction import Interaction
from schemas.links import WEAK_PREFIXES, Link, Name, name_of, order_of
from schemas.records import PlacedInteraction, StandingFinding
from schemas.vocabulary import WEAK_KINDS
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.history import SELECTED, interaction_of
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.pseudonyms import Pseudonyms

PORTION: Final = 20_000
"""Names, or identities, that one query asks about."""

_PLACE: Final = f"{SELECTED}, journey_id, beyond_horizon"
_FIELDS: Final = len(Interaction.__struct_fields__)

_OF_CUSTOMERS: Final = f"SELECT {_PLACE} FROM interactions WHERE customer IN (SELECT asked FROM asked)"
_NOBODYS: Final = (
    f"SELECT {_PLACE} FROM interactions "
    "WHERE (source, id) IN (SELECT source, id FROM asked) AND customer IS NULL"
)
_HOLDERS: Final = (
    "SELECT DISTINCT customer FROM interactions "
    "WHERE (source, id) IN (SELECT source, id FROM asked) AND customer IS NOT NULL"
)
_LINKS: Final = (
    "SELECT name, customer, toUnixTimestamp64Micro(since), evidence FROM identity "
    "WHERE name IN (SELECT asked FROM asked) AND customer != name"
)
_EARLIER: Final = "SELECT name FROM renamed_customers WHERE customer IN (SELECT asked FROM asked)"
_JOURNEYS: Final = (
    "SELECT customer, journey_id FROM journeys_raw FINAL WHERE customer IN (SELECT asked FROM asked)"
)
_LIT: Final = "SELECT customer FROM lights_raw FINAL WHERE customer IN (SELECT asked FROM asked)"
_FINDINGS: Final = (
    "SELECT finding_id, rule, rule_version, rule_case, customer, severity, weight, channel, state, "
    "toUnixTimestamp64Micro(raised_at), toUnixTimestamp64Micro(resolved_at), toUnixTimestamp64Micro(extends_to), "
    "anchor_source, anchor_id, evidence.source, evidence.id, evidence.topic, evidence.partition, evidence.offset, "
    "arrayMap(at -> toUnixTimestamp64Micro(at), evidence.occurred_at), evidence.channel, evidence.values, "
    "counterfactual.source, counterfactual.id, subjects, sentence, action, sequence "
    "FROM findings_history_raw FINAL WHERE customer IN (SELECT asked FROM asked) "
    "ORDER BY sequence DESC LIMIT 1 BY finding_id"
)


class StandingRows:
    """What stands, by the customers who are asked for. Customers are given and asked for in clear."""

    def __init__(self, client: Client, database: str, pseudonyms: Pseudonyms) -> None:
        self._client = client
        self._identifiers = f"`{private_database(database)}`.identifiers"
        self._pseudonyms = pseudonyms
        self._clear: dict[str, Name] = {}

    def links(self, names: Collection[Name]) -> Iterator[Link]:
        """Whose identifiers are that are another's, as links with that customer."""
        for rows in self._asked(_LINKS, names):
            self._reveal(customer for _, customer, _, _ in rows)
            for stored, owner, since, evidence in rows:
                a, b = sorted((self._clear[stored], self._clear[owner]), key=order_of)
                yield Link(a, b, since, since, (evidence[0] if evidence else "").replace("/", "\x1f", 1))

    def holders(self, identities: Collection[tuple[str, str]]) -> Iterator[Name]:
        """The customers with whom these interactions `(source, id)` lie."""
        for rows in self._told(_HOLDERS, identities):
            self._reveal(customer for (customer,) in rows)
            yield from (self._clear[customer] for (customer,) in rows)

    def interactions(self, customers: Collection[Name]) -> Iterator[PlacedInteraction]:
        """All interactions of these customers, weak identifiers in them as they are stored."""
        for rows in self._asked(_OF_CUSTOMERS, customers):
            yield from map(self._placed, rows)

    def nobodys(self, identities: Collection[tuple[str, str]]) -> Iterator[PlacedInteraction]:
        """Those of these interactions that are anonymous."""
        for rows in self._told(_NOBODYS, identities):
            yield from map(self._placed, rows)

    def journeys(self, customers: Collection[Name]) -> Iterator[tuple[Name, str]]:
        """The journeys of these customers, with the name under which they stand, which may be an earlier one."""
        for rows in self._asked(_JOURNEYS, self._with_earlier(customers)):
            yield from ((self._clear[customer], journey_id) for customer, journey_id in rows)

    def findings(self, customers: Collection[Name]) -> Iterator[StandingFinding]:
        """Every finding that was ever told of these customers, as it was told last; withdrawn ones too."""
        for rows in self._asked(_FINDINGS, self._with_earlier(customers)):
            yield from map(self._finding, rows)

    def lit(self, customers: Collection[Name]) -> Iterator[Name]:
        """Those of these customers to whose light something adds."""
        for rows in self._asked(_LIT, self._with_earlier(customers)):
            yield from (self._clear[customer] for (customer,) in rows)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()

    # --- within --------------------------------------------------------------------------------------------

    def _asked(self, query: str, customers: Collection[Name]) -> Iterator[Sequence[Any]]:
        for portion in _portions(customers):
            stored = [self._stored(name) for name in portion]
            yield self._ask(query, [("asked", "String")], [{"asked": name} for name in stored])

    def _told(self, query: str, identities: Collection[tuple[str, str]]) -> Iterator[Sequence[Any]]:
        for portion in _portions(identities):
            told = [{"source": source, "id": id_} for source, id_ in portion]
            yield self._ask(query, [("source", "String"), ("id", "String")], told)

    def _ask(
        self, query: str, structure: Sequence[tuple[str, str]], asked: Sequence[dict[str, str]]
    ) -> Sequence[Any]:
        # As a table sent along: thousands of names would be longer than a query may be.
        table = {"name": "asked", "structure": structure, "data": asked}
        rows: Sequence[Any] = self._client.execute(query, external_tables=[table])
        return rows

    def _with_earlier(self, customers: Collection[Name]) -> Collection[Name]:
        names = list(customers)
        for rows in self._asked(_EARLIER, customers):
            self._reveal(name for (name,) in rows)
            names += [self._clear[name] for (name,) in rows]
        return dict.fromkeys(names)

    def _stored(self, name: Name) -> str:
        stored = self._pseudonyms.customers[name]
        self._clear[stored] = name
        return stored

    def _reveal(self, stored: Iterable[str]) -> None:
        """Know what stored names stand for."""
        unknown = {name for name in stored if name not in self._clear}
        hashed = {name for name in unknown if self._pseudonyms.is_stored(name)}
        self._clear.update((name, name) for name in unknown - hashed)
        for portion in _portions(hashed):
            query = (
                f"SELECT name, clear_name FROM {self._identifiers} WHERE name IN (SELECT asked FROM asked)"
            )
            rows = self._ask(query, [("asked", "String")], [{"asked": name} for name in portion])
            self._clear.update(rows)
        for name in hashed - self._clear.keys():
            self._pseudonyms.accept_stored(name)
            self._clear[name] = name

    def _placed(self, row: Sequence[Any]) -> PlacedInteraction:
        interaction = interaction_of(row[:_FIELDS])
        for kind in WEAK_KINDS:
            value = getattr(interaction, kind)
            if value is not None:
                self._keep(name_of(kind, value))
        if interaction.customer is not None:
            customer = self._clear[interaction.customer]
            interaction = msgspec.structs.replace(interaction, customer=customer)
        return PlacedInteraction(interaction, row[_FIELDS], bool(row[_FIELDS + 1]))

    def _finding(self, row: Sequence[Any]) -> StandingFinding:
        (
            finding_id, rule, version, case, customer, severity, weight, channel, state,
            raised_at, resolved_at, extends_to, anchor_source, anchor_id,
            *evidence, missing_source, missing_id, subjects, sentence, action, sequence,
        ) = row  # fmt: skip
        for subject in subjects:
            self._keep(subject)
        seen = tuple([Evidence(*item) for item in zip(*evidence, strict=True)])
        for item in seen:
            for kind in WEAK_KINDS:
                if kind in item.values:
                    self._keep(name_of(kind, item.values[kind]))
            self._keep(item.values.get("customer", ""))
        return StandingFinding(
            Finding(
                finding_id, rule, version, case, self._clear[customer], severity, weight, channel, state,
                raised_at, resolved_at, Identity(anchor_source, anchor_id), seen,
                tuple(map(Identity, missing_source, missing_id)), sentence, action, tuple(subjects), extends_to or 0,
            ),
            sequence,
        )  # fmt: skip

    def _keep(self, name: str) -> None:
        """A stored name is not hashed once more when it is written back."""
        if name.startswith(WEAK_PREFIXES) and self._pseudonyms.is_stored(name):
            self._pseudonyms.accept_stored(name)


def _portions(asked: Collection[Any]) -> Iterator[Sequence[Any]]:
    items = list(asked)
    return (items[start : start + PORTION] for start in range(0, len(items), PORTION))


def standing_rows(target: ClickHouseTarget, pseudonyms: Pseudonyms) -> StandingRows | None:
    """What stands in the database, to be closed; None when there is nothing."""
    client = connect(target)
    [(some,)] = client.execute("SELECT count() FROM (SELECT 1 FROM placed_interactions_raw LIMIT 1)")
    if some:
        return StandingRows(client, target.database, pseudonyms)
    client.disconnect()
    return None
