"""The common case made cheap: arrivals in order, each later than all that is known of its customer.

They can only lengthen the last journey or begin others, so the sums are carried on instead of adding up the
whole timeline, and the held steps are not even decoded. The result is that of `advance_customer`, to the
byte (a law in tests/properties); whenever that is not plain to see, `append` declines.
"""

from collections.abc import Sequence

from schemas.interaction import Interaction, Micros
from schemas.records import Journey, PlacedInteraction
from streams.core.advance import Advance
from streams.core.journeys import add_up, lengthen
from streams.core.policy import JourneyPolicy
from streams.core.retention import dormant_at
from streams.core.state import CustomerState, encode_step, identity_mark
from streams.core.timeline import step_of


def append(
    customer: str,
    before: CustomerState | None,
    arrivals: Sequence[Interaction],
    now: Micros,
    policy: JourneyPolicy,
) -> Advance | None:
    """What `advance_customer(customer, before, arrivals, now, policy)` gives, or None: ask that one.

    It declines a customer who is due, no arrivals, arrivals that are not each the newest or perhaps a
    repetition, a timeline that is full or forgotten, a journey to be dropped, and a state made under another
    policy.
    """
    clock, journeys, newest, marks = now, list[Journey](), None, b""
    held, floor, packed = 0, None, b""
    carried: tuple[Journey, ...] = ()
    if before is not None:
        clock = max(before.clock, now)
        if before.due is None or clock >= before.due or not before.journeys or before.basis != policy.basis:
            return None
        journeys, newest, marks = list(before.journeys), before.newest, before.marks
        held, floor, packed, carried = before.held, before.floor, before.packed, before.carried
    for arrival in arrivals:
        mark = identity_mark(arrival.source, arrival.id)
        if (newest is not None and arrival.occurred_at <= newest) or mark in marks:
            return None
        newest = arrival.occurred_at
        marks += mark
    held += len(arrivals)
    if newest is None or not arrivals or held > policy.max_interactions:
        return None
    gap = policy.gap
    standing = len(journeys)
    rows = []
    for arrival in arrivals:
        step = step_of(arrival)
        packed += encode_step(step)
        if journeys and step.occurred_at - journeys[-1].ended_at <= gap:
            standing = min(standing, len(journeys) - 1)
            journeys[-1] = lengthen(journeys[-1], step, clock, policy)
        else:
            journeys.append(add_up(customer, None, (step,), clock, policy))
        rows.append(PlacedInteraction(arrival, journeys[-1].journey_id))
    if journeys[0].ended_at < newest - policy.horizon - gap:
        return None
    for one in journeys:
        if not one.closed:
            due = one.ended_at + gap + 1
            break
    else:
        due = dormant_at(newest, clock, policy)
    state = CustomerState(
        due, newest, clock, floor, policy.basis, tuple(journeys), held, packed, carried, marks
    )
    return Advance(rows, journeys[standing:], (), (), state, placed=tuple(arrivals))
