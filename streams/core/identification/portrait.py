"""What is known of one identifier and its customer, with the reasons, for people."""

from typing import NamedTuple

from schemas.interaction import Micros
from schemas.links import LEARNT, UPSTREAM, Name, Rank, Statement, is_strong, kind_of, order_of
from streams.core.identification.edge import Edge
from streams.core.identification.index import IdentityIndex
from streams.core.identification.policy import IdentityPolicy
from streams.core.identification.settle import Place


class Tie(NamedTuple):
    """What is known of two identifiers: what was learnt, what was told, and whether it makes them one customer's.

    `rank` and `links` are the verdict of what has the say. `why` says why they are not one customer's, None where they
    are. `first_seen`, `last_seen` and `evidence` (`source`, `id`) are of what was learnt.
    """

    a: Name
    b: Name
    rank: Rank
    links: bool
    first_seen: Micros | None
    last_seen: Micros | None
    evidence: tuple[str, str] | None
    told: tuple[Statement, ...]
    why: str | None


class Feature(NamedTuple):
    """An identifier of the customer. `why` says what is odd about it: shared, seen with too many, a catch-all."""

    name: Name
    shared: bool
    why: str | None


class Portrait(NamedTuple):
    """The customer of `name`, all of the customer's identifiers, the strongest first, and every tie of any of them."""

    name: Name
    customer: Name
    shared: bool
    features: tuple[Feature, ...]
    ties: tuple[Tie, ...]


def portrait(index: IdentityIndex, policy: IdentityPolicy, name: Name) -> Portrait:
    """The portrait of an identifier's customer. `policy` is the index's own."""
    place = index.place(name)
    names = {name} | ({name} if place.shared else _members(index, name, place.customer))
    edges = {id(edge): edge for one in names for edge in index.edges(one)}
    ordered = sorted(names, key=order_of)
    return Portrait(
        name,
        place.customer,
        place.shared,
        tuple(Feature(one, index.place(one).shared, _oddity(index, policy, one)) for one in ordered),
        tuple(
            _tie(index, policy, edge)
            for edge in sorted(edges.values(), key=lambda edge: (order_of(edge.a), order_of(edge.b)))
        ),
    )


def _members(index: IdentityIndex, name: Name, customer: Name) -> set[Name]:
    """All identifiers of a customer: whoever is one, is linked with another one."""
    found = {name, customer}
    waiting = list(found)
    while waiting:
        one = waiting.pop()
        for edge in index.edges(one):
            other = edge.other(one)
            if other not in found and index.place(other) == Place(customer):
                found.add(other)
                waiting.append(other)
    return found


def _tie(index: IdentityIndex, policy: IdentityPolicy, edge: Edge) -> Tie:
    rank, links, _ = edge.verdict
    source, _, id_ = edge.evidence.partition("\x1f")
    return Tie(
        edge.a,
        edge.b,
        rank,
        links,
        edge.first_seen if edge.is_learnt else None,
        edge.last_seen if edge.is_learnt else None,
        (source, id_) if edge.is_learnt else None,
        tuple(sorted(edge.told, key=lambda told: (told.occurred_at, told.source, told.id))),
        _obstacle(index, policy, edge),
    )


def _obstacle(index: IdentityIndex, policy: IdentityPolicy, edge: Edge) -> str | None:
    """Why two identifiers are not one customer's; None where they are."""
    here, there = index.place(edge.a), index.place(edge.b)
    if here.customer == there.customer:
        return None
    rank, links, _ = edge.verdict
    if not links:
        said = max(
            (told for told in edge.told if not told.links and told.rank == rank),
            key=lambda told: (told.occurred_at, told.source, told.id),
        )
        return f"kept apart by {said.source}" + (f": {said.reason}" if said.reason else "")
    for name in (edge.b, edge.a):
        if index.closed(name) >= rank:
            return f"{name} {_oddity(index, policy, name)}"
    for name, place in ((edge.b, there), (edge.a, here)):
        if place.shared:
            return f"{name} {_oddity(index, policy, name) or 'is shared'}"
    loser, place = (edge.a, here) if is_strong(edge.b) and not is_strong(edge.a) else (edge.b, there)
    return f"{loser} belongs to {place.customer}, for which more speaks"


def _oddity(index: IdentityIndex, policy: IdentityPolicy, name: Name) -> str | None:
    """Why an identifier links less than others do; None for an ordinary one."""
    if index.is_catch_all(name):
        return "stands for nobody: it never links"
    closed = index.closed(name)
    still = "only what operators say of it counts" if closed >= UPSTREAM else "what was learnt does not count"
    if closed >= LEARNT:
        if index.is_hub(name):
            return f"was seen with more than {policy.hub:,} others: {still}"
        kind = kind_of(name)
        if is_strong(name):
            return f"has more than {policy.customers[kind]} CRM ids: {still}"
        return f"has more than {policy.companions[kind]} numbers or addresses: {still}"
    if index.place(name).shared:
        rivals = _rivals(index, name)
        return f"is shared by {', '.join(rivals)}" if rivals else "is shared"
    return None


def _rivals(index: IdentityIndex, name: Name) -> list[Name]:
    """The customers that claim a shared identifier alike: by strong links if there are any, else by weak ones."""
    claims = [
        (is_strong(edge.other(name)), edge.verdict[0], index.customer(edge.other(name)))
        for edge in index.edges(name)
        if edge.verdict[1] and index.closed(edge.other(name)) < edge.verdict[0]
    ]
    best = max(((direct, rank) for direct, rank, _ in claims), default=None)
    return sorted(
        {customer for direct, rank, customer in claims if (direct, rank) == best and is_strong(customer)},
        key=order_of,
    )
