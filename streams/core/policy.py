"""How interactions become journeys, as data."""

from dataclasses import dataclass
from typing import Final

from schemas.interaction import DAY, Micros


@dataclass(frozen=True, slots=True)
class JourneyPolicy:
    """The three numbers that journeys depend on; spans are microseconds.

    `gap`: silence *strictly* longer than this ends a journey.
    `horizon`: how far behind a customer's newest interaction a late one may still change what is known.
    `max_interactions`: what one timeline holds; older interactions are folded into their journey's sums.
    """

    gap: Micros = 7 * DAY
    horizon: Micros = 30 * DAY
    max_interactions: int = 5_000

    def __post_init__(self) -> None:
        """Refuse spans and bounds that no journey could obey."""
        if self.gap <= 0 or self.horizon <= 0 or self.max_interactions < 1:
            raise ValueError("gap, horizon and max_interactions must be positive")


DEFAULT_POLICY: Final = JourneyPolicy()
