"""One customer in a batch in which interactions change hands: what leaves, what is said again, what arrives."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from schemas.interaction import Interaction, Micros
from schemas.records import Coordinates
from streams.core.advance import Advance, advance_customer
from streams.core.anonymous import ANONYMOUS_KEY, advance_anonymous
from streams.core.identification.departure import depart, erase, followed_by, rewrite
from streams.core.policy import JourneyPolicy
from streams.core.state import CustomerState
from streams.core.timeline import Identity


class Handover(NamedTuple):
    """What changes hands in a batch of one partition (docs/adr/0004-identity.md). Keys are `routing_key`s."""

    departures: Mapping[bytes, Collection[Identity]]
    """By holder, what leaves."""
    rewrites: Mapping[bytes, Collection[Identity]]
    """Customers whose rows are written again, whoever wrote them before; with each the arrivals refused in this batch,
    which that one may have accepted."""
    superseded: Sequence[Coordinates] = ()
    """Raw records that leave or are refused because a higher revision is known, or because they are erased."""
    erased: Collection[bytes] = ()
    """Customers who are forgotten; what of their interactions is so is among the departures."""

    @property
    def is_something(self) -> bool:
        """Whether anything changes hands."""
        return bool(self.departures or self.rewrites or self.superseded or self.erased)

    def touches(self, key: bytes) -> bool:
        """Whether this customer is concerned."""
        return key in self.departures or key in self.rewrites or key in self.erased


NO_HANDOVER: Final = Handover({}, {})


def advance_in(
    handover: Handover,
    key: bytes,
    before: CustomerState | None,
    arrivals: Sequence[Interaction],
    now: Micros,
    policy: JourneyPolicy,
) -> Advance:
    """What a customer whom the handover touches contributes to the batch, in the order: depart, write again, arrive."""
    leaving = handover.departures.get(key, ())
    if key.startswith(ANONYMOUS_KEY):
        return advance_anonymous(None if leaving else before, arrivals, now, policy)
    customer = key.decode()
    advance = Advance((), (), (), (), before)
    if key in handover.erased:
        if before is not None:
            advance = erase(customer, before, leaving, now, policy)
    elif leaving and before is not None:
        advance = depart(customer, before, leaving, now, policy)
    refused = handover.rewrites.get(key)
    if refused is not None:
        seen = {*refused, *(arrival.key for arrival in arrivals)}
        if before is not None:
            seen.update(step.identity for step in before.steps())
        advance = followed_by(advance, rewrite(customer, advance.state, seen, policy))
    return followed_by(advance, advance_customer(customer, advance.state, arrivals, now, policy))
