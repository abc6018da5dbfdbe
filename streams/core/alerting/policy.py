"""How alerts are told: routes, destinations and limits, as data. Durations are in microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.alerts import Alert
from schemas.findings import SEVERITIES, Severity
from schemas.interaction import DAY, SECOND, Micros
from schemas.vocabulary import Channel

_RANKS: Final = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def rank(severity: Severity | None) -> int:
    """0 for the mildest; -1 for none, which is milder than any."""
    return -1 if severity is None else _RANKS[severity]


@dataclass(frozen=True, slots=True)
class Route:
    """Alerts that go to some destinations: at least this severe, of these rules, of these channels (empty: any)."""

    destinations: tuple[str, ...]
    least: Severity = "minor"
    rules: frozenset[str] = frozenset()
    channels: frozenset[Channel] = frozenset()

    def matches(self, alert: Alert) -> bool:
        """Whether the alert goes this way."""
        return (
            rank(alert.severity) >= rank(self.least)
            and (not self.rules or alert.rule in self.rules)
            and (not self.channels or alert.channel in self.channels)
        )


@dataclass(frozen=True, slots=True)
class Traits:
    """What matters of a destination to what it is told."""

    holds_open: bool = False
    """It keeps an incident open until it is told the end: a settled finding must be closed there too."""
    acknowledges: bool = False
    """It wants to know that somebody takes care."""
    repeat: Micros | None = None
    """It forgets what it is not told again within a few of these."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """What the deployment says. An alert follows every route that matches it."""

    routes: tuple[Route, ...] = ()
    destinations: Mapping[str, Traits] = field(default_factory=dict)
    cool_down: Micros = DAY
    """Between two alerts of one rule about one customer at one destination, where the rule itself says nothing."""
    flood_limit: int = 20
    """Alerts of one rule and severity that one destination gets in a window, from one partition."""
    flood_window: Micros = 300 * SECOND
    give_up: Micros = 7 * DAY
    """After trying for so long a notice has failed."""
    memory: Micros = DAY
    """How long a finding that is over is remembered, so that a repeated record is known as such."""

    def routed(self, alert: Alert) -> tuple[str, ...]:
        """The destinations of an alert, each once, in the order of the routes."""
        found: dict[str, None] = {}
        for route in self.routes:
            if route.matches(alert):
                found.update(dict.fromkeys(route.destinations))
        return tuple(found)
