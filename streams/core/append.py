"""The common case made cheap: one arrival, later than all that is known of its customer.

It can only lengthen the last journey or begin another, so the sums are carried on instead of adding up the
whole timeline, and the held steps are not even decoded. The result is that of `advance_customer`, to the
byte (a law in tests/properties); whenever that is not plain to see, `append` declines.
"""

from schemas.interaction import Interaction, Micros
from schemas.records import Journey, PlacedInteraction
from streams.core.advance import Advance
from streams.core.journeys import add_up, lengthen
from streams.core.policy import JourneyPolicy
from streams.core.retention import dormant_at
from streams.core.state import CustomerState, encode_step, identity_mark
from streams.core.timeline import step_of


def append(
    customer: str, before: CustomerState | None, arrival: Interaction, now: Micros, policy: JourneyPolicy
) -> Advance | None:
    """What `advance_customer(customer, before, [arrival], now, policy)` gives, or None: ask that one.

    It declines a customer who is due, an arrival that is not the newest or perhaps a repetition, a timeline
    that is full or forgotten, a journey to be dropped, and a state made under another policy.
    """
    occurred_at = arrival.occurred_at
    gap = policy.gap
    mark = identity_mark(arrival.source, arrival.id)
    if before is None:
        step = step_of(arrival)
        journey = add_up(customer, None, (step,), now, policy)
        journeys: tuple[Journey, ...] = (journey,)
        clock = now
        floor = None
        held = 1
        packed = encode_step(step)
        marks = mark
        carried: tuple[Journey, ...] = ()
    else:
        journeys = before.journeys
        held = before.held + 1
        due = before.due
        clock = before.clock
        clock = max(clock, now)
        if (
            occurred_at <= before.newest
            or not journeys
            or due is None
            or clock >= due
            or held > policy.max_interactions
            or before.basis != policy.basis
            or journeys[0].ended_at < occurred_at - policy.horizon - gap
            or mark in before.marks
        ):
            return None
        step = step_of(arrival)
        floor = before.floor
        packed = before.packed + encode_step(step)
        carried = before.carried
        marks = before.marks + mark
        last = journeys[-1]
        if occurred_at - last.ended_at > gap:
            journey = add_up(customer, None, (step,), clock, policy)
            journeys = (*journeys, journey)
        else:
            journey = lengthen(last, step, clock, policy)
            journeys = (*journeys[:-1], journey)
    for one in journeys:
        if not one.closed:
            due = one.ended_at + gap + 1
            break
    else:
        due = dormant_at(occurred_at, clock, policy)
    state = CustomerState(
        due, occurred_at, clock, floor, policy.basis, journeys, held, packed, carried, marks
    )
    row = PlacedInteraction(arrival, journey.journey_id)
    return Advance((row,), (journey,), (), (), state, placed=(arrival,))
