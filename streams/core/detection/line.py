"""A customer's timeline as the rules see it: interactions and, for each, which conditions of the rule set it
fulfils.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from schemas.findings import Evidence, Identity, evidence_of
from schemas.interaction import Interaction, Micros


class Traits(NamedTuple):
    """What detection reads of each interaction before it opens any: its time, the conditions of the rule set
    that it fulfils (`RuleSet.mark`), its subject keys. It depends on the interaction and the set alone.
    """

    at: Sequence[Micros]
    marks: Sequence[int]
    keys: Sequence[tuple[str, ...]]
    """`case:ID`, `order:ID`, `reason:a.b`, `thread:ID` (`streams.core.facets.subjects_of`)."""


class Interactions(Protocol):
    """Interactions to be had one at a time, in the order of the timeline: a list of them, or what opens them then."""

    def __getitem__(self, index: int, /) -> Interaction:
        """The interaction at a place from 0 on."""
        ...

    def __iter__(self) -> Iterator[Interaction]:
        """All of them."""
        ...


class Line:
    """Interactions of one customer, sorted by position, at an instant. `union` is all their marks together.
    `expects_before`: expectations are asked for of what occurred before it alone; None: of all.

    What several rules ask for is worked out when the first of them asks.
    """

    __slots__ = (
        "_by_key",
        "_having",
        "at",
        "expects_before",
        "horizon",
        "interactions",
        "keys",
        "marks",
        "now",
        "union",
    )

    def __init__(
        self,
        interactions: Interactions,
        traits: Traits,
        now: Micros,
        horizon: Micros,
        expects_before: Micros | None = None,
    ) -> None:
        self.interactions = interactions
        self.at, self.marks, self.keys = traits
        self.now = now
        self.horizon = horizon
        self.expects_before = expects_before
        union = 0
        for mark in self.marks:
            union |= mark
        self.union = union
        self._having: dict[int, list[int]] = {}
        self._by_key: dict[int, dict[str, list[int]]] = {}

    def asks_for(self, index: int) -> bool:
        """Whether it is to be told that something is expected of an interaction."""
        return self.expects_before is None or self.at[index] < self.expects_before

    def having(self, bits: int) -> list[int]:
        """The indices of the interactions that fulfil one of the conditions."""
        found = self._having.get(bits)
        if found is None:
            found = self._having[bits] = [index for index, mark in enumerate(self.marks) if mark & bits]
        return found

    def by_key(self, bits: int) -> dict[str, list[int]]:
        """The same by subject key."""
        found = self._by_key.get(bits)
        if found is None:
            found = self._by_key[bits] = {}
            keys = self.keys
            for index in self.having(bits):
                for key in keys[index]:
                    if key in found:
                        found[key].append(index)
                    else:
                        found[key] = [index]
        return found

    def identity(self, index: int) -> Identity:
        """Who an interaction is."""
        interaction = self.interactions[index]
        return Identity(interaction.source, interaction.id)

    def evidence(self, index: int, fields: Sequence[str]) -> Evidence:
        """An interaction as evidence, with the values of the fields that are present."""
        interaction = self.interactions[index]
        return evidence_of(interaction, values_of(interaction, fields))


def share(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two interactions with these keys are about the same subject: they have one in common."""
    for key in one:  # noqa: SIM110 - a generator would cost more than the comparisons
        if key in other:
            return True
    return False


def values_of(interaction: Interaction, fields: Sequence[str]) -> dict[str, str]:
    """The values of fields as text, less what is absent. Derived fields tell nothing that is not in another."""
    values: dict[str, str] = {}
    for field in fields:
        value: object
        if field.startswith("attributes."):
            value = interaction.attributes.get(field[11:])
        else:
            value = getattr(interaction, field, None)
        if value is not None:
            values[field] = written(value)
    return values


def written(value: object) -> str:
    """A value of the contract as text: true and false, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
