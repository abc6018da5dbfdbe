"""What is known of two identifiers: what was learnt of them, what was told, and which of it has the say.

It stands apart from the graph, whose module is compiled ahead of time: structs are not.
"""

import msgspec

from schemas.interaction import Micros
from schemas.links import LEARNT, Link, Name, Rank, Statement

NEVER: Micros = 2**63
"""`first_seen` of a pair that was never seen together."""


class Edge(msgspec.Struct, gc=False):
    """What is known of two identifiers: what was learnt (`first_seen` less than `NEVER`), and what was told."""

    a: Name
    b: Name
    first_seen: Micros = NEVER
    last_seen: Micros = 0
    evidence: str = ""
    told: tuple[Statement, ...] = ()

    def other(self, name: Name) -> Name:
        """The other end."""
        return self.b if name == self.a else self.a

    @property
    def is_learnt(self) -> bool:
        """Whether the two were seen together."""
        return self.first_seen != NEVER

    @property
    def verdict(self) -> tuple[Rank, bool, Micros]:
        """The rank that has the say, whether it links, and when it was told (learnt: first seen).

        The highest rank has the say; in it what was told latest, among equals the greater source, then id.
        """
        if not self.told:
            return LEARNT, True, self.first_seen
        best = max(self.told, key=_weight)
        return best.rank, best.links, best.occurred_at

    def link(self) -> Link | None:
        """The record of what was learnt."""
        return (
            Link(self.a, self.b, self.first_seen, self.last_seen, self.evidence) if self.is_learnt else None
        )


def _weight(told: Statement) -> tuple[int, Micros, str, str]:
    return told.rank, told.occurred_at, told.source, told.id
