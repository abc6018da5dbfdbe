"""All that is held of a customer as the rules see it, with the marks of last time and no interaction opened that nobody
asks for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from schemas.interaction import Interaction
from streams.core.detection.line import Traits
from streams.core.detection.remembered import Remembered
from streams.core.detection.ruleset import RuleSet
from streams.core.timeline import Step


class Opened:
    """The interactions of steps, each opened when it is asked for; `at_hand` are some that are open already."""

    def __init__(self, steps: Sequence[Step], at_hand: Mapping[int, Interaction]) -> None:
        self._steps = steps
        self._open: dict[int, Interaction] = dict(at_hand)

    def __getitem__(self, index: int, /) -> Interaction:
        """The interaction at a place from 0 on."""
        found = self._open.get(index)
        if found is None:
            found = self._open[index] = self._steps[index].interaction()
        return found

    def __iter__(self) -> Iterator[Interaction]:
        """All of them, opened."""
        return map(self.__getitem__, range(len(self._steps)))


class HeldLine(NamedTuple):
    """Everything held, in the timeline's order."""

    interactions: Opened
    traits: Traits
    grown: bool
    """Whether it is what was held before and the arrivals; False: something was replaced or taken away, or it cannot be
    told.
    """


def held_line(
    before: Remembered,
    steps: Sequence[Step],
    arrivals: Sequence[Interaction],
    fresh: Sequence[int],
    rules: RuleSet,
    marked: bool,
) -> HeldLine:
    """The line of `steps`: all that is held after `arrivals` with the marks `fresh` were put there.

    `marked` says that the marks in `before` are those of `rules`, for all that was held.
    """
    at = [step.occurred_at for step in steps]
    keys = [step.subjects for step in steps]
    if marked:
        earlier = unpacked(before.marks, rules)
        if len(earlier) + len(arrivals) == len(steps):
            return _grown(steps, at, keys, earlier, arrivals, fresh)
    opened = Opened(steps, {})
    marks = [rules.mark(one) for one in opened]
    return HeldLine(opened, Traits(at, marks, keys), False)


def _grown(
    steps: Sequence[Step],
    at: Sequence[int],
    keys: Sequence[tuple[str, ...]],
    earlier: list[int],
    arrivals: Sequence[Interaction],
    fresh: Sequence[int],
) -> HeldLine:
    """As many steps as there were and have arrived: so the arrivals stand among those of before, whose order stays."""
    if not arrivals:
        return HeldLine(Opened(steps, {}), Traits(at, earlier, keys), True)
    places = {(one.source, one.id): place for place, one in enumerate(arrivals)}
    at_hand: dict[int, Interaction] = {}
    marks: list[int] = []
    for index, step in enumerate(steps):
        place = places.get((step.source, step.id))
        # A final interaction may have come again with another time, as if new.
        if place is not None and arrivals[place].occurred_at == step.occurred_at:
            at_hand[index] = arrivals[place]
            marks.append(fresh[place])
        else:
            marks.append(earlier[index - len(at_hand)])
    return HeldLine(Opened(steps, at_hand), Traits(at, marks, keys), True)


def packed(marks: Sequence[int], rules: RuleSet) -> bytes:
    """Marks one behind the other, for the state."""
    width = rules.marker.bytes_a_mark
    return b"".join([mark.to_bytes(width, "big") for mark in marks])


def unpacked(value: bytes, rules: RuleSet) -> list[int]:
    """The inverse of `packed`."""
    width = rules.marker.bytes_a_mark
    return [int.from_bytes(value[start : start + width], "big") for start in range(0, len(value), width)]
