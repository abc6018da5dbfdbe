"""`touchline doctor`: everything that has to be right, each with what to do when it is not."""

import click

from streams.commands.checks import Check, Status, check_machine, check_settings
from streams.commands.checks_alerts import check_alerts
from streams.commands.checks_servers import check_servers
from streams.commands.checks_worker import check_a_worker_lives, check_workers
from streams.commands.failures import NotAsExpected
from streams.commands.options import print_json

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def examine() -> list[Check]:
    """Run every check. Starts nothing, changes nothing; without valid settings only they can be judged."""
    first, settings = check_settings()
    if settings is None:
        return [first]
    return [
        first,
        *check_alerts(settings),
        *check_machine(settings),
        *check_servers(settings),
        *check_workers(settings),
    ]


def examine_worker() -> list[Check]:
    """The worker of this home alone: nothing that goes on without it, or without which it goes on waiting."""
    first, settings = check_settings()
    return [first] if settings is None else [first, *check_a_worker_lives(settings)]


def lines_of(check: Check) -> list[str]:
    """A check for people: its mark, what was found, and below it what to do."""
    mark = click.style(f"{check.status:<4}", fg=_COLOURS[check.status])
    found = check.found.replace("\n", "\n" + " " * 29)
    lines = [f"{mark}  {check.name:<22} {found}"]
    if check.what_to_do:
        lines.append(f"{'':<29}→ {check.what_to_do}")
    return lines


@click.command()
@click.option(
    "--worker",
    "worker_only",
    is_flag=True,
    help="Ask only whether the worker of this TOUCHLINE_HOME lives: for the health check of a container.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(worker_only: bool, as_json: bool) -> None:
    """Check this machine, the settings, the broker, ClickHouse and the workers; say what to do.

    Nothing is started and nothing is changed. Exit status 1 when a check fails; warnings do not count.

    With --worker no server is asked: a worker that waits for one lives, and starting it again would not help. One
    that has shown no sign of life for 30 seconds does not.
    """
    checks = examine_worker() if worker_only else examine()
    failed = [check for check in checks if check.status == "fail"]
    if as_json:
        print_json({"healthy": not failed, "checks": [check._asdict() for check in checks]})
    else:
        for check in checks:
            for line in lines_of(check):
                click.echo(line)
        click.echo(verdict(checks))
    if failed:
        raise NotAsExpected


def verdict(checks: list[Check]) -> str:
    """The last line."""
    counts: dict[Status, int] = {"ok": 0, "warn": 0, "fail": 0}
    for check in checks:
        counts[check.status] += 1
    if counts["fail"]:
        return f"{counts['fail']} failed, {counts['warn']} warnings, {counts['ok']} ok"
    return f"healthy: {counts['ok']} ok" + (f", {counts['warn']} warnings" if counts["warn"] else "")
