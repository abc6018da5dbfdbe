"""Groups of identifiers of one standing: those that links hold together, unless somebody said that they are not one."""

from collections.abc import Callable, Collection, Iterable, Sequence

from schemas.interaction import Micros
from schemas.links import LEARNT, Name, order_of
from streams.core.identification.edge import Edge


def clusters(
    names: Collection[Name], edges: Iterable[Edge], is_open: Callable[[Edge], bool]
) -> list[list[Name]]:
    """Cut `names` into groups.

    Without an `unlink` among the edges, groups are what the open ones connect. With one, what is said is heard one
    after the other: by rank, what was told latest first, what was learnt earliest first; an unlink keeps two groups
    apart from there on, and a link joins two unless they are kept apart. No order of the arguments matters.
    """
    within = [edge for edge in edges if edge.a in names and edge.b in names]
    apart = any(edge.told and not edge.verdict[1] for edge in within)
    if apart:
        within.sort(key=_hearing)
    root = dict.fromkeys(names, "")
    enemies: dict[Name, set[Name]] = {}

    def find(name: Name) -> Name:
        while parent := root[name]:
            root[name] = root[parent] or parent
            name = parent
        return name

    for edge in within:
        a, b = find(edge.a), find(edge.b)
        if a == b:
            continue
        if edge.told and not edge.verdict[1]:
            enemies.setdefault(a, set()).add(b)
            enemies.setdefault(b, set()).add(a)
        elif is_open(edge) and b not in enemies.get(a, ()):
            root[b] = a
            for enemy in enemies.pop(b, ()):
                enemies[enemy].discard(b)
                enemies[enemy].add(a)
                enemies.setdefault(a, set()).add(enemy)
    groups: dict[Name, list[Name]] = {}
    for name in names:
        groups.setdefault(find(name), []).append(name)
    return list(groups.values())


def first(names: Sequence[Name]) -> Name:
    """The name of a group: of the strongest kind the smallest by code point."""
    return names[0] if len(names) == 1 else min(names, key=order_of)


def _hearing(edge: Edge) -> tuple[int, Micros, Name, Name]:
    rank, _, at = edge.verdict
    return -rank, at if rank == LEARNT else -at, edge.a, edge.b
