"""What one worker knows of who is whom: all links, and the customer of every identifier, kept up as links come."""

from collections.abc import Iterable, Iterator
from itertools import combinations

from schemas.identifiers import Identifiers
from schemas.interaction import DAY, Micros
from schemas.links import (
    PREFIXES,
    WEAK_FROM,
    Identified,
    Link,
    Name,
    Record,
    Statement,
    is_strong,
    kind_of,
    merged_links,
    merged_statements,
    names_of,
    strength_of,
)
from streams.core.identification.catch_all import CatchAll
from streams.core.identification.edge import Edge
from streams.core.identification.graph import Graph
from streams.core.identification.placement import place_all
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy
from streams.core.identification.region import strong_region, weak_region
from streams.core.identification.settle import Place, Settlement

Changes = dict[Name, tuple[Place, Place]]
"""Identifiers whose place is another one: the one before, and the one after."""

Pair = tuple[Name, Name]


class IdentityIndex:
    """The links and the customers. Its answers depend on the set of records that it was given, on nothing else:
    not on their order, on repetition, or on how they were cut into calls of `apply` (laws in tests/properties).
    """

    def __init__(self, policy: IdentityPolicy = DEFAULT_POLICY, records: Iterable[Record] = ()) -> None:
        """Begin with what a log holds: cheaper than `apply`, since every identifier is placed once."""
        self.policy = policy
        """What may link and how far."""
        self._graph = Graph(policy)
        self._linked = self._graph.linked
        self._is_catch_all = CatchAll(policy)
        self._told: dict[tuple[str, str], Statement] = {}
        self._customers: dict[Name, Name] = {}
        self._shared: set[Name] = set()
        self.load(records)

    # --- asking ------------------------------------------------------------------------------------------

    def customer(self, name: Name) -> Name:
        """The customer of an identifier: itself, for one that is not linked, or shared."""
        return self._customers.get(name, name)

    def place(self, name: Name) -> Place:
        """The customer of an identifier, and whether it is shared."""
        return Place(self._customers.get(name, name), name in self._shared)

    def customer_of(self, identifiers: Identifiers, unnormalised: tuple[str, ...] = ()) -> Name | None:
        """The customer of an interaction; None is anonymous.

        Its strongest identifier has the say; among weak ones one whose customer is known by a strong name. A shared
        one counts only where there is no other, catch-all values and what could not be normalised never.
        """
        # The two common cases first. Who has another customer than itself is linked, and not shared.
        crm_id = identifiers[0]
        if crm_id is not None:
            name = "crm:" + crm_id
            customer = self._customers.get(name)
            if customer is not None:
                return customer
            if name not in self._shared and (name in self._linked or self._names_somebody(name)):
                return name
        elif not unnormalised and identifiers.count(None) == 5:
            customer = self._customers.get(_first_name(identifiers))
            if customer is not None:
                return customer
        names = self._usable(names_of(identifiers), unnormalised)
        best: Name | None = None
        for name in names:
            if name in self._shared:
                continue
            customer = self._customers.get(name, name)
            if is_strong(name):
                return customer
            if best is None or strength_of(customer) < min(strength_of(best), WEAK_FROM):
                best = customer
        if best is None and names:
            return self._customers.get(names[0], names[0])
        return best

    def edges(self, name: Name) -> tuple[Edge, ...]:
        """What is known of an identifier, for `touchline identity show`; what a hub learnt is not kept."""
        return self._graph.around(name)

    def statement(self, key: tuple[str, str]) -> Statement | None:
        """What was told in the fact `(source, id)`, in its highest revision."""
        return self._told.get(key)

    def closed(self, name: Name) -> int:
        """The greatest rank whose links do not count at an identifier, because it has too many; -1: all count."""
        return self._graph.closed(name)

    def is_hub(self, name: Name) -> bool:
        """Whether it was seen with so many others that what is learnt of it counts no more."""
        return self._graph.is_hub(name)

    def is_catch_all(self, name: Name) -> bool:
        """Whether it stands for nobody and is not linked all the same."""
        return not self._names_somebody(name)

    def records(self) -> Iterator[Record]:
        """What it knows, as records: an index made of them answers the same. (What two hubs share is not kept.)"""
        yield from self._told.values()
        for name in self._graph.names():
            for edge in self._graph.around(name):
                link = edge.link()
                if link is not None and (edge.a == name or self._graph.is_hub(edge.a)):
                    yield link

    def names(self) -> Iterator[Name]:
        """Every identifier that is linked, or was seen with too many others."""
        return self._graph.names()

    def __contains__(self, name: Name) -> bool:
        """Whether an identifier is linked, or was seen with too many others."""
        return name in self._graph

    def __len__(self) -> int:
        """The number of identifiers that are linked."""
        return len(self._graph)

    # --- learning ----------------------------------------------------------------------------------------

    def learn(
        self,
        known: Identified,
        unnormalised: tuple[str, ...],
        occurred_at: Micros,
        source: str,
        id: str,  # noqa: A002 - the contract's own word
    ) -> list[Link]:
        """The records that an interaction, or whose identifiers are `known`, adds to the log; nothing is changed before
        they are read back.

        Each of its identifiers is linked with each: what one of them says of the interaction may depend on another.
        """
        names = names_of(known)
        if len(names) < 2:
            return []
        day = occurred_at - occurred_at % DAY
        is_known = self._graph.is_known
        if len(names) == 2 and not unnormalised and is_known(names[0], names[1], occurred_at, day):
            return []  # the common case
        news: list[Link] = []
        for a, b in combinations(self._usable(names, unnormalised), 2):
            edge = self._graph.edge(a, b)
            if edge is None or not edge.is_learnt:
                if not self._graph.is_settled(a, b):
                    news.append(Link(a, b, occurred_at, day, f"{source}\x1f{id}"))
            elif day > edge.last_seen or occurred_at <= edge.first_seen:
                held = edge.link()
                assert held is not None
                link = merged_links(held, Link(a, b, occurred_at, day, f"{source}\x1f{id}"))
                if link != held:
                    news.append(link)
        return news

    def load(self, records: Iterable[Record]) -> None:
        """`apply` for an index that knows nothing yet: cheaper, since every identifier is placed once."""
        if self._told or len(self._graph):
            raise ValueError("only an empty index can be loaded")
        linked, somebody, learn = self._linked, self._names_somebody, self._graph.learn
        for record in records:
            if not isinstance(record, Link):
                self._take(record, None)
            elif (record.a in linked or somebody(record.a)) and (record.b in linked or somebody(record.b)):
                learn(record)
        place_all(self._graph, self._customers, self._put)

    def apply(self, records: Iterable[Record]) -> Changes:
        """Unite records with what is known; the identifiers whose place changed by that."""
        touched: dict[Name, int] = {}
        changes: Changes = {}
        for record in records:
            if isinstance(record, Link) and not touched and self._take_leaf(record, changes):
                continue
            self._take(record, touched)
        if touched:
            for name, (lately, after) in self._settle(touched).items():
                before = changes.pop(name)[0] if name in changes else lately
                if before != after:
                    changes[name] = before, after
        return changes

    def holders(self, changes: Changes) -> set[Name] | None:
        """The customers whose timelines may hold an interaction that belongs elsewhere after `changes`, which `apply`
        just gave; None: any customer's.

        An interaction lies with the customer of one of its identifiers, and those are linked with each other. Only a
        hub does not know what it was seen with; that one changes is rare.
        """
        found: set[Name] = set()
        for name, (before, _) in changes.items():
            if self._graph.is_hub(name):
                return None
            found.add(before.customer)
            for edge in self._graph.around(name):
                other = edge.other(name)
                found.add(changes[other][0].customer if other in changes else self.customer(other))
        return found

    def forget(self, pairs: Iterable[Pair], statements: Iterable[tuple[str, str]] = ()) -> Changes:
        """Forget what was learnt of pairs, and statements by `(source, id)`: erasure. Nothing keeps them from being
        learnt again.
        """
        touched: dict[Name, int] = {}
        for a, b in pairs:
            self._touch(touched, a, b)
            self._graph.unlearn(a, b)
        for key in statements:
            statement = self._told.pop(key, None)
            if statement is not None:
                self._untell(statement, touched)
        return self._settle(touched)

    def lacks(self, record: Record) -> Record | None:
        """The record that the log should hold in place of this one, if it is less than what is known.

        Two workers that learn of one pair at the same time write over each other; whoever reads its own record and
        gets an answer here writes that.
        """
        known: Record | None
        if isinstance(record, Link):
            edge = self._graph.edge(record.a, record.b)
            known = edge.link() if edge is not None else None
            whole: Record = merged_links(record, known) if isinstance(known, Link) else record
        else:
            known = self._told.get((record.source, record.id))
            whole = merged_statements(record, known) if isinstance(known, Statement) else record
        return whole if whole != record else None

    # --- within ------------------------------------------------------------------------------------------

    def _usable(self, names: list[Name], unnormalised: tuple[str, ...]) -> list[Name]:
        if unnormalised:
            names = [name for name in names if kind_of(name) not in unnormalised]
        return [name for name in names if self._names_somebody(name)]

    def _names_somebody(self, name: Name) -> bool:
        return name in self._graph or not self._is_catch_all(name)

    def _touch(self, touched: dict[Name, int] | None, *names: Name) -> None:
        """Note identifiers at which links are about to change, with what is closed there; None: all will be settled."""
        for name in names:
            if touched is not None and name not in touched:
                touched[name] = self._graph.closed(name)

    def _take(self, record: Record, touched: dict[Name, int] | None) -> None:
        if isinstance(record, Link):
            a, b = record.a, record.b
            edge = self._graph.edge(a, b)
            # The most frequent news of a known link: when it was seen last, which moves nobody.
            if edge is not None and (
                record.first_seen > edge.first_seen
                or (record.first_seen == edge.first_seen and record.evidence >= edge.evidence)
            ):
                edge.last_seen = max(edge.last_seen, record.last_seen)
                return
            if not (self._names_somebody(a) and self._names_somebody(b)):
                return
            self._touch(touched, a, b)
            for cut_off in self._graph.learn(record):
                self._touch(touched, cut_off)
            return
        key = (record.source, record.id)
        known = self._told.get(key)
        if known is not None:
            if record == known or merged_statements(known, record) is known:
                return
            self._untell(known, touched)
        self._told[key] = record
        for a, b in self._pairs(record):
            self._touch(touched, a, b)
            self._graph.tell(a, b, record)

    def _untell(self, statement: Statement, touched: dict[Name, int] | None) -> None:
        for a, b in self._pairs(statement):
            self._touch(touched, a, b)
            self._graph.take_back(a, b, statement)

    def _pairs(self, statement: Statement) -> list[Pair]:
        names = [name for name in statement.identifiers if self._names_somebody(name)]
        if statement.links and names and is_strong(names[0]):
            return [(names[0], other) for other in names[1:]]
        return list(combinations(names, 2))

    def _take_leaf(self, link: Link, changes: Changes) -> bool:
        """Take a link that only gives a new weak identifier to a strong one: the place of no other depends on it."""
        a, b = link.a, link.b
        graph = self._graph
        if is_strong(b) or not is_strong(a) or b in graph or graph.closed(a) >= 0:
            return False
        if not (self._names_somebody(a) and self._names_somebody(b)) or graph.degree(a) >= graph.policy.hub:
            return False
        graph.learn(link)
        edge = graph.sole(b)
        assert edge is not None
        before, after = Place(b), Place(self.customer(edge.a))
        changes[edge.b] = before, after
        self._put(edge.b, after)
        return True

    def _settle(self, touched: dict[Name, int]) -> Changes:
        if not touched:
            return {}
        settlement = Settlement(self._graph, self.customer)
        settlement.settle_strong(strong_region(self._graph, settlement, touched))
        moved = [name for name, place in settlement.places.items() if place.customer != self.customer(name)]
        settlement.settle_weak(weak_region(self._graph, settlement, touched, moved))
        return self._adopt(settlement.places)

    def _adopt(self, places: dict[Name, Place]) -> Changes:
        changes: Changes = {}
        for name, place in places.items():
            before = self.place(name)
            if place != before:
                changes[name] = before, place
                self._put(name, place)
        return changes

    def _put(self, name: Name, place: Place) -> None:
        if place.customer == name:
            self._customers.pop(name, None)
        else:
            self._customers[name] = place.customer
        if place.shared:
            self._shared.add(name)
        else:
            self._shared.discard(name)


def _first_name(identifiers: Identifiers) -> Name:
    """The name of the strongest identifier present; empty when there is none."""
    for prefix, value in zip(PREFIXES, identifiers):  # noqa: B905 - hot
        if value:
            return prefix + value
    return ""
