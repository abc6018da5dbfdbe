"""Taking interactions off a timeline, or all of a customer: what is left, and what has to be said of it."""

from collections.abc import Collection, Sequence
from itertools import islice

from schemas.interaction import Micros
from schemas.links import Name
from schemas.records import Journey, PlacedInteraction
from streams.core.advance import Advance, advance_customer
from streams.core.journeys import evaluate, held_counts, journey_id_of
from streams.core.policy import JourneyPolicy
from streams.core.retention import dormant_at
from streams.core.state import CustomerState, marks_of, pack_steps
from streams.core.timeline import Identity, Step, Timeline


def depart(
    customer: Name,
    before: CustomerState,
    leaving: Collection[Identity],
    now: Micros,
    policy: JourneyPolicy,
) -> Advance:
    """Take the interactions `leaving` away and evaluate the rest, as if they had never been there.

    Everything that is left is written again, since a run that crashed may have written it in another shape. What is
    final already (dropped, or folded into sums) cannot leave; see docs/adr/0004-identity.md. A state of None means
    that nothing is left to remember.
    """
    held = before.steps()
    steps = [step for step in held if step.identity not in leaving]
    if len(steps) == len(held):
        return Advance((), (), (), (), before)
    removed = [step.identity for step in held if step.identity in leaving]
    clock = max(now, before.clock)
    known = [step.occurred_at for step in steps[-1:]]
    known += [journey.ended_at for journey in before.carried]
    if before.floor is not None:
        known.append(before.floor - policy.gap)
    if not known:
        return Advance((), (), [journey.journey_id for journey in before.journeys], (), None, removed=removed)
    newest = max(known)
    journeys, due = evaluate(Timeline(customer, steps, before.carried), clock, policy)
    standing = {journey.journey_id for journey in journeys}
    retracted = [journey.journey_id for journey in before.journeys if journey.journey_id not in standing]
    rows = placed(steps, journeys, before.carried)
    state = CustomerState(
        (due if due is not None else dormant_at(newest, clock, policy)) if journeys else None,
        newest,
        clock,
        before.floor,
        policy.basis,
        journeys,
        len(steps),
        pack_steps(steps),
        before.carried,
        marks_of(steps),
    )
    return Advance(rows, journeys, retracted, (), state, removed=removed)


def erase(
    customer: Name,
    before: CustomerState,
    leaving: Collection[Identity],
    now: Micros,
    policy: JourneyPolicy,
) -> Advance:
    """Forget a customer: what is left without the interactions `leaving` is evaluated as if it were all there ever was.

    Unlike in `depart`, sums and whatever else was made of interactions that are not held any more go, too.
    """
    held = before.steps()
    kept = [step.interaction() for step in held if step.identity not in leaving]
    removed = [step.identity for step in held if step.identity in leaving]
    fresh = Advance((), (), (), (), None)
    if kept:
        fresh = advance_customer(customer, None, kept, max(now, before.clock), policy)
    gone = {*fresh.retracted, *(journey.journey_id for journey in before.journeys)}
    gone.difference_update(journey.journey_id for journey in fresh.journeys)
    return fresh._replace(retracted=sorted(gone), removed=removed, erased=True)


def followed_by(first: Advance, second: Advance) -> Advance:
    """Two advances of one customer in one batch as one: of what both say, the second counts."""
    journeys = {journey.journey_id: journey for journey in (*first.journeys, *second.journeys)}
    gone = {*first.retracted, *second.retracted} - {journey.journey_id for journey in second.journeys}
    rows = {row.interaction.key: row for row in (*first.interactions, *second.interactions)}
    return Advance(
        list(rows.values()),
        [journey for journey in journeys.values() if journey.journey_id not in gone],
        sorted(gone),
        [*first.superseded, *second.superseded],
        second.state,
        first.beyond + second.beyond,
        first.folded + second.folded,
        [*first.placed, *second.placed],
        [*first.left, *second.left],
        [*first.removed, *second.removed],
        first.erased or second.erased,
    )


def rewrite(
    customer: Name, before: CustomerState | None, seen: Collection[Identity], policy: JourneyPolicy
) -> Advance:
    """Write a customer's rows again, all of them, after another run may have written others and died.

    `seen` are the interactions that run may have seen: those held before this batch, and those that arrive or are
    refused in it. Each may have begun a journey there that it does not begin here; that journey is retracted.
    """
    begun = {journey_id_of(customer, *identity, policy.id_key) for identity in seen}
    if before is None:
        return Advance((), (), sorted(begun), (), None)
    standing = {journey.journey_id for journey in before.journeys}
    rows = placed(before.steps(), before.journeys, before.carried)
    return Advance(rows, before.journeys, sorted(begun - standing), (), before)


def placed(
    steps: Sequence[Step], journeys: Sequence[Journey], carried: Sequence[Journey]
) -> list[PlacedInteraction]:
    """The rows of held steps, each with its journey."""
    line = iter(steps)
    return [
        PlacedInteraction(step.interaction(), journey.journey_id)
        for journey, count in zip(journeys, held_counts(journeys, carried), strict=True)
        for step in islice(line, count)
    ]
