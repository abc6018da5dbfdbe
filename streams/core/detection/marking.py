"""Which conditions of a rule set an interaction fulfils, at the price of looking at its shape.

Conditions read words (a type, an outcome), ask whether something is there, and compare amounts. Interactions of one
type with the same words and the same fields present fulfil the same conditions, save those that compare an amount that
is there: so all the others are worked out once for each such shape.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from schemas.interaction import Interaction
from schemas.vocabulary import INTERACTION_TYPES
from streams.core.detection.conditions import Condition, Test, reader_of

SHAPES_REMEMBERED: Final = 4_096
"""Words of a closed vocabulary make some dozens of shapes; a rule about one case id makes as many as there are ids."""


class Marking(NamedTuple):
    """What a shape says: the bits of the conditions that it fulfils, and those that amounts decide."""

    mark: int
    undecided: tuple[tuple[int, Test], ...]


class Marker:
    """Marks interactions: the condition at place N has the bit `1 << N`. Of each type so many shapes are remembered."""

    def __init__(self, conditions: Sequence[Condition], shapes: int = SHAPES_REMEMBERED) -> None:
        numbered = [(1 << place, condition) for place, condition in enumerate(conditions)]
        self.bytes_a_mark: Final = max(1, (len(conditions) + 7) // 8)
        self._of_type: Final = {
            kind: _OfType(
                [(bit, one) for bit, one in numbered if one.types is None or kind in one.types], shapes
            )
            for kinds in INTERACTION_TYPES.values()
            for kind in kinds
        }

    def mark(self, interaction: Interaction) -> int:
        """The bits of the conditions that an interaction fulfils."""
        return self._of_type[interaction.type].mark(interaction)


class _OfType:
    """The conditions that interactions of one type can fulfil."""

    def __init__(self, conditions: Sequence[tuple[int, Condition]], shapes: int) -> None:
        self._conditions: Final = conditions
        self._at_most: Final = shapes
        words = frozenset[str]().union(*(one.words for _, one in conditions))
        told = frozenset[str]().union(*(one.presences | one.amounts for _, one in conditions))
        plain = sorted(name for name in words if not name.startswith("attributes."))
        free = sorted(words.difference(plain))
        self._free: Final[list[Callable[[Interaction], Any]]] = [reader_of(name)[0] for name in free]
        self._present: Final = sorted(told)
        # Two fields more, so that what is read is a tuple whatever the rules are.
        self._words: Final = attrgetter("type", "channel", *plain)
        self._optional: Final = attrgetter("unnormalised", "attributes", *self._present)
        self._shapes: Final[dict[tuple[Any, ...], Marking]] = {}

    def mark(self, interaction: Interaction) -> int:
        """The bits of the conditions that an interaction of the type fulfils."""
        words: tuple[Any, ...] = self._words(interaction)
        present = 0
        for value in self._optional(interaction):
            present = present + present + (value is not None)
        shape: tuple[Any, ...] = (present, words)
        if self._free:
            shape = (present, words, *[read(interaction) for read in self._free])
        marking = self._shapes.get(shape)
        if marking is None:
            marking = self._marking(interaction)
            if len(self._shapes) >= self._at_most:
                self._shapes.clear()
            self._shapes[shape] = marking
        mark = marking.mark
        for bit, holds in marking.undecided:
            if holds(interaction):
                mark |= bit
        return mark

    def _marking(self, interaction: Interaction) -> Marking:
        there = frozenset(name for name in self._present if getattr(interaction, name) is not None)
        undecided = [(bit, one) for bit, one in self._conditions if one.amounts & there]
        mark = 0
        for bit, one in self._conditions:
            if not one.amounts & there and one.holds(interaction):
                mark |= bit
        return Marking(mark, tuple((bit, one.holds) for bit, one in undecided))
