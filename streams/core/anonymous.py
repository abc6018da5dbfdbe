"""An anonymous interaction: a timeline of one under a key of its own, so that repetition and revisions are
seen.

It belongs to no customer and no journey, and is forgotten a horizon after it was last heard of.
"""

from collections.abc import Sequence
from typing import Final

from schemas.interaction import Interaction, Micros
from schemas.records import Coordinates, PlacedInteraction
from streams.core.advance import Advance
from streams.core.policy import JourneyPolicy
from streams.core.state import CustomerState, pack_steps
from streams.core.timeline import coordinates_of, step_of

ANONYMOUS_KEY: Final = b"anonymous:"
"""How the routing key of an anonymous interaction begins; no customer's does."""


def advance_anonymous(
    before: CustomerState | None, arrivals: Sequence[Interaction], now: Micros, policy: JourneyPolicy
) -> Advance:
    """Apply arrivals of one anonymous identity; a state of None afterwards means forget it."""
    held = before.steps()[0].interaction() if before is not None else None
    changed = again = False
    superseded: list[Coordinates] = []
    for arrival in arrivals:
        if held is None or arrival.revision > held.revision:
            if held is not None:
                superseded.append(coordinates_of(held))
            held = arrival
            changed = True
        elif arrival.revision == held.revision and coordinates_of(arrival) == coordinates_of(held):
            again = True
        else:
            superseded.append(coordinates_of(arrival))
    rows = (PlacedInteraction(held, None),) if held is not None and (changed or again) else ()
    if changed and held is not None:
        clock = now if before is None or now > before.clock else before.clock
        newest = held.occurred_at if before is None else max(held.occurred_at, before.newest)
        forget_at = max(newest, clock) + policy.horizon + 1
        state = CustomerState(
            forget_at, newest, clock, None, policy.basis, held=1, packed=pack_steps((step_of(held),))
        )
        return Advance(rows, (), (), superseded, state)
    if before is not None and before.due is not None and now >= before.due:
        return Advance(rows, (), (), superseded, None)
    return Advance(rows, (), (), superseded, before)
