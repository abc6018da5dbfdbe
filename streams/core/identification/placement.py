"""Places all identifiers of a graph at once, when none of them is placed yet: how a worker begins.

Most identifiers are *leaves*: one link, never told of, holds them to a stronger one, and nothing else depends on them.
They belong to whoever that one belongs to, unless it is crowded: then a weak one has to be settled, and a strong one is
its own customer. And most CRM ids have no strong neighbours but leaves, so they are their own customer. Only what is
left has to be settled (`Settlement`). The laws in tests/properties hold this against `apply`, which settles everything.
"""

from collections.abc import Callable
from typing import Final

from schemas.links import PREFIXES, WEAK_FROM, Name, is_strong
from streams.core.identification.edge import Edge
from streams.core.identification.graph import Graph
from streams.core.identification.settle import Place, Settlement

_CRM: Final = PREFIXES[0][:2]
_STRONG: Final = frozenset(prefix[:2] for prefix in PREFIXES[:WEAK_FROM])
_OWNERS: Final[dict[str, frozenset[str]]] = {
    prefix[:2]: frozenset() if prefix[:2] == _CRM else frozenset({_CRM}) if prefix[:2] in _STRONG else _STRONG
    for prefix in PREFIXES
}
"""By the first two letters of a name, those of the names whose leaf it may be."""


def place_all(graph: Graph, customers: dict[Name, Name], put: Callable[[Name, Place], None]) -> None:
    """Fill `customers`, by identifier, where that is another one than itself; `put` takes the places that had to be
    settled.
    """

    def customer(name: Name) -> Name:
        return customers.get(name, name)

    linked, hubs = graph.linked, graph.hubs
    leaves: list[Edge] = []
    strong = {name for name in hubs if is_strong(name)}
    weak = hubs - strong
    for name, held in linked.items():
        if hubs and name in hubs:
            continue
        kind = name[:2]
        if (
            type(held) is Edge
            and held.b == name
            and not held.told
            and held.a[:2] in _OWNERS.get(kind, _STRONG)
        ):
            leaves.append(held)
        elif kind == _CRM and _stands_alone(name, graph):
            pass
        elif kind in _STRONG:
            strong.add(name)
        else:
            weak.add(name)
    settlement = Settlement(graph, customer)
    settlement.settle_strong(strong)
    crowded: set[Name] = set()
    for name, place in settlement.places.items():
        put(name, place)
        if graph.closed(name) >= 0:
            crowded.add(name)
    for leaf in leaves:
        if leaf.a not in crowded:
            customers[leaf.b] = customers.get(leaf.a, leaf.a)
        elif not is_strong(leaf.b):
            weak.add(leaf.b)
    settlement = Settlement(graph, customer)
    settlement.settle_weak(weak)
    for name, place in settlement.places.items():
        put(name, place)


def _stands_alone(name: Name, graph: Graph) -> bool:
    """Whether the strong neighbours of a CRM id, no hub, are leaves."""
    linked, hubs = graph.linked, graph.hubs
    for edge in graph.around(name):
        other = edge.b
        if other == name:
            other = edge.a
        kind = other[:2]
        if kind in _STRONG and (
            kind == _CRM or edge.told or edge.b != other or linked.get(other) is not edge or other in hubs
        ):
            return False
    return True
