"""How interactions become journeys, as data."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final
from zlib import crc32

from schemas.interaction import DAY, Micros

DEFINITIONS: Final = 1
"""Raise it when a column of a journey is defined anew: each customer is then evaluated whole at the next
touch.
"""


def key_mark(key: bytes) -> str:
    """What tells one key of ids from another without giving it away: nothing for none, so that what was made before
    there were keys stays as it is. ValueError for a key of more than 64 bytes.
    """
    return f" {blake2b(key=key, digest_size=8, person=b'mark of ids').hexdigest()}" if key else ""


@dataclass(frozen=True, slots=True)
class JourneyPolicy:
    """The three numbers that journeys depend on, and the key of their ids; spans are microseconds.

    `gap`: silence *strictly* longer than this ends a journey.
    `horizon`: how far behind a customer's newest interaction a late one may still change what is known.
    `max_interactions`: what one timeline holds; older interactions are folded into their journey's sums.
    `id_key`: the key that ids are derived under, so that nobody finds a customer by trying names; empty: none.
    """

    gap: Micros = 7 * DAY
    horizon: Micros = 30 * DAY
    max_interactions: int = 5_000
    id_key: bytes = field(default=b"", repr=False)
    basis: int = field(init=False, repr=False, compare=False)
    """A digest of what journeys are made by: these numbers, the definitions in force, and the key of ids."""

    def __post_init__(self) -> None:
        """Refuse spans and bounds that no journey could obey."""
        if self.gap <= 0 or self.horizon <= 0 or self.max_interactions < 1:
            raise ValueError("gap, horizon and max_interactions must be positive")
        told = f"{DEFINITIONS}/{self.gap}/{self.horizon}/{self.max_interactions}{key_mark(self.id_key)}"
        object.__setattr__(self, "basis", crc32(told.encode()))


DEFAULT_POLICY: Final = JourneyPolicy()
