"""The links as a graph: identifiers, and what is known of each pair of them.

An identifier that was seen with more others than `IdentityPolicy.hub` is a *hub*: what was learnt of it counts no more
and is dropped on its side, so that its size is bounded. The other side keeps it, so that every identifier that is no
hub knows how many others it was seen with, in whatever order it was learnt.
"""

from collections.abc import Iterator
from typing import Final

from schemas.interaction import Micros
from schemas.links import LEARNT, UPSTREAM, Link, Name, Statement, is_strong, kind_of, strength_of
from streams.core.identification.edge import NEVER, Edge
from streams.core.identification.policy import IdentityPolicy


class Graph:
    """Edges by identifier. Reading is cheap where an identifier has one edge, as most have."""

    def __init__(self, policy: IdentityPolicy) -> None:
        self.policy = policy
        self.linked: Final[dict[Name, Edge | tuple[Edge, ...]]] = {}
        """The edges of each identifier that has one. To be changed by nobody else."""
        self.hubs: Final[set[Name]] = set()
        """Identifiers that were seen with too many others. To be changed by nobody else, too."""
        self._days: dict[Micros, Micros] = {}

    def __contains__(self, name: Name) -> bool:
        return name in self.linked or name in self.hubs

    def __len__(self) -> int:
        return len(self.linked)

    def names(self) -> Iterator[Name]:
        """Every identifier that has an edge, or had too many."""
        yield from self.linked
        yield from self.hubs - self.linked.keys()

    def is_hub(self, name: Name) -> bool:
        """Whether it was seen with too many others."""
        return name in self.hubs

    def around(self, name: Name) -> tuple[Edge, ...]:
        """The edges of an identifier; of a hub those that somebody told."""
        found = self.linked.get(name)
        if found is None:
            return ()
        return found if type(found) is tuple else (found,)  # type: ignore[return-value]

    def degree(self, name: Name) -> int:
        """How many edges it has."""
        return len(self.around(name))

    def sole(self, name: Name) -> Edge | None:
        """The only edge of an identifier, if it has one and nobody told it."""
        found = self.linked.get(name)
        if found is None or type(found) is tuple or found.told or name in self.hubs:  # type: ignore[union-attr]
            return None
        return found  # type: ignore[return-value]

    def edge(self, a: Name, b: Name) -> Edge | None:
        """What is known of a pair."""
        here, there = (a, b) if b in self.hubs else (b, a)
        found = self.linked.get(here)
        if type(found) is tuple:
            for edge in found:
                if there in (edge.a, edge.b):
                    return edge
            return None
        return found if found is not None and there in (found.a, found.b) else None  # type: ignore[union-attr,return-value]

    def is_known(self, a: Name, b: Name, at: Micros, day: Micros) -> bool:
        """Whether it is known that the two were seen together earlier than `at`, and on that day or later."""
        found = self.linked.get(b)
        if type(found) is Edge and found.a == a:
            return found.first_seen < at and day <= found.last_seen
        edge = self.edge(a, b)
        return edge is not None and edge.first_seen < at and day <= edge.last_seen

    def is_settled(self, a: Name, b: Name) -> bool:
        """Whether nothing that may yet be learnt of a pair can matter: both are hubs."""
        return a in self.hubs and b in self.hubs

    def learn(self, link: Link) -> list[Name]:
        """Unite a link with what is known; the identifiers that a hub, if this made one, no longer reaches."""
        edges = self.linked
        a, b = link.a, link.b
        if b not in edges and b not in self.hubs and a not in self.hubs:
            # The common case: the weaker end is new.
            held = edges.get(a)
            day = self._days.setdefault(link.last_seen, link.last_seen)
            if held is None:
                edges[a] = edges[b] = Edge(a, b, link.first_seen, day, link.evidence)
                return []
            several = held if isinstance(held, tuple) else (held,)
            if len(several) < self.policy.hub:
                one = several[0]
                edge = Edge(one.a if one.a == a else one.b, b, link.first_seen, day, link.evidence)
                edges[b] = edge
                edges[edge.a] = (*several, edge)
                return []
        return self._unite(link)

    def _unite(self, link: Link) -> list[Name]:
        cut_off: list[Name] = []
        edge = self.edge(link.a, link.b)
        if edge is not None and edge.is_learnt:
            edge.last_seen = max(edge.last_seen, link.last_seen)
            edge.first_seen, edge.evidence = min(
                (edge.first_seen, edge.evidence), (link.first_seen, link.evidence)
            )
        elif not self.is_settled(link.a, link.b):
            if edge is None:
                edge = Edge(self._own(link.a), self._own(link.b))
            edge.first_seen, edge.evidence = link.first_seen, link.evidence
            edge.last_seen = self._days.setdefault(link.last_seen, link.last_seen)
            self._hold(edge.a, edge)
            self._hold(edge.b, edge)
            cut_off += self._crowd(edge.a)
            cut_off += self._crowd(edge.b)
        return cut_off

    def tell(self, a: Name, b: Name, statement: Statement) -> None:
        """Add what was told of a pair."""
        edge = self.edge(a, b) or Edge(self._own(a), self._own(b))
        edge.told = (*edge.told, statement)
        self._hold(a, edge)
        self._hold(b, edge)

    def take_back(self, a: Name, b: Name, statement: Statement) -> None:
        """The inverse of `tell`."""
        edge = self.edge(a, b)
        if edge is None:
            return
        edge.told = tuple(told for told in edge.told if told is not statement)
        for name in (a, b):
            if not edge.told and (not edge.is_learnt or name in self.hubs):
                self._release(name, edge)

    def unlearn(self, a: Name, b: Name) -> None:
        """Forget what was learnt of a pair. A hub stays one."""
        edge = self.edge(a, b)
        if edge is None or not edge.is_learnt:
            return
        edge.first_seen, edge.last_seen, edge.evidence = NEVER, 0, ""
        if not edge.told:
            self._release(a, edge)
            self._release(b, edge)

    def closed(self, name: Name) -> int:
        """The greatest rank whose links do not count at this identifier, because it has too many; -1: none.

        What operators say always counts. What systems tell counts unless they alone tell too much.
        """
        edges = self.linked.get(name)
        if type(edges) is not tuple or name[:2] == "cr":
            return LEARNT if name in self.hubs else -1
        seen: dict[str, int] = {}
        told: dict[str, int] = {}
        for edge in edges:
            other = edge.other(name)
            if strength_of(other) in _COUNTED_AT[strength_of(name)]:
                rank, links, _ = edge.verdict
                if links:
                    seen[other[:2]] = seen.get(other[:2], 0) + 1
                    if rank >= UPSTREAM:
                        told[other[:2]] = told.get(other[:2], 0) + 1
        kind = kind_of(name)
        limits = self.policy.customers if is_strong(name) else self.policy.companions
        limit = limits.get(kind)
        if limit is not None:
            if told and max(told.values()) > limit:
                return UPSTREAM
            if seen and max(seen.values()) > limit:
                return LEARNT
        return LEARNT if name in self.hubs else -1

    def _hold(self, name: Name, edge: Edge) -> None:
        """Put an edge at one of its ends."""
        if name in self.hubs and not edge.told:
            return
        held = self.around(name)
        if not any(one is edge for one in held):
            self.linked[name] = (*held, edge) if held else edge

    def _crowd(self, name: Name) -> list[Name]:
        """Make a hub of an identifier that was seen with too many others; the ones that are cut off by that."""
        held = self.around(name)
        if (
            len(held) <= self.policy.hub
            or name in self.hubs
            or sum(one.is_learnt for one in held) <= self.policy.hub
        ):
            return []
        self.hubs.add(name)
        self._keep(name, (one for one in held if one.told))
        return [one.other(name) for one in held]

    def _own(self, name: Name) -> Name:
        """The very string that is held already, so that a name is in memory once."""
        held = self.linked.get(name)
        if held is None:
            return name
        one = held[0] if type(held) is tuple else held
        return one.a if one.a == name else one.b  # type: ignore[union-attr]

    def _release(self, name: Name, edge: Edge) -> None:
        self._keep(name, (one for one in self.around(name) if one is not edge))

    def _keep(self, name: Name, edges: Iterator[Edge]) -> None:
        kept = tuple(edges)
        if not kept:
            self.linked.pop(name, None)
        else:
            self.linked[name] = kept[0] if len(kept) == 1 else kept


_COUNTED_AT = (frozenset[int](), frozenset({0}), frozenset({0}), *[frozenset({3, 4})] * 3)
"""By strength of an identifier, the strengths of the others that are counted against its limit."""
