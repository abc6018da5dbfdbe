"""From readings to figures: medians with the least and the greatest, and ratios of medians."""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from bench.roads.stopwatch import Reading


class Spread(NamedTuple):
    """The median of some measurements, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises ValueError when there are none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(median(values), min(values), max(values))


class Figures(NamedTuple):
    """One contestant: records a second by the clock, and for each CPU second of its process."""

    by_clock: Spread
    by_cpu: Spread
    rounds: int


def figures(readings: Sequence[Reading]) -> Figures:
    """The figures of all rounds of a contestant."""
    return Figures(
        Spread.of([reading.records / reading.seconds for reading in readings]),
        Spread.of([reading.records / reading.cpu_seconds for reading in readings]),
        len(readings),
    )


class Goal(NamedTuple):
    """What was to be reached: `road` at least `factor` times `against` (None: that many a second), by the clock."""

    road: str
    factor: float
    against: str | None

    def verdict(self, measured: dict[str, Figures]) -> tuple[float, bool] | None:
        """The ratio that was measured and whether it suffices; None when one of the two was not measured."""
        if self.road not in measured or (self.against is not None and self.against not in measured):
            return None
        value = measured[self.road].by_clock.median
        if self.against is not None:
            value /= measured[self.against].by_clock.median
        return value, value >= self.factor


GOALS: Final = (
    Goal("touchline-count", 25, "faust"),
    Goal("touchline-count", 5, "quix"),
    Goal("touchline-count", 1, "bytewax"),
    Goal("pipeline", 20_000, None),
    Goal("pipeline-rules", 15_000, None),
)
"""Ratios of medians of one run, or medians that are compared with a figure."""
