"""What `doctor` checks of alerts: that everybody can be told, and that everybody is.

Nobody is told anything for that: settings and secrets are looked at, and what the view `alerts` says.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from streams.commands.checks import Check, guarded
from streams.commands.failures import CommandFailed
from streams.settings import Settings

PATIENCE_MINUTES: Final = 10
"""A notice that waits for longer waits for a person."""


class Untold(NamedTuple):
    """What a destination has not been told: notices that have waited too long, and those that failed within a day."""

    destination: str
    waiting: int
    failed: int
    reason: str
    """The last that is known; empty: none is."""


def check_alerts(settings: Settings) -> Iterator[Check]:
    """The destinations, and the routes to them; nothing is said of either where there are none."""
    yield guarded("destinations", lambda: _check_destinations(settings))
    if any(route.rules for route in settings.alerts.routes):
        yield guarded("routes", lambda: _check_routes(settings))


def _check_destinations(settings: Settings) -> Check:
    from streams.destinations import check_destinations

    check_destinations(settings.alerts, settings.alert_secrets)
    names = ", ".join(sorted(settings.alerts.destinations))
    return Check(
        "destinations",
        "ok",
        f"{names}: nothing is missing" if names else "none: alerts are only stored (`no_route`)",
    )


def _check_routes(settings: Settings) -> Check:
    from streams.catalogue.rule_files import RuleProblem, read_rules
    from streams.catalogue.rule_sets import rules_folder
    from streams.commands.candidate_rules import files_of

    try:
        rules = read_rules(files_of(rules_folder(settings.rules.directory)))
    except (RuleProblem, CommandFailed) as problem:
        return Check("routes", "warn", f"rules cannot be read: {problem}", "run `touchline rules check`")
    routed = [route.rules for route in settings.alerts.routes]
    return judge_routes(routed, {rule.id for rule in rules})


def judge_routes(routed: Sequence[Collection[str]], rules: Collection[str]) -> Check:
    """Whether there is every rule that a route names. `routed` are the rules of each route."""
    strange = [
        f"route {number} names {rule!r}"
        for number, names in enumerate(routed, 1)
        for rule in sorted(names)
        if rule not in rules
    ]
    if not strange:
        return Check("routes", "ok", "every rule that they name is there")
    return Check(
        "routes",
        "warn",
        f"{', '.join(strange)}: no rule file has such a rule, so nothing goes that way",
        f"correct `rules` in [[alerts.routes]], or add the rule; there are {', '.join(sorted(rules))}",
    )


def read_untold(client: Any) -> list[Untold]:
    """What each destination has not been told, as the view `alerts` says, by the clock of the database."""
    rows = client.execute(
        "SELECT destination, countIf(status = 'pending'), countIf(status = 'failed'), "
        "argMaxIf(reason, at, reason != '') "
        "FROM alerts WHERE destination != '' AND ("
        f"(status = 'pending' AND at < now64(6, 'UTC') - INTERVAL {PATIENCE_MINUTES} MINUTE) "
        "OR (status = 'failed' AND at >= now64(6, 'UTC') - INTERVAL 1 DAY)) "
        "GROUP BY destination ORDER BY destination"
    )
    return [Untold(*row) for row in rows]


def judge_untold(untold: Sequence[Untold]) -> Check:
    """Whether everybody is told what there is to tell."""
    if not untold:
        return Check("alerts", "ok", "nothing waits for long, nothing has failed within a day")
    advice = []
    if any(one.waiting for one in untold):
        advice.append(
            "what waits is told by itself once its destination takes it: the workers' logs say what it answers"
        )
    if any(one.failed for one in untold):
        advice.append(
            "what has failed is not told any more: `touchline query \"SELECT * FROM alerts WHERE status = 'failed'\"`"
        )
    return Check("alerts", "warn", "; ".join(map(_sentence, untold)), "; ".join(advice))


def _sentence(untold: Untold) -> str:
    from streams.commands.columns import shown

    parts = []
    if untold.waiting:
        parts.append(f"{untold.waiting} waiting for more than {PATIENCE_MINUTES} min")
    if untold.failed:
        parts.append(f"{untold.failed} failed within a day")
    reason = f" (last: {shown(untold.reason)})" if untold.reason else ""
    return f"{untold.destination}: {', '.join(parts)}{reason}"
