"""One customer, one batch: the state before, what arrived and the clock give rows and the state after."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence, Set
from itertools import islice
from typing import NamedTuple

from schemas.interaction import Interaction, Micros
from schemas.records import Coordinates, Journey, PlacedInteraction
from streams.core.arrivals import Applied, apply_arrivals
from streams.core.journeys import evaluate, held_counts, journey_id_of
from streams.core.policy import JourneyPolicy
from streams.core.retention import dormant_at, retain
from streams.core.state import CustomerState, marks_of, pack_steps
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
    beyond: int = 0
    folded: int = 0
    placed: Sequence[Interaction] = ()
    """What was put on the timeline."""
    left: Sequence[Step] = ()
    """What left it in the end: dropped with a final journey, folded, or forgotten; in order."""
    removed: Sequence[Identity] = ()
    """What was taken off it, because it is somebody else's, or erased."""
    erased: bool = False
    """Whether the customer was forgotten: nothing of what it was before counts any more."""


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
    if not arrivals and (before is None or before.due is None or now < before.due):
        return Advance((), (), (), (), before)
    applied = apply_arrivals(before, arrivals, policy)
    rows = [PlacedInteraction(interaction, None, True) for interaction in applied.beyond]
    is_due = before is not None and before.due is not None and now >= before.due
    if applied.newest is None or not (applied.placed or applied.changed or is_due):
        return Advance(rows, (), (), applied.superseded, before, len(applied.beyond))
    clock = now if before is None or now > before.clock else before.clock
    timeline = Timeline(customer, applied.steps, before.carried if before is not None else ())
    journeys, next_due = evaluate(timeline, clock, policy)
    touched = _place(applied, journeys, rows)
    recut = before is not None and before.basis != policy.basis
    emitted, retracted = _difference(before, applied, touched, customer, journeys, policy)
    if before is not None and (retracted or applied.moved or recut):
        rows.extend(_reshaped(before, applied, journeys))
    beyond, placed = len(applied.beyond), tuple(applied.placed.values())
    if not (applied.changed or is_due or recut):
        return Advance(rows, emitted, retracted, applied.superseded, before, beyond)
    if (
        not applied.changed
        and before is not None
        and clock >= dormant_at(applied.newest, before.clock, policy)
    ):
        stub = _forget(applied.newest, clock, applied.floor, policy)
        return Advance(
            rows, emitted, retracted, applied.superseded, stub, beyond, 0, placed, tuple(applied.steps)
        )
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
        policy.basis,
        tuple(kept.journeys),
        len(kept.steps),
        pack_steps(kept.steps),
        tuple(kept.carried),
        marks_of(kept.steps),
    )
    left = tuple(applied.steps[: len(applied.steps) - len(kept.steps)])
    return Advance(rows, emitted, retracted, applied.superseded, state, beyond, kept.folded, placed, left)


def _forget(newest: Micros, clock: Micros, floor: Micros | None, policy: JourneyPolicy) -> CustomerState:
    """The stub of a customer whose journeys are all final: nothing may be added that could touch them."""
    final_until = newest + policy.gap
    final_until = final_until if floor is None else max(final_until, floor)
    return CustomerState(None, newest, clock, final_until, policy.basis)


def _place(applied: Applied, journeys: Sequence[Journey], rows: list[PlacedInteraction]) -> set[str]:
    """Append the rows of arrivals that are on the timeline; the ids of the journeys that they are in."""
    starts = [journey.started_at for journey in journeys]
    touched: set[str] = set()
    for interaction in (*applied.aside, *applied.placed.values()):
        journey_id = journeys[bisect_right(starts, interaction.occurred_at) - 1].journey_id
        rows.append(PlacedInteraction(interaction, journey_id))
        touched.add(journey_id)
    return touched


def _difference(
    before: CustomerState | None,
    applied: Applied,
    touched: Set[str],
    customer: str,
    journeys: Sequence[Journey],
    policy: JourneyPolicy,
) -> tuple[list[Journey], list[str]]:
    """The journeys to emit and the journey ids to retract."""
    remembered = {one.journey_id: one for one in before.journeys} if before is not None else {}
    emitted: list[Journey] = []
    for journey in journeys:
        earlier = remembered.pop(journey.journey_id, None)
        if applied.moved or journey.journey_id in touched or journey != earlier:
            emitted.append(journey)
    retracted = list(remembered)
    if applied.passing:
        standing = {journey.journey_id for journey in journeys}
        passed = {journey_id_of(customer, *identity, policy.id_key) for identity in applied.passing}
        retracted.extend(sorted(passed - standing - remembered.keys()))
    return emitted, retracted


def _reshaped(
    before: CustomerState, applied: Applied, journeys: Sequence[Journey]
) -> Iterator[PlacedInteraction]:
    """Rows of interactions that were there before and belong to another journey now (to any, after a move).

    Needed only after a move, a retraction or a change of policy. Where nothing but additions happened and every
    journey of before still stands under its id, each member is still together with the first of its journey.
    """
    belonged: dict[Identity, str] = {}
    held = iter(before.steps())
    for earlier, count in zip(before.journeys, held_counts(before.journeys, before.carried), strict=True):
        for step in islice(held, count):
            belonged[step.identity] = earlier.journey_id
    now_held = iter(applied.steps)
    for journey, count in zip(journeys, held_counts(journeys, before.carried), strict=True):
        for step in islice(now_held, count):
            if step.identity not in applied.placed and (
                applied.moved or belonged.get(step.identity) != journey.journey_id
            ):
                yield PlacedInteraction(step.interaction(), journey.journey_id)
