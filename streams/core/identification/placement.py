"""Places all identifiers of a graph at once, when none of them is placed yet: how a worker begins.

Most identifiers are *leaves*: one link, never told of, holds them to a stronger one, and nothing else depends on them.
They belong to whoever that one belongs to. And most CRM ids have no strong neighbours but leaves, so they are their own
customer. Only what is left has to be settled (`Settlement`). The laws in tests/properties hold this against `apply`,
which settles everything.
"""

from collections.abc import Callable

from schemas.links import Name, is_strong
from streams.core.identification.edge import Edge
from streams.core.identification.graph import Graph
from streams.core.identification.settle import Place, Settlement

_CRM = "cr"
"""The first two letters of a CRM id's name."""


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
        if name in hubs:
            continue
        if type(held) is Edge and _is_leaf(name, held):
            leaves.append(held)
        elif name[:2] == _CRM and _stands_alone(name, graph):
            pass
        elif is_strong(name):
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


def _is_leaf(name: Name, edge: Edge) -> bool:
    """Whether an identifier, no hub, of which this is the only edge, belongs to whoever the other end belongs to.

    Unless the other end is crowded: then a weak one has to be settled, and a strong one is its own customer.
    """
    if edge.told or edge.a == name:
        return False
    return edge.a[:2] == _CRM and name[:2] != _CRM if is_strong(name) else is_strong(edge.a)


def _stands_alone(name: Name, graph: Graph) -> bool:
    """Whether the strong neighbours of a CRM id, no hub, are leaves."""
    linked, hubs = graph.linked, graph.hubs
    for edge in graph.around(name):
        other = edge.b
        if other == name:
            other = edge.a
        if is_strong(other) and (other in hubs or linked.get(other) is not edge or not _is_leaf(other, edge)):
            return False
    return True
