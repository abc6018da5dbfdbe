"""Putting arrivals on a timeline, one after the other in the order of the log.

Every decision (stored, replaced, superseded, beyond the horizon) depends on the arrivals before it and on
nothing else, so it does not matter how the log is cut into batches.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from schemas.interaction import Interaction, Micros
from schemas.records import Coordinates
from streams.core.policy import JourneyPolicy
from streams.core.retention import first_kept
from streams.core.state import CustomerState
from streams.core.timeline import Identity, Step, coordinates_of, step_of


class Applied(NamedTuple):
    """A timeline after arrivals, and what became of each."""

    steps: Sequence[Step]
    newest: Micros | None
    floor: Micros | None
    sealed: int
    """So many of the first steps are due to be folded: the timeline holds more than it may."""
    placed: dict[Identity, Interaction]
    """Arrivals on the timeline whose rows are to be written: stored, replaced, or the very record once
    more.
    """
    aside: list[Interaction]
    """Arrivals that became final or were sealed before their identity came once more, as if new: rows, too."""
    beyond: list[Interaction]
    superseded: list[Coordinates]
    passing: list[Identity]
    """Interactions that began a journey after some arrival, perhaps not after the last one."""
    moved: bool
    """Whether an interaction left its place (a revision with another time)."""
    changed: bool
    """Whether the timeline differs from the one before."""


class _Line:
    """A timeline while arrivals are put on it; lives no longer than `apply_arrivals`."""

    def __init__(self, state: CustomerState | None, policy: JourneyPolicy, single: bool) -> None:
        self.policy = policy
        self.steps: list[Step] = state.steps() if state is not None else []
        self.newest = state.newest if state is not None else None
        self.floor = state.floor if state is not None else None
        self.carried_end = state.carried[-1].ended_at if state is not None and state.carried else None
        self.single = single
        self.sealed = 0
        self.passing: list[Identity] = []

    def is_kept(self, step: Step) -> bool:
        """Whether a held step may still be changed: neither sealed nor of a journey that is final."""
        newest = self.newest
        if newest is None or (
            not self.sealed and step.occurred_at >= newest - self.policy.horizon - self.policy.gap
        ):
            return True
        index = self.index_of(step)
        return index >= self.sealed and index >= first_kept(self.steps, newest, self.policy)

    def accepts(self, occurred_at: Micros) -> bool:
        """Whether an interaction of that time may join: not beyond the horizon."""
        newest = self.newest
        if newest is None or occurred_at >= newest:
            return self.floor is None or occurred_at > self.floor
        if self.floor is not None and occurred_at <= self.floor:
            return False
        if occurred_at >= newest - self.policy.horizon:
            return True
        kept = first_kept(self.steps, newest, self.policy)
        return kept < len(self.steps) and occurred_at >= self.steps[kept].occurred_at

    def index_of(self, step: Step) -> int:
        """Where a step stands, or would stand."""
        return bisect_left(self.steps, step.position, key=_position)

    def insert(self, step: Step) -> None:
        """Put a step in its place; seal the oldest one when there are too many."""
        steps = self.steps
        if not steps or step.occurred_at > steps[-1].occurred_at:
            index = len(steps)
            steps.append(step)
        else:
            index = self.index_of(step)
            steps.insert(index, step)
        if self.newest is None or step.occurred_at > self.newest:
            self.newest = step.occurred_at
        if not self.single:
            self.note_beginning(index)
        if len(steps) - self.sealed > self.policy.max_interactions:
            sealed_until = steps[self.sealed].occurred_at
            self.sealed += 1
            if self.floor is None or sealed_until > self.floor:
                self.floor = sealed_until

    def remove(self, step: Step) -> None:
        """Take a step away; the one behind it may begin a journey now."""
        index = self.index_of(step)
        del self.steps[index]
        if index < len(self.steps):
            self.note_beginning(index)

    def replace(self, step: Step, by: Step) -> None:
        """Put a later revision in the place of an earlier one of the same time."""
        self.steps[self.index_of(step)] = by

    def note_beginning(self, index: int) -> None:
        """Remember the step if it begins a journey as things stand."""
        step = self.steps[index]
        before = self.steps[index - 1].occurred_at if index else self.carried_end
        if before is None or step.occurred_at - before > self.policy.gap:
            self.passing.append((step.source, step.id))


def _position(step: Step) -> tuple[Micros, str, str]:
    return step.occurred_at, step.source, step.id


def apply_arrivals(
    state: CustomerState | None, arrivals: Sequence[Interaction], policy: JourneyPolicy
) -> Applied:
    """Put one customer's arrivals, in the order of the log, on the timeline of `state`.

    The same identity with a higher revision replaces: the earlier record is superseded. With a lower or
    equal one the arrival is superseded, unless it is the very record that is held (redelivery): then only
    its row is written again. An arrival beyond the horizon is left out; such a one cannot be recognised when
    it comes again.

    An identity that is final, folded or forgotten is no longer known: its later revision counts as a new interaction,
    beyond the horizon unless it names a time that is not.
    """
    line = _Line(state, policy, single=len(arrivals) == 1)
    known = {(step.source, step.id): step for step in line.steps}
    placed: dict[Identity, Interaction] = {}
    aside: list[Interaction] = []
    beyond: list[Interaction] = []
    superseded: list[Coordinates] = []
    moved = changed = False
    for arrival in arrivals:
        identity = (arrival.source, arrival.id)
        held = known.get(identity)
        if held is not None and line.is_kept(held):
            stored = placed.get(identity) or held.interaction()
            if arrival.revision <= held.revision:
                if coordinates_of(arrival) == coordinates_of(stored):
                    placed[identity] = stored
                else:
                    superseded.append(coordinates_of(arrival))
                continue
            superseded.append(coordinates_of(stored))
            changed = True
            if arrival.occurred_at == held.occurred_at:
                step = step_of(arrival)
                line.replace(held, step)
                known[identity] = step
                placed[identity] = arrival
                continue
            moved = True
            line.remove(held)
            del known[identity]
            placed.pop(identity, None)
        if not line.accepts(arrival.occurred_at):
            beyond.append(arrival)
            continue
        changed = True
        settled = placed.pop(identity, None)
        if settled is not None:
            aside.append(settled)
        step = step_of(arrival)
        line.insert(step)
        known[identity] = step
        placed[identity] = arrival
    return Applied(
        line.steps,
        line.newest,
        line.floor,
        line.sealed,
        placed,
        aside,
        beyond,
        superseded,
        line.passing,
        moved,
        changed,
    )
