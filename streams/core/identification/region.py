"""How far a change of some links reaches: the identifiers whose place may be another one now.

What is left out is proven to keep its place: strong identifiers depend on their strong neighbours alone; an attached
weak one on its strong neighbours; any other on those that it is connected with through such as itself. Who was told
apart from another depends on that one.
"""

from collections.abc import Iterable, Mapping

from schemas.links import Name, is_strong
from streams.core.identification.graph import Graph
from streams.core.identification.settle import Settlement


def strong_region(graph: Graph, settlement: Settlement, touched: Iterable[Name]) -> set[Name]:
    """The strong identifiers to settle anew, given the identifiers at which links changed."""
    touched = {name for name in touched if is_strong(name)}
    region = set(touched)
    waiting = list(touched)
    while waiting:
        name = waiting.pop()
        for edge in graph.around(name):
            other = edge.other(name)
            if other in region or not is_strong(other):
                continue
            if name in touched or not edge.verdict[1] or settlement.is_open(edge):
                region.add(other)
                waiting.append(other)
    return region


def weak_region(
    graph: Graph, settlement: Settlement, touched: Mapping[Name, int], moved: Iterable[Name]
) -> set[Name]:
    """The weak identifiers to settle anew.

    `touched`: the identifiers at which links changed, with what was closed there before; `moved`: strong ones with
    another customer than before.
    """
    region = {name for name in touched if not is_strong(name)}
    opened = [name for name, closed in touched.items() if closed != graph.closed(name)]
    for name in (*moved, *opened):
        for edge in graph.around(name):
            other = edge.other(name)
            if not is_strong(other):
                region.add(other)
    waiting = list(region)
    while waiting:
        name = waiting.pop()
        for edge in graph.around(name):
            other = edge.other(name)
            if other in region or is_strong(other):
                continue
            if not edge.verdict[1] or (settlement.is_open(edge) and not settlement.is_attached(other)):
                region.add(other)
                waiting.append(other)
    return region
