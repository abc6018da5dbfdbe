"""The common case made cheap: whatever comes is later than all that was known of its customer before the batch.

It can only lengthen the last journey or begin others, and time can only close journeys. So the sums are carried on
instead of adding up the whole timeline, and the held steps are not even decoded. Among themselves the arrivals may come
in any order, repeated and revised. The result is that of `advance_customer`, to the byte (laws in tests/properties);
whenever that is not plain to see, `append` declines.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from schemas.interaction import Interaction, Micros
from schemas.records import Journey, PlacedInteraction
from streams.core.advance import Advance
from streams.core.journeys import add_up, journey_id_of
from streams.core.marks import marks_of
from streams.core.policy import JourneyPolicy
from streams.core.retention import dormant_at, retain
from streams.core.state import CustomerState, pack_steps
from streams.core.step import Identity, Step
from streams.core.tail import tail_of
from streams.core.timeline import Timeline


def append(
    customer: str,
    before: CustomerState | None,
    arrivals: Sequence[Interaction],
    now: Micros,
    policy: JourneyPolicy,
) -> Advance | None:
    """What `advance_customer(customer, before, arrivals, now, policy)` gives, or None: ask that one.

    It declines when an arrival is not later than what was known, is perhaps held already, moves another one in time, or
    is more than the horizon behind one; and a timeline that is full, partly folded (what was folded may have come once
    more, so that two journeys have one id), forgotten or due to be, or made under another policy.
    """
    if before is None:
        if not arrivals:
            return None
        clock = now
        known: tuple[Journey, ...] = ()
        tail = tail_of(arrivals, None, None, b"", policy)
    else:
        known = before.journeys
        due = before.due
        if due is None or not known or before.carried or before.basis != policy.basis:
            return None
        clock = before.clock if before.clock > now else now
        if not arrivals:
            return _close(customer, before, due, now, clock, policy)
        after = before.newest
        if before.floor is not None and before.floor > after:
            after = before.floor
        tail = tail_of(arrivals, after, known[-1].ended_at, before.marks, policy)
    if tail is None:
        return None
    steps = tail.steps
    gap = policy.gap
    newest = steps[-1].occurred_at
    continued = known[-1] if known and steps[0].occurred_at - known[-1].ended_at <= gap else None
    journeys, emitted = _as_of(customer, known if continued is None else known[:-1], clock, policy)
    grown = _grow(customer, continued, steps, clock, policy)
    journeys += grown
    emitted += grown
    state: CustomerState
    left: Sequence[Step] = ()
    next_due = _next_due(journeys, newest, clock, policy)
    if before is None:
        if len(steps) > policy.max_interactions or _drops(journeys, newest, policy):
            return None
        state = CustomerState(
            next_due, newest, clock, None, policy.basis, tuple(journeys),
            len(steps), pack_steps(steps), (), b"".join(tail.marks),
        )  # fmt: skip
    elif before.held + len(steps) > policy.max_interactions:
        return None
    elif not _drops(journeys, newest, policy):
        state = CustomerState(
            next_due, newest, clock, before.floor, policy.basis, tuple(journeys),
            before.held + len(steps), before.packed + pack_steps(steps),
            (), before.marks + b"".join(tail.marks),
        )  # fmt: skip
    else:
        whole = [*before.steps(), *steps]
        kept = retain(
            Timeline(customer, whole),
            journeys,
            newest=newest,
            floor=before.floor,
            sealed=0,
            now=clock,
            policy=policy,
        )
        left = tuple(whole[: len(whole) - len(kept.steps)])
        state = CustomerState(
            next_due, newest, clock, kept.floor, policy.basis, tuple(kept.journeys),
            len(kept.steps), pack_steps(kept.steps), (), marks_of(kept.steps),
        )  # fmt: skip
    retracted: Sequence[str] = _passed(customer, tail.begun, journeys, policy) if tail.shifted else ()
    placed = tuple(tail.placed.values())
    rows = _rows(placed, grown)
    return Advance(rows, emitted, retracted, tail.superseded, state, 0, 0, placed, left)


def _as_of(
    customer: str, known: Sequence[Journey], clock: Micros, policy: JourneyPolicy
) -> tuple[list[Journey], list[Journey]]:
    """The journeys as they stand at `clock` with nothing added, and those that have closed since."""
    journeys: list[Journey] = []
    closed: list[Journey] = []
    for journey in known:
        if not journey.closed and clock - journey.ended_at > policy.gap:
            ended = add_up(customer, journey, (), clock, policy)
            closed.append(ended)
            journeys.append(ended)
        else:
            journeys.append(journey)
    return journeys, closed


def _grow(
    customer: str, continued: Journey | None, steps: Sequence[Step], clock: Micros, policy: JourneyPolicy
) -> list[Journey]:
    """The journeys that steps are in; the first ones lengthen `continued`."""
    grown: list[Journey] = []
    start = 0
    ended = steps[0].occurred_at
    for index, step in enumerate(steps):
        if step.occurred_at - ended > policy.gap:
            grown.append(add_up(customer, continued, steps[start:index], clock, policy))
            continued = None
            start = index
        ended = step.occurred_at
    grown.append(add_up(customer, continued, steps[start:] if start else steps, clock, policy))
    return grown


def _close(
    customer: str, before: CustomerState, due: Micros, now: Micros, clock: Micros, policy: JourneyPolicy
) -> Advance | None:
    """Nothing came, and time has closed journeys."""
    newest = before.newest
    if now < due or clock >= dormant_at(newest, before.clock, policy):
        return None
    journeys, closed = _as_of(customer, before.journeys, clock, policy)
    if _drops(journeys, newest, policy):
        return None
    state = CustomerState(
        _next_due(journeys, newest, clock, policy), newest, clock, before.floor, policy.basis, tuple(journeys),
        before.held, before.packed, (), before.marks,
    )  # fmt: skip
    return Advance((), closed, (), (), state)


def _drops(journeys: Sequence[Journey], newest: Micros, policy: JourneyPolicy) -> bool:
    """Whether `retain` would drop something."""
    first = journeys[0]
    return first.closed and first.ended_at < newest - policy.horizon - policy.gap


def _next_due(journeys: Iterable[Journey], newest: Micros, clock: Micros, policy: JourneyPolicy) -> Micros:
    """When the first open journey closes; without one, when the customer is forgotten."""
    for journey in journeys:
        if not journey.closed:
            return journey.ended_at + policy.gap + 1
    return dormant_at(newest, clock, policy)


def _passed(
    customer: str, begun: Iterable[Identity], journeys: Iterable[Journey], policy: JourneyPolicy
) -> list[str]:
    """Ids of journeys that only stood between two arrivals: a run that ended there emitted them."""
    passed = {journey_id_of(customer, identity[0], identity[1], policy.id_key) for identity in begun}
    return sorted(passed - {journey.journey_id for journey in journeys})


def _rows(placed: Iterable[Interaction], grown: Sequence[Journey]) -> list[PlacedInteraction]:
    """The rows of arrivals, each with its journey."""
    if len(grown) == 1:
        journey_id = grown[0].journey_id
        return [PlacedInteraction(arrival, journey_id) for arrival in placed]
    starts = [journey.started_at for journey in grown]
    return [
        PlacedInteraction(arrival, grown[bisect_right(starts, arrival.occurred_at) - 1].journey_id)
        for arrival in placed
    ]
