"""A customer's timeline as the rules see it: interactions and, for each, which conditions of the rule set it
fulfils. What several rules need is worked out once, when the first of them asks.
"""

from collections.abc import Sequence

from schemas.findings import Evidence, Identity, evidence_of
from schemas.interaction import Interaction, Micros
from streams.core.facets import subjects_of


class Line:
    """Interactions of one customer, sorted by position, at an instant.

    `marks` has for each interaction one bit a condition of the rule set; `union` is all of them together.
    """

    __slots__ = ("_keys", "at", "horizon", "interactions", "marks", "now", "union")

    def __init__(
        self, interactions: Sequence[Interaction], marks: Sequence[int], now: Micros, horizon: Micros
    ) -> None:
        self.interactions = interactions
        self.marks = marks
        self.now = now
        self.horizon = horizon
        self.at = [interaction.occurred_at for interaction in interactions]
        union = 0
        for mark in marks:
            union |= mark
        self.union = union
        self._keys: list[tuple[str, ...]] | None = None

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The subject keys of each interaction: `case:ID`, `order:ID`, `reason:a.b`, `thread:ID`."""
        if self._keys is None:
            self._keys = [subjects_of(interaction) for interaction in self.interactions]
        return self._keys

    def having(self, bit: int) -> list[int]:
        """The indices of the interactions that fulfil a condition."""
        return [index for index, mark in enumerate(self.marks) if mark & bit]

    def by_key(self, indices: Sequence[int]) -> dict[str, list[int]]:
        """Indices by subject key, in order."""
        keys = self.keys
        found: dict[str, list[int]] = {}
        for index in indices:
            for key in keys[index]:
                found.setdefault(key, []).append(index)
        return found

    def identity(self, index: int) -> Identity:
        """Who an interaction is."""
        interaction = self.interactions[index]
        return Identity(interaction.source, interaction.id)

    def evidence(self, index: int, fields: Sequence[str]) -> Evidence:
        """An interaction as evidence, with the values of the fields that are present."""
        interaction = self.interactions[index]
        return evidence_of(interaction, values_of(interaction, fields))


def values_of(interaction: Interaction, fields: Sequence[str]) -> dict[str, str]:
    """The values of fields as text, less what is absent. Derived fields tell nothing that is not in another."""
    values: dict[str, str] = {}
    for field in fields:
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
