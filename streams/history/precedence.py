"""Of several tellings of one interaction in files and in what stands, whomever they name, one counts: the highest
revision; of equal ones the one that stands, else the first line.
"""

from typing import Final

from schemas.interaction import Interaction
from streams.history.standing import Key

_LINES: Final = 44
"""Bits of a rank below the revision: for so many lines, and one to say that it stood."""
_STANDING: Final = 1 << (_LINES - 1)


class Precedence:
    """Which telling of each interaction counts, as far as they are known."""

    def __init__(self) -> None:
        self._best: dict[Key, int] = {}
        self._begins: dict[str, int] = {}

    def begin(self, source: str, lines: int) -> None:
        """A source of this name begins after so many lines of others."""
        self._begins[source] = lines

    def read(self, interaction: Interaction) -> None:
        """A line of a source that has begun tells it."""
        rank, known = self._rank(interaction), self._best.get(interaction.key)
        if known is None or rank > known:
            self._best[interaction.key] = rank

    def told(self) -> list[Key]:
        """Whatever was told so far."""
        return list(self._best)

    def stand(self, interaction: Interaction) -> bool:
        """It stands; whether that counts. Not where it came from the very line that counts."""
        known = self._best.get(interaction.key)
        counts = known is None or (
            known >> _LINES <= interaction.revision and not self._is_of(interaction, known)
        )
        if counts:
            self._best[interaction.key] = (interaction.revision << _LINES) + _STANDING
        return counts

    def counts(self, interaction: Interaction) -> bool:
        """Whether it is this line that counts."""
        return self._best[interaction.key] == self._rank(interaction)

    def stands(self, interaction: Interaction) -> bool:
        """Whether no line counts, but what stood."""
        return self._best[interaction.key] & _STANDING > 0

    def _rank(self, interaction: Interaction) -> int:
        line = self._begins[interaction.topic] + interaction.offset
        return (interaction.revision << _LINES) + _STANDING - 1 - line

    def _is_of(self, interaction: Interaction, rank: int) -> bool:
        """Whether what stands came from the line that has this rank."""
        return interaction.topic in self._begins and self._rank(interaction) == rank
