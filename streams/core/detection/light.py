"""The light: green, yellow or red, for a customer and for each channel.

Every finding that was not withdrawn adds its weight, halved every half-life since it was raised; one severe finding
is red at once, many small ones add up. A light goes up when its score reaches a threshold and goes down only when it
has fallen by a share below it, so that it does not flicker. It is a function of the findings and the
instant: a withdrawn finding leaves it as if it had never been.

Points are whole thousandths, so that the lines sum to the score exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp2, floor
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

    def weight(self, finding: Finding) -> float:
        """What a finding adds at first, in thousandths; a severe one never less than red takes."""
        weight = max(finding.weight, self.red) if finding.severity == "severe" else finding.weight
        return weight * POINT

    def points(self, finding: Finding, at: Micros) -> int:
        """What a finding adds at an instant, in thousandths, rounded half up. Age counts in minutes of the clock, so
        that all findings fade at the same instants.
        """
        age = (at // MINUTE - finding.raised_at // MINUTE) * MINUTE
        weight = self.weight(finding)
        return floor((weight if age <= 0 else weight * exp2(-age / self.half_life)) + 0.5)

    def _up(self) -> tuple[int, int]:
        return floor(self.yellow * POINT + 0.5), floor(self.red * POINT + 0.5)

    def _down(self) -> tuple[int, int]:
        left = (1 - self.hysteresis) * POINT
        return floor(self.yellow * left + 0.5), floor(self.red * left + 0.5)

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
    score, colour, next_change = _lit(standing, now, policy)
    channels: list[ChannelLight] = []
    for channel in CHANNELS:
        mine = [one for one in standing if one.channel == channel]
        if mine:
            part, its_colour, its_change = _lit(mine, now, policy)
            channels.append(ChannelLight(channel, part, its_colour))
            next_change = earliest(next_change, its_change)
    lines = [
        Contribution(one.finding_id, one.rule, one.channel, one.severity, one.raised_at, points, one.sentence)
        for one in standing
        if (points := policy.points(one, now))
    ]
    lines.sort(key=lambda line: (-line.points, line.raised_at, line.finding_id))
    return Light(customer, now, score, colour, tuple(channels), tuple(lines), next_change)


def _lit(findings: Sequence[Finding], now: Micros, policy: LightPolicy) -> tuple[int, Colour, Micros | None]:
    """Score, colour and the next change of findings sorted by `raised_at`: their history played from green."""
    colour: Colour = "green"
    for index, finding in enumerate(findings):
        if finding.raised_at >= now:
            break
        known = findings[:index]
        colour = policy.fallen(colour, _score(known, finding.raised_at - 1, policy))
        colour = policy.risen(colour, _score([*known, finding], finding.raised_at, policy))
    passed = [finding for finding in findings if finding.raised_at < now]
    colour = policy.fallen(colour, _score(passed, now, policy))
    score = _score(findings, now, policy)
    colour = policy.risen(colour, score)
    return score, colour, _fades_at(findings, now, colour, policy)


def _fades_at(findings: Sequence[Finding], now: Micros, colour: Colour, policy: LightPolicy) -> Micros | None:
    """The first instant after `now` at which a colour goes down with nothing new: at a full minute, found by
    bisection.
    """
    if colour == "green":
        return None

    def lasts(minute: int) -> bool:
        return policy.fallen(colour, _score(findings, minute * MINUTE, policy)) == colour

    early, step = max(now, findings[-1].raised_at) // MINUTE, policy.half_life // MINUTE // 8 + 1
    while lasts(early + step):
        early += step
    late = early + step
    while late - early > 1:
        middle = (early + late) // 2
        if lasts(middle):
            early = middle
        else:
            late = middle
    return late * MINUTE


def _score(findings: Sequence[Finding], at: Micros, policy: LightPolicy) -> int:
    return sum(policy.points(finding, at) for finding in findings)
