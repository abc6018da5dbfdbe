"""Whose an identifier is: the pure heart. Same links, same answer, whatever order they came in.

1. *Strong* identifiers that links connect are one customer (`clusters`). Nothing weak takes part in that.
2. A *weak* one that is linked with strong ones belongs to their customer; of its links those of the highest rank have
   the say. With more customers than allowed it is shared: it belongs to nobody and passes nothing on.
3. One without such a link belongs to the customer of the nearest weak ones that have: first those one link away, then
   those one further. Where different customers are equally near, it is shared.
4. What is left forms customers of its own, as in 1.

An `unlink` keeps an identifier out of the customer that the other one is in, unless something weightier puts it there.
A link that does not count at one of its ends (`Graph.closed`) plays no part. A customer is named by its strongest
identifier, of equally strong ones by the smallest by code point.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from schemas.interaction import Micros
from schemas.links import Name, is_strong, kind_of, order_of, strength_of
from streams.core.identification.clusters import clusters, first
from streams.core.identification.edge import Edge
from streams.core.identification.graph import Graph


class Place(NamedTuple):
    """Whose an identifier is, and whether it is shared: then it is its own and names a customer only for want of
    another.
    """

    customer: Name
    shared: bool = False


Claim = tuple[int, Micros, Name]
"""What speaks for a customer: the rank of a link, since when, and the customer."""


class Settlement:
    """Places of the identifiers of a region; what lies around it keeps the place that `before` gives.

    `strong` must be closed under links among strong identifiers, `weak` under `region.weak_region`.
    """

    def __init__(self, graph: Graph, before: Callable[[Name], Name]) -> None:
        self._graph = graph
        self._before = before
        self._closed: dict[Name, int] = {}
        self.places: dict[Name, Place] = {}

    def is_open(self, edge: Edge) -> bool:
        """Whether an edge links, and counts at both ends."""
        if not edge.told:
            return self._closed_at(edge.a) < 0 and self._closed_at(edge.b) < 0
        rank, links, _ = edge.verdict
        return links and rank > self._closed_at(edge.a) and rank > self._closed_at(edge.b)

    def is_attached(self, name: Name) -> bool:
        """Whether a weak identifier is linked with a strong one, so that those alone decide."""
        return any(is_strong(edge.other(name)) and self.is_open(edge) for edge in self._graph.around(name))

    def settle_strong(self, names: Collection[Name]) -> None:
        """Place strong identifiers."""
        several: set[Name] = set()
        sole = self._graph.sole
        for name in names:
            linked = [edge for edge in self._graph.around(name) if is_strong(edge.b) and is_strong(edge.a)]
            if not linked:
                self._place(name, name)
            elif (
                name[:2] == "cr"
                and all(edge.a == name and sole(edge.b) is edge for edge in linked)
                and self._is_free(name)
            ):
                # The common case: contracts and cards that are linked with this CRM id alone.
                self.places[name] = Place(name)
                for edge in linked:
                    self.places[edge.b] = Place(name)
            else:
                several.add(name)
        several.difference_update(self.places)
        edges = (edge for name in several for edge in self._graph.around(name) if edge.a == name)
        for group in clusters(several, edges, self.is_open):
            customer = first(group)
            for name in group:
                self._place(name, customer)

    def settle_weak(self, names: Collection[Name]) -> None:
        """Place weak identifiers, when the strong ones are placed."""
        pending: set[Name] = set()
        attached: list[tuple[Name, list[Claim]]] = []
        for name in names:
            claims = self._claims_of_strong(name)
            if claims:
                attached.append((name, claims))
            else:
                pending.add(name)
        self._award(attached, final=True)
        nearest = pending
        while nearest:
            reached = [(name, claims) for name in nearest if (claims := self._claims_of_weak(name, pending))]
            owned = self._award(reached, final=False)
            pending.difference_update(self.places)
            nearest = {
                other
                for name in owned
                for edge in self._graph.around(name)
                if (other := edge.other(name)) in pending
            }
        edges = (edge for name in pending for edge in self._graph.around(name) if edge.a == name)
        for group in clusters(pending, edges, self.is_open):
            customer = first(group)
            for name in group:
                self._place(name, customer)

    def _is_free(self, name: Name) -> bool:
        return self._closed_at(name) < 0

    def _closed_at(self, name: Name) -> int:
        closed = self._closed.get(name)
        if closed is None:
            closed = self._closed[name] = self._graph.closed(name)
        return closed

    def _customer(self, name: Name) -> Name:
        place = self.places.get(name)
        return place.customer if place is not None else self._before(name)

    def _place(self, name: Name, customer: Name) -> None:
        self.places[name] = Place(customer, customer == name and self._closed_at(name) >= 0)

    def _claims_of_strong(self, name: Name) -> list[Claim]:
        """What links with strong identifiers claim."""
        claims: list[Claim] = []
        for edge in self._graph.around(name):
            other = edge.other(name)
            if is_strong(other) and self.is_open(edge):
                rank, _, at = edge.verdict
                claims.append((rank, at, self._customer(other)))
        return claims

    def _claims_of_weak(self, name: Name, pending: Collection[Name]) -> list[Claim]:
        """What links claim with weak identifiers that belong to a strong customer by now."""
        claims: list[Claim] = []
        for edge in self._graph.around(name):
            other = edge.other(name)
            if other not in pending and not is_strong(other) and self.is_open(edge):
                customer = self._customer(other)
                if is_strong(customer):
                    rank, _, at = edge.verdict
                    claims.append((rank, at, customer))
        return claims

    def _award(self, claimed: Iterable[tuple[Name, list[Claim]]], *, final: bool) -> list[Name]:
        """Place the identifiers of one round by their claims; those that belong to a customer now.

        They do not depend on each other, except those that somebody told apart: of them the one with the weightiest
        claim goes first, then the stronger name, and the other keeps out. One without an admissible claim stands on
        its own when `final`, and otherwise waits.
        """
        owned: list[Name] = []
        told_apart: list[tuple[Name, list[Claim]]] = []
        for name, claims in claimed:
            if any(edge.told and not edge.verdict[1] for edge in self._graph.around(name)):
                told_apart.append((name, claims))
            elif self._decide(name, claims):
                owned.append(name)
        told_apart.sort(key=lambda one: (-max(one[1])[0], order_of(one[0])))
        for name, claims in told_apart:
            admitted = [claim for claim in claims if self._admits(name, claim[2], claims)]
            if admitted:
                if self._decide(name, admitted):
                    owned.append(name)
            elif final:
                self._place(name, name)
        return owned

    def _decide(self, name: Name, claims: list[Claim]) -> bool:
        """Place an identifier by its claims; whether it belongs to a customer now, or is shared."""
        customer = claims[0][2]
        if len(claims) > 1:
            rank = max(claims)[0]
            best: dict[Name, Micros] = {}
            for claim in claims:
                if claim[0] == rank:
                    best[claim[2]] = min(claim[1], best.get(claim[2], claim[1]))
            if len(best) > 1:
                rivals = Counter(map(strength_of, best))
                if max(rivals.values()) > self._graph.policy.customers.get(kind_of(name), 1):
                    self.places[name] = Place(name, True)
                    return False
            customer = min(best, key=lambda one: (strength_of(one), best[one], one))
        self.places[name] = Place(customer)
        return True

    def _admits(self, name: Name, customer: Name, claims: list[Claim]) -> bool:
        """Whether nothing that was told keeps an identifier out of a customer, or a weightier claim puts it there."""
        weight = max((rank, at) for rank, at, claimed in claims if claimed == customer)
        for edge in self._graph.around(name):
            rank, links, at = edge.verdict
            if links or weight > (rank, at):
                continue
            other = edge.other(name)
            place = self.places.get(other)
            if place is not None:
                if place.customer == customer:
                    return False
            elif is_strong(other) and self._before(other) == customer:
                return False
        return True
