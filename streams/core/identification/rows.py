"""What is stored of an identifier: whose it is, since when, and what speaks for it."""

from typing import Final

from schemas.interaction import Micros
from schemas.links import LEARNT, Name, Rank
from schemas.records import IdentityRow
from streams.core.identification.edge import NEVER, Edge
from streams.core.identification.index import IdentityIndex

EVIDENCE: Final = 3
"""So many pieces of evidence are stored with an identifier."""


def identity_row(index: IdentityIndex, name: Name) -> IdentityRow:
    """An identifier as it stands. One that nothing links is `removed`; of a hub nothing that was learnt is known."""
    place = index.place(name)
    edges = index.edges(name)
    if not edges:
        return IdentityRow(name, place.customer, place.shared, 0, (), removed=not index.is_hub(name))
    if len(edges) == 1 and not edges[0].told:  # the common case
        only = edges[0]
        return IdentityRow(
            name, place.customer, place.shared, only.first_seen, (only.evidence.replace("\x1f", "/", 1),)
        )
    said = sorted({claim for edge in edges for claim in _said_of(edge)})
    since = min(at for _, at, _ in said)
    evidence = tuple(dict.fromkeys(where for _, _, where in said))[:EVIDENCE]
    return IdentityRow(name, place.customer, place.shared, since, evidence)


def _said_of(edge: Edge) -> list[tuple[int, Micros, str]]:
    """What was told or learnt of a pair, sorting the weightiest and then the earliest first: when, and by what."""
    said = [_claim(told.rank, told.occurred_at, told.source, told.id) for told in edge.told]
    if edge.first_seen != NEVER:
        source, _, id_ = edge.evidence.partition("\x1f")
        said.append(_claim(LEARNT, edge.first_seen, source, id_))
    return said


def _claim(rank: Rank, at: Micros, source: str, id_: str) -> tuple[int, Micros, str]:
    return -rank, at, f"{source}/{id_}"
