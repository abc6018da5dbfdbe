"""What arrives later than all that was known of a customer, put in the timeline's order."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from schemas.interaction import Interaction, Micros
from schemas.records import Coordinates
from streams.core.marks import identity_mark
from streams.core.policy import JourneyPolicy
from streams.core.step import Identity, Step
from streams.core.timeline import coordinates_of, step_of


class Tail(NamedTuple):
    """What arrivals add at the end of a timeline."""

    steps: list[Step]
    """In the timeline's order, as are their `marks`."""
    marks: list[bytes]
    placed: dict[bytes, Interaction]
    """By mark, in the order in which they came."""
    superseded: list[Coordinates]
    begun: list[Identity]
    """Interactions that began a journey after some arrival."""
    shifted: bool
    """Whether one came before another that was there already, so that `begun` need not begin anything now."""


def tail_of(
    arrivals: Sequence[Interaction],
    after: Micros | None,
    ended: Micros | None,
    marks: bytes,
    policy: JourneyPolicy,
) -> Tail | None:
    """Put arrivals, in the order of the log, behind a timeline of which nothing is later than `after`.

    Its last journey ended at `ended`, `marks` are those of its steps. None where the order alone does not decide: an
    arrival that is not later than `after`, is perhaps held already, moves another one in time, or is more than the
    horizon behind one.
    """
    gap, horizon = policy.gap, policy.horizon
    steps: list[Step] = []
    fresh: list[bytes] = []
    placed: dict[bytes, Interaction] = {}
    superseded: list[Coordinates] = []
    begun: list[Identity] = []
    shifted = False
    newest: Micros | None = None
    for arrival in arrivals:
        occurred_at = arrival.occurred_at
        if after is not None and occurred_at <= after:
            return None
        mark = identity_mark(arrival.source, arrival.id)
        if mark in marks:
            return None
        if mark in placed:
            index = fresh.index(mark)
            twin = steps[index]
            if twin.id != arrival.id or twin.source != arrival.source:
                return None
            if newest is not None and twin.occurred_at < newest - horizon - gap:
                return None
            stored = placed[mark]
            if arrival.revision > twin.revision:
                if occurred_at != twin.occurred_at:
                    return None
                superseded.append(coordinates_of(stored))
                steps[index] = step_of(arrival)
                placed[mark] = arrival
            elif coordinates_of(arrival) != coordinates_of(stored):
                superseded.append(coordinates_of(arrival))
            continue
        if newest is None or occurred_at > newest:
            newest = occurred_at
            index = len(steps)
            steps.append(step_of(arrival))
            fresh.append(mark)
        else:
            if occurred_at < newest - horizon:
                return None
            index = bisect_left(steps, (occurred_at, arrival.source, arrival.id), key=_position)
            shifted = shifted or index < len(steps)
            steps.insert(index, step_of(arrival))
            fresh.insert(index, mark)
        previous = steps[index - 1].occurred_at if index else ended
        if previous is None or occurred_at - previous > gap:
            begun.append((arrival.source, arrival.id))
        placed[mark] = arrival
    return Tail(steps, fresh, placed, superseded, begun, shifted)


def _position(step: Step) -> tuple[Micros, str, str]:
    return step.occurred_at, step.source, step.id
