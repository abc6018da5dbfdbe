"""What a timeline keeps, and what of it is final.

With `newest` the greatest `occurred_at` of a customer, a journey is *kept* while it ends at or after
`newest - horizon - gap`. An arrival is accepted from `newest - horizon` on, or from the start of the
earliest kept journey on. Either is more than `gap` after the end of any journey that is not kept, so nothing
accepted can touch one: those journeys are final, and dropping them cannot show. Whether they have been
dropped yet is never asked.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from schemas.interaction import Micros
from schemas.records import Journey
from streams.core.journeys import evaluate, held_counts
from streams.core.policy import JourneyPolicy
from streams.core.timeline import Step, Timeline


class Retained(NamedTuple):
    """What is left of a timeline; `journeys` are those of `carried` and `steps` together."""

    steps: Sequence[Step]
    carried: Sequence[Journey]
    journeys: Sequence[Journey]
    floor: Micros | None
    folded: int
    """Interactions that went from the held ones into the carried sums."""


def first_kept(steps: Sequence[Step], newest: Micros, policy: JourneyPolicy) -> int:
    """The index of the first step of the earliest kept journey; `len(steps)` when no journey is kept."""
    gap = policy.gap
    index = bisect_left(steps, newest - policy.horizon - gap, key=_occurred_at)
    if index == len(steps):
        return index
    while index and steps[index].occurred_at - steps[index - 1].occurred_at <= gap:
        index -= 1
    return index


def dormant_at(newest: Micros, clock: Micros, policy: JourneyPolicy) -> Micros:
    """When a customer of whom nothing is heard is forgotten: all its journeys have closed by then.

    It counts from the clock of the last change when that is later than `newest`: somebody whose old events
    are being read today is not forgotten between two batches.
    """
    return (newest if newest > clock else clock) + policy.horizon + policy.gap + 1


def retain(
    timeline: Timeline,
    journeys: Sequence[Journey],
    *,
    newest: Micros,
    floor: Micros | None,
    sealed: int,
    now: Micros,
    policy: JourneyPolicy,
) -> Retained:
    """Drop the journeys that are final and closed, then fold the sealed steps into sums.

    `journeys` is `evaluate(timeline, now, policy).journeys`. A final journey that the clock has not closed
    yet stays.
    """
    customer, steps, carried = timeline
    final_before = newest - policy.horizon - policy.gap
    if not journeys or (sealed == 0 and (journeys[0].ended_at >= final_before or not journeys[0].closed)):
        return Retained(steps, carried, journeys, floor, 0)
    gone = held = 0
    for journey, count in zip(journeys, held_counts(journeys, carried), strict=True):
        if journey.ended_at >= final_before or not journey.closed:
            break
        gone += 1
        held += count
        settled = journey.ended_at + policy.gap
        floor = settled if floor is None or settled > floor else floor
    journeys = journeys[gone:]
    carried = carried[gone:]
    steps = steps[held:]
    fold = max(0, sealed - held)
    if fold:
        sums = evaluate(Timeline(customer, steps[:fold], carried), now, policy).journeys
        carried = sums
        steps = steps[fold:]
    return Retained(steps, carried, journeys, floor, fold)


def _occurred_at(step: Step) -> Micros:
    return step.occurred_at
