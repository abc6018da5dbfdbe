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
from typing import Final, NamedTuple

from schemas.findings import ChannelLight, Colour, Contribution, Finding, Light, weak_names
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
        scale = _scale(self)
        return Fading(self.half_life, scale.below_yellow, scale.below_red)


class _Scale(NamedTuple):
    """A policy in thousandths of a point and in minutes."""

    yellow: int
    red: int
    below_yellow: int
    """A yellow light goes down when the score is less."""
    below_red: int
    halving: float

    def risen(self, colour: Colour, score: int) -> Colour:
        """The colour after the score went up to `score`."""
        if score >= self.red:
            return "red"
        return "yellow" if score >= self.yellow and colour == "green" else colour

    def fallen(self, colour: Colour, score: int) -> Colour:
        """The colour after the score went down to `score`."""
        if colour == "red" and score < self.below_red:
            colour = "yellow"
        return "green" if colour == "yellow" and score < self.below_yellow else colour


_Adding = tuple[float, int]
"""What a finding adds at first, in thousandths of a point, and the minute (since the epoch) from which on it fades."""

DEFAULT_LIGHT: Final = LightPolicy()


def light_of(
    customer: str, findings: Sequence[Finding], now: Micros, policy: LightPolicy = DEFAULT_LIGHT
) -> Light:
    """The light at `now`. Withdrawn findings do not count; one that was raised later than `now` (the clock may
    be behind the events) counts whole.
    """
    scale = _scale(policy)
    minute = now // MINUTE
    standing = sorted([one for one in findings if one.state != "withdrawn"], key=_place)
    adding = [_adding(one, policy) for one in standing]
    points = [_points(weight, since, minute, scale.halving) for weight, since in adding]
    colour, next_change = _lit(adding, minute, scale)
    channels: list[ChannelLight] = []
    present = {one.channel for one in standing}
    for channel in CHANNELS:
        if channel not in present:
            continue
        its_colour = colour
        if len(present) > 1:
            mine = [its for one, its in zip(standing, adding, strict=True) if one.channel == channel]
            its_colour, its_change = _lit(mine, minute, scale)
            next_change = earliest(next_change, its_change)
        part = sum([its for one, its in zip(standing, points, strict=True) if one.channel == channel])
        channels.append(ChannelLight(channel, part, its_colour))
    lines = [
        Contribution(
            one.finding_id,
            one.rule,
            one.channel,
            one.severity,
            one.raised_at,
            its,
            one.sentence,
            weight / POINT,
            weak_names(one),
        )
        for one, its, (weight, _) in zip(standing, points, adding, strict=True)
        if its
    ]
    lines.sort(key=_heaviest_first)
    return Light(
        customer,
        now,
        sum(points),
        colour,
        tuple(channels),
        tuple(lines),
        None if next_change is None else next_change * MINUTE,
    )


def _place(finding: Finding) -> tuple[Micros, str]:
    return finding.raised_at, finding.finding_id


def _heaviest_first(line: Contribution) -> tuple[int, Micros, str]:
    return -line.points, line.raised_at, line.finding_id


def _scale(policy: LightPolicy) -> _Scale:
    left = (1 - policy.hysteresis) * POINT
    return _Scale(
        floor(policy.yellow * POINT + 0.5),
        floor(policy.red * POINT + 0.5),
        floor(policy.yellow * left + 0.5),
        floor(policy.red * left + 0.5),
        policy.half_life / MINUTE,
    )


def _adding(finding: Finding, policy: LightPolicy) -> _Adding:
    """A severe finding never adds less than red takes."""
    weight = max(finding.weight, policy.red) if finding.severity == "severe" else finding.weight
    return weight * POINT, finding.raised_at // MINUTE


def _points(weight: float, since: int, minute: int, halving: float) -> int:
    """What a finding adds at a minute, in thousandths, rounded half up."""
    return int((weight * exp2((since - minute) / halving) if since < minute else weight) + 0.5)


def _score(adding: Sequence[_Adding], minute: int, halving: float) -> int:
    """What findings add up to at a minute, in thousandths."""
    total = 0
    for weight, since in adding:
        total += _points(weight, since, minute, halving)
    return total


def _lit(adding: Sequence[_Adding], now: int, scale: _Scale) -> tuple[Colour, int | None]:
    """Colour and the minute of the next change: the history of the findings played from green."""
    at_most = 0
    for weight, _ in adding:
        at_most += int(weight + 0.5)
    if at_most < scale.yellow:
        return "green", None
    colour: Colour = "green"
    halving = scale.halving
    for index, (weight, since) in enumerate(adding):
        score = _score(adding[:index], min(since, now), halving)
        colour = scale.fallen(colour, score)
        colour = scale.risen(colour, score + int(weight + 0.5))
    colour = scale.fallen(colour, _score(adding, now, halving))
    return colour, _fades_at(adding, now, colour, scale)


def _fades_at(adding: Sequence[_Adding], now: int, colour: Colour, scale: _Scale) -> int | None:
    """The first minute after `now` at which a colour goes down with nothing new.

    All findings fade alike, so the sum crosses a threshold at an instant that can be calculated; rounding moves it by
    little, and bisection finds by how much.
    """
    if colour == "green":
        return None
    halving = scale.halving
    leaves = scale.below_red if colour == "red" else scale.below_yellow
    begin = max(now, adding[-1][1])
    whole = 0.0
    for weight, since in adding:
        whole += weight * exp2((since - begin) / halving)
    guess = begin + max(0, int(halving * log2(whole / leaves)))
    early, late, step = max(begin, guess - 1), guess + 1, 2
    while early > begin and _score(adding, early, halving) < leaves:
        early, step = max(begin, early - step), step * 2
    while _score(adding, late, halving) >= leaves:
        early, late, step = late, late + step, step * 2
    while late - early > 1:
        middle = (early + late) // 2
        if _score(adding, middle, halving) >= leaves:
            early = middle
        else:
            late = middle
    return late
