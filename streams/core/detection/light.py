"""The light: green, yellow or red, for a customer and for each channel.

Every finding that was not withdrawn adds its weight, halved every half-life since it was raised; one severe finding
is red at once, many small ones add up. A light goes up when its score reaches a threshold and goes down only when it
has fallen by a share below it, so that it does not flicker. It is a function of the findings and the
instant: a withdrawn finding leaves it as if it had never been.

Points are whole thousandths, so that the lines sum to the score exactly. Age counts in minutes of the clock, so that
all findings fade at the same instants.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp2, floor, log2
from typing import Final

from schemas.findings import ChannelLight, Colour, Contribution, Finding, Light
from schemas.interaction import DAY, SECOND, Micros
from schemas.records import Fading
from schemas.vocabulary import CHANNELS
from streams.core.detection.draft import earliest

POINT: Final = 1_000
MINUTE: Final = 60 * SECOND


@dataclass(frozen=True, slots=True)
class LightPolicy:
    """`yellow` and `red` in points; `hysteresis` is the share by which a score must fall below a threshold before the
    light goes down; `half_life` in microseconds.
    """

    half_life: Micros = 14 * DAY
    yellow: float = 3.0
    red: float = 9.0
    hysteresis: float = 0.25

    def __post_init__(self) -> None:
        """Refuse lights that make no sense."""
        if not (0 < self.yellow < self.red and 0 <= self.hysteresis < 1 and self.half_life > 0):
            raise ValueError("a light needs 0 < yellow < red, 0 <= hysteresis < 1 and a half-life above zero")

    @property
    def memory(self) -> Micros:
        """After so long a finding of weight 10 adds less than a thousandth of a point."""
        return 20 * self.half_life

    @property
    def fading(self) -> Fading:
        """How a light goes out by itself, for whoever shows it later."""
        yellow, red = self._down()
        return Fading(self.half_life, yellow, red)

    def adding(self, finding: Finding) -> "Adding":
        """What a finding adds at first, in thousandths (a severe one never less than red takes), and since which
        minute.
        """
        weight = max(finding.weight, self.red) if finding.severity == "severe" else finding.weight
        return weight * POINT, finding.raised_at // MINUTE

    def score(self, adding: Sequence["Adding"], minute: int) -> int:
        """What findings add up to at a minute, in thousandths, each rounded half up."""
        halving = self.half_life / MINUTE
        total = 0
        for weight, since in adding:
            total += int((weight * exp2((since - minute) / halving) if since < minute else weight) + 0.5)
        return total

    def _up(self) -> tuple[int, int]:
        return floor(self.yellow * POINT + 0.5), floor(self.red * POINT + 0.5)

    def _down(self) -> tuple[int, int]:
        left = (1 - self.hysteresis) * POINT
        return floor(self.yellow * left + 0.5), floor(self.red * left + 0.5)

    def leaves(self, colour: Colour) -> int:
        """Below which score (thousandths) a light that is not green goes down."""
        yellow, red = self._down()
        return red if colour == "red" else yellow

    def risen(self, colour: Colour, score: int) -> Colour:
        """The colour after the score went up to `score`."""
        yellow, red = self._up()
        if score >= red:
            return "red"
        return "yellow" if score >= yellow and colour == "green" else colour

    def fallen(self, colour: Colour, score: int) -> Colour:
        """The colour after the score went down to `score`."""
        yellow, red = self._down()
        if colour == "red" and score < red:
            colour = "yellow"
        return "green" if colour == "yellow" and score < yellow else colour


Adding = tuple[float, int]
"""What a finding adds at first, in thousandths of a point, and the minute (since the epoch) from which on it fades."""

DEFAULT_LIGHT: Final = LightPolicy()


def light_of(
    customer: str, findings: Sequence[Finding], now: Micros, policy: LightPolicy = DEFAULT_LIGHT
) -> Light:
    """The light at `now`. Withdrawn findings do not count; one that was raised later than `now` (the clock may
    be behind the events) counts whole.
    """
    standing = sorted(
        (one for one in findings if one.state != "withdrawn"), key=lambda one: (one.raised_at, one.finding_id)
    )
    adding = [policy.adding(one) for one in standing]
    score, colour, next_change = _lit(adding, now // MINUTE, policy)
    channels: list[ChannelLight] = []
    present = {one.channel for one in standing}
    for channel in CHANNELS:
        if channel in present:
            mine = [its for one, its in zip(standing, adding, strict=True) if one.channel == channel]
            part, its_colour, its_change = _lit(mine, now // MINUTE, policy)
            channels.append(ChannelLight(channel, part, its_colour))
            next_change = earliest(next_change, its_change)
    lines = [
        Contribution(
            one.finding_id,
            one.rule,
            one.channel,
            one.severity,
            one.raised_at,
            points,
            one.sentence,
            policy.adding(one)[0] / POINT,
        )
        for one, its in zip(standing, adding, strict=True)
        if (points := policy.score((its,), now // MINUTE))
    ]
    lines.sort(key=lambda line: (-line.points, line.raised_at, line.finding_id))
    return Light(
        customer,
        now,
        score,
        colour,
        tuple(channels),
        tuple(lines),
        None if next_change is None else next_change * MINUTE,
    )


def _lit(adding: Sequence[Adding], now: int, policy: LightPolicy) -> tuple[int, Colour, int | None]:
    """Score, colour and the minute of the next change: the history of the findings played from green."""
    colour: Colour = "green"
    for index, (_, since) in enumerate(adding):
        minute = min(since, now)
        colour = policy.fallen(colour, policy.score(adding[:index], minute))
        colour = policy.risen(colour, policy.score(adding[: index + 1], minute))
    score = policy.score(adding, now)
    colour = policy.fallen(colour, score)
    return score, colour, _fades_at(adding, now, colour, policy)


def _fades_at(adding: Sequence[Adding], now: int, colour: Colour, policy: LightPolicy) -> int | None:
    """The first minute after `now` at which a colour goes down with nothing new.

    All findings fade alike, so the sum crosses a threshold at an instant that can be calculated; rounding moves it by
    little, and bisection finds by how much.
    """
    if colour == "green":
        return None

    def lasts(minute: int) -> bool:
        return policy.fallen(colour, policy.score(adding, minute)) == colour

    begin = max(now, adding[-1][1])
    halving = policy.half_life / MINUTE
    whole = sum(weight * exp2((since - begin) / halving) for weight, since in adding)
    guess = begin + max(0, int(halving * log2(whole / policy.leaves(colour))))
    early, late, step = max(begin, guess - 1), guess + 1, 2
    while early > begin and not lasts(early):
        early, step = max(begin, early - step), step * 2
    while lasts(late):
        early, late, step = late, late + step, step * 2
    while late - early > 1:
        middle = (early + late) // 2
        if lasts(middle):
            early = middle
        else:
            late = middle
    return late
