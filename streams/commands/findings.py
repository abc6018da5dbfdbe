"""`touchline findings`: what dissatisfies customers, why, and hushing its alerts for a while."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import click

from schemas.alerts import Acknowledgement
from schemas.findings import SEVERITIES, Severity
from schemas.timestamps import format_timestamp
from streams.commands.columns import shown, table
from streams.commands.failures import CommandFailed
from streams.commands.known_findings import (
    WITHDRAWN,
    Chosen,
    Row,
    alerts_of,
    changes_of,
    finding_of,
    findings_of,
    gravest,
    is_known,
    reading,
)
from streams.commands.options import DurationType, print_json
from streams.commands.servers import servers
from streams.commands.stored_customers import clear_name, present_name, stored_name
from streams.kafka.access import KafkaAccess
from streams.settings import Settings, load_settings

STATES = ("open", "resolved", "settled", WITHDRAWN)


class ListByDefault(click.Group):
    """A group that means its `list` when no subcommand is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of options that are not the group's own."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def findings() -> None:
    """See what dissatisfies customers and why; acknowledge it, or have quiet for a while.

    Without a subcommand: `list`. A finding is named by its id, or by enough of its beginning.
    """


@findings.command(name="list")
@click.option("--customer", metavar="NAME", help="Of this customer, as in crm:A1 or phone:+359888123456.")
@click.option("--rule", metavar="RULE", help="Of this rule.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Of this severity.")
@click.option(
    "--state",
    type=click.Choice(STATES),
    help="In this state; default: all but withdrawn.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at the most."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: an array.")
def list_command(
    customer: str | None, rule: str | None, severity: str | None, state: str | None, limit: int, as_json: bool
) -> None:
    """List findings, the latest first."""
    settings = load_settings()
    with servers(settings, clickhouse=True) as running, reading(running.clickhouse) as client:
        stored = None if customer is None else known_customer(client, settings, customer)
        chosen = Chosen(stored, rule, severity, state)
        found = findings_of(client, chosen, limit)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("no findings" + (" match" if chosen != Chosen() else ""))
    for line in table(
        ("finding", "raised", "customer", "rule", "severity", "state", "why"),
        [
            (
                row["finding_id"][:SHORT],
                short(row["raised_at"]),
                row["customer"],
                row["rule"],
                row["severity"],
                row["state"],
                row["sentence"],
            )
            for row in found
        ],
    ):
        click.echo(line)


SHORT = 12
"""Digits of an id that a list shows: enough to name a finding among billions."""


@findings.command()
@click.argument("finding_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(finding_id: str, as_json: bool) -> None:
    """Show one finding whole: evidence, what it hangs on, history, and what became of its alerts."""
    with servers(load_settings(), clickhouse=True) as running, reading(running.clickhouse) as client:
        row = the_finding(client, finding_id)
        changes = changes_of(client, row["customer"], row["finding_id"])
        alerts = alerts_of(client, row["finding_id"])
    if as_json:
        print_json({**row, "history": changes, "alerts": alerts})
        return
    for line in description(row, changes, alerts):
        click.echo(line)


LONGEST_HUSH = timedelta(days=366)
"""A year: whoever wants quiet for longer means another rule."""


class _Hush(DurationType):
    """A duration that a hush may have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse; one that is negative, or longer than a year, is a usage error."""
        lasting = super().convert(value, param, ctx)
        if not timedelta(0) <= lasting <= LONGEST_HUSH:
            self.fail(
                f"{value!r} is not between 0s, which ends an earlier one, and a year (366d)", param, ctx
            )
        return lasting


def _somebody(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """The name, without blanks around it."""
    if not value.strip():
        raise click.BadParameter("say who: whoever asks later wants a name")
    return value.strip()


_FOR = click.option(
    "--for",
    "lasting",
    type=_Hush(),
    required=True,
    metavar="DURATION",
    help="For so long from now (8h, 3d), at most a year; 0s ends an earlier one.",
)
_BY = click.option("--by", required=True, metavar="NAME", callback=_somebody, help="Who says so.")
_NOTE = click.option("--note", default="", metavar="TEXT", help="Why, for whoever asks later.")
_SEVERITY = click.option("--severity", type=click.Choice(SEVERITIES), help="The gravest that is hushed.")


@findings.command()
@click.argument("finding_id", metavar="ID")
@_FOR
@_BY
@_NOTE
@_SEVERITY
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def ack(finding_id: str, lasting: timedelta, by: str, note: str, severity: str | None, as_json: bool) -> None:
    """Say that you take care of a finding: its alerts are held back for a while.

    Should it become graver than it is now (or than --severity), the alert still comes.
    """
    settings = load_settings()
    with servers(settings, kafka=True, clickhouse=True) as running:
        with reading(running.clickhouse) as client:
            row = the_finding(client, finding_id)
            if row["state"] == WITHDRAWN:
                raise CommandFailed(
                    f"the finding {row['finding_id']} was withdrawn: nothing is told of it any more",
                    f"`touchline findings show {row['finding_id']}` says why",
                )
            customer = clear_name(client, settings, row["customer"])
        now = time.time_ns() // 1_000
        said = Acknowledgement(
            action="acknowledge",
            customer=customer,
            severity=cast(Severity, severity or row["severity"]),
            until=format_timestamp(now + lasting // timedelta(microseconds=1)),
            at=format_timestamp(now),
            by=by,
            finding_id=row["finding_id"],
            rule=row["rule"],
            note=note,
        )
        _publish(running.kafka, settings.kafka.prefix, said)
    _confirm(
        said, lasting, f"{said.rule} of {said.customer} ({row['finding_id'][:SHORT]}) acknowledged", as_json
    )


@findings.command()
@click.argument("customer")
@click.argument("rule")
@_FOR
@_BY
@_NOTE
@_SEVERITY
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def snooze(
    customer: str, rule: str, lasting: timedelta, by: str, note: str, severity: str | None, as_json: bool
) -> None:
    """Have quiet from a rule about a customer for a while.

    Alerts graver than the customer's open findings of this rule (or than --severity; major when there is neither) still
    come.
    """
    settings = load_settings()
    with servers(settings, kafka=True, clickhouse=True) as running:
        with reading(running.clickhouse) as client:
            stored = known_customer(client, settings, customer)
            standing = findings_of(client, Chosen(stored, rule, state="open"), 1_000)
            customer = clear_name(client, settings, stored)
        _known_rule(rule, bool(standing))
        now = time.time_ns() // 1_000
        said = Acknowledgement(
            action="snooze",
            customer=customer,
            severity=cast(Severity, severity or gravest(standing) or "major"),
            until=format_timestamp(now + lasting // timedelta(microseconds=1)),
            at=format_timestamp(now),
            by=by,
            rule=rule,
            note=note,
        )
        _publish(running.kafka, settings.kafka.prefix, said)
    _confirm(said, lasting, f"{rule} of {customer} snoozed", as_json)


def _known_rule(rule: str, has_findings: bool) -> None:
    """A misspelt rule would hush nothing, in silence."""
    from streams.catalogue.rule_files import RuleProblem, read_rules
    from streams.catalogue.rule_sets import rules_folder
    from streams.commands.candidate_rules import files_of

    if has_findings:
        return
    try:
        known = {one.id for one in read_rules(files_of(rules_folder(load_settings().rules.directory)))}
    except RuleProblem:
        return
    if rule not in known:
        raise CommandFailed(f"there is no rule {rule!r}", f"rules are {', '.join(sorted(known))}")


def _publish(access: KafkaAccess, prefix: str, said: Acknowledgement) -> None:
    from streams.commands.hushing import publish

    publish(access, prefix, said)


def _confirm(said: Acknowledgement, lasting: timedelta, what: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(said))
    elif lasting:
        click.echo(f"{what} until {said.until}, up to severity {said.severity}")
    else:
        click.echo(f"{what} no more")


def the_finding(client: Any, finding_id: str) -> Row:
    """The one finding that an id, or its beginning, names; raises `CommandFailed` for none and for several."""
    found = finding_of(client, finding_id)
    if not found:
        raise CommandFailed(f"no finding {finding_id!r}", "`touchline findings list` shows what there is")
    if len(found) > 1:
        raise CommandFailed(f"more than one finding begins with {finding_id!r}", "give more of the id")
    return found[0]


def known_customer(client: Any, settings: Settings, customer: str) -> str:
    """How the customer is stored whom a person names: by any identifier that is only this customer's.

    Raises `CommandFailed` when nothing is stored of such a customer.
    """
    stored = stored_name(settings, customer)
    if is_known(client, stored):
        return stored
    now = present_name(client, stored)
    if now is None or not is_known(client, now):
        raise unknown_customer(customer)
    click.echo(f"{customer} belongs to {now}", err=True)
    return now


def unknown_customer(customer: str) -> CommandFailed:
    """For a customer of whom nothing is stored."""
    hint = "" if ":" in customer else f"customers are written with the kind of identifier: crm:{customer}; "
    return CommandFailed(
        f"no customer {customer!r}",
        hint + '`touchline query "SELECT customer, light FROM customers"` lists them',
    )


def description(row: Row, changes: Sequence[Row], alerts: Sequence[Row]) -> Iterator[str]:
    """A finding for people."""
    yield f"{row['severity']} · {row['rule']} · {row['state']}"
    yield f"  {shown(row['sentence'])}"
    yield f"  to do: {shown(row['action'])}"
    yield ""
    yield f"finding    {row['finding_id']}"
    yield f"customer   {shown(row['customer'])}, channel {row['channel']}"
    yield f"rule       {row['rule']} ({row['rule_case']}), version {row['rule_version']}, weight {row['weight']:g}"
    resolved = "" if row["resolved_at"] is None else f", resolved {short(row['resolved_at'])}"
    yield f"raised     {short(row['raised_at'])}{resolved}"
    if row["subjects"]:
        yield f"about      {shown(', '.join(row['subjects']))}"
    yield ""
    yield "evidence (* without these it would not stand)"
    needed = {(one["source"], one["id"]) for one in row["counterfactual"]}
    yield from (
        f"  {'*' if (one['source'], one['id']) in needed else ' '} {short(one['occurred_at'])}  {one['channel']:<7} "
        f"{shown(one['source'])} {shown(one['id'])}  {one['topic']}/{one['partition']}/{one['offset']}"
        + (f"\n      {values}" if (values := _values(one["values"])) else "")
        for one in row["evidence"]
    )
    yield ""
    yield "history"
    for change in changes:
        cause = f" by {change['cause_source']} {change['cause_id']}" if change["cause_id"] is not None else ""
        yield f"  {change['sequence']:>3}  {short(change['at'])}  {change['kind']:<9} {change['reason']}{shown(cause)}"
    if alerts:
        yield ""
        yield "alerts"
    for alert in alerts:
        where = alert["destination"] or "(no destination)"
        reason = f": {shown(alert['reason'])}" if alert["reason"] else ""
        yield f"       {short(alert['at'])}  {alert['kind']:<9} {where} {alert['status']}{reason}"


def _values(values: dict[str, str]) -> str:
    return shown(", ".join(f"{name} {value}" for name, value in values.items()))


def short(instant: datetime) -> str:
    """To the second, UTC."""
    return f"{instant:%Y-%m-%d %H:%M:%S}Z"
