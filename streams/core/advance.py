"""One customer, one batch: the state before, what arrived and the clock give rows and the state after."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from schemas.interaction import Interaction, Micros
from schemas.records import Coordinates, Journey, PlacedInteraction
from streams.core.arrivals import Applied, apply_arrivals
from streams.core.journeys import evaluate, held_counts, journey_id_of
from streams.core.policy import JourneyPolicy
from streams.core.retention import dormant_at, retain
from streams.core.state import CustomerState, EmittedJourney
from streams.core.timeline import Identity, Step, Timeline


class Advance(NamedTuple):
    """What one customer contributes to a batch. `state` is the state after; it *is* the one before if
    nothing changed.
    """

    interactions: Sequence[PlacedInteraction]
    journeys: Sequence[Journey]
    retracted: Sequence[str]
    superseded: Sequence[Coordinates]
    state: CustomerState | None
    folded: int = 0


def advance_customer(
    customer: str,
    before: CustomerState | None,
    arrivals: Sequence[Interaction],
    now: Micros,
    policy: JourneyPolicy,
) -> Advance:
    """Apply arrivals in the order of the log, evaluate at `now`, and tell the difference to what was emitted
    before.

    Running it again from the same state gives the same; running it from an earlier state over the log cut
    elsewhere ends in the same rows, whatever a crashed run had already written. For that
    - a journey into which something arrived is always emitted, even when it looks as it did before;
    - a journey that only stood between two arrivals of this batch is retracted, since a run that ended there
      emitted it;
    - after an interaction left its place, all of the customer's rows are written again.
    """
    applied = apply_arrivals(before, arrivals, policy)
    rows = [PlacedInteraction(interaction, None, True) for interaction in applied.beyond]
    is_due = before is not None and before.due is not None and now >= before.due
    if applied.newest is None or not (applied.placed or applied.changed or is_due):
        return Advance(rows, (), (), applied.superseded, before)
    clock = now if before is None or now > before.clock else before.clock
    timeline = Timeline(customer, applied.steps, before.carried if before is not None else ())
    journeys, next_due = evaluate(timeline, clock, policy)
    emitted, retracted = _difference(before, applied, timeline, journeys, rows)
    if not (applied.changed or is_due):
        return Advance(rows, emitted, retracted, applied.superseded, before)
    if (
        not applied.changed
        and before is not None
        and clock >= dormant_at(applied.newest, before.clock, policy)
    ):
        stub = _forget(applied.newest, clock, applied.floor, policy)
        return Advance(rows, emitted, retracted, applied.superseded, stub)
    kept = retain(
        timeline,
        journeys,
        newest=applied.newest,
        floor=applied.floor,
        sealed=applied.sealed,
        now=clock,
        policy=policy,
    )
    state = CustomerState(
        next_due if next_due is not None else dormant_at(applied.newest, clock, policy),
        applied.newest,
        clock,
        kept.floor,
        tuple([EmittedJourney(one.journey_id, one.interactions, one.closed) for one in kept.journeys]),
        tuple(kept.steps),
        tuple(kept.carried),
    )
    return Advance(rows, emitted, retracted, applied.superseded, state, kept.folded)


def _forget(newest: Micros, clock: Micros, floor: Micros | None, policy: JourneyPolicy) -> CustomerState:
    """The stub of a customer whose journeys are all final: nothing may be added that could touch them."""
    final_until = newest + policy.gap
    return CustomerState(None, newest, clock, final_until if floor is None else max(final_until, floor))


def _difference(
    before: CustomerState | None,
    applied: Applied,
    timeline: Timeline,
    journeys: Sequence[Journey],
    rows: list[PlacedInteraction],
) -> tuple[list[Journey], list[str]]:
    """The journeys to emit and the journey ids to retract; interaction rows to write are appended to
    `rows`.
    """
    touched: set[str] = set()
    if len(journeys) == 1:
        only = journeys[0].journey_id
        for interaction in applied.placed.values():
            rows.append(PlacedInteraction(interaction, only))
            touched.add(only)
    elif applied.placed:
        starts = [journey.started_at for journey in journeys]
        for interaction in applied.placed.values():
            at = journeys[bisect_right(starts, interaction.occurred_at) - 1].journey_id
            rows.append(PlacedInteraction(interaction, at))
            touched.add(at)
    remembered = {one.journey_id: one for one in before.emitted} if before is not None else {}
    emitted: list[Journey] = []
    reshaped = applied.moved
    for journey in journeys:
        earlier = remembered.pop(journey.journey_id, None)
        if (
            earlier is None
            or earlier.interactions != journey.interactions
            or earlier.closed != journey.closed
        ):
            emitted.append(journey)
            reshaped = reshaped or (earlier is not None and earlier.interactions > journey.interactions)
        elif applied.moved or journey.journey_id in touched:
            emitted.append(journey)
    retracted = list(remembered)
    if applied.passing:
        standing = {journey.journey_id for journey in journeys}
        passed = {journey_id_of(timeline.customer, *identity) for identity in applied.passing}
        retracted.extend(sorted(passed - standing - remembered.keys()))
    if before is not None and (reshaped or remembered):
        _write_reshaped(before, applied, timeline.steps, journeys, rows)
    return emitted, retracted


def _write_reshaped(
    before: CustomerState,
    applied: Applied,
    steps: Sequence[Step],
    journeys: Sequence[Journey],
    rows: list[PlacedInteraction],
) -> None:
    """Rows of interactions that were there before and belong to another journey now (to any, after a
    move).
    """
    belonged: dict[Identity, str] = {}
    held = iter(before.steps)
    for earlier, count in zip(before.emitted, held_counts(before.emitted, before.carried), strict=True):
        for step in islice(held, count):
            belonged[step.identity] = earlier.journey_id
    index = 0
    for journey, count in zip(journeys, held_counts(journeys, before.carried), strict=True):
        following = index + count
        for step in steps[index:following]:
            identity = step.identity
            if identity in applied.placed:
                continue
            if applied.moved or belonged.get(identity) != journey.journey_id:
                rows.append(PlacedInteraction(step.interaction(), journey.journey_id))
        index = following
