"""`touchline forget`: erase a customer from all that Touchline keeps, and give a receipt of it."""

from datetime import timedelta
from typing import Final

import click

from streams.commands.forget_receipt import description
from streams.commands.identity import operator_named
from streams.commands.options import DURATION, print_json
from streams.commands.servers import servers
from streams.settings import load_settings

WAIT: Final = timedelta(seconds=60)


@click.command()
@click.argument("customer", metavar="CUSTOMER")
@click.option("--reason", metavar="TEXT", help="Why; the receipt keeps it. Name nobody in it.")
@click.option("--as", "name", metavar="NAME", help="Who asks for it; default: your login.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait",
    type=DURATION,
    default=WAIT,
    show_default="60s",
    metavar="DURATION",
    help="How long to wait for the workers, at each step.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as one JSON document; needs --yes.")
def forget(
    customer: str, reason: str | None, name: str | None, yes: bool, wait: timedelta, as_json: bool
) -> None:
    """Erase a customer, named by any identifier: state, links, interactions, journeys, findings, alerts, dead letters.

    \b
    $ touchline forget crm:A1 --reason "asked for it, letter of 3 March"

    The same events, should they come again, bring nothing back. A new event begins a new customer. Needs a running
    worker. When it is interrupted, the same command goes on. The view `erasures` keeps receipts, without names.
    """
    from streams.commands.forgetting import Forgetting

    if as_json and not yes:
        raise click.UsageError("--json cannot ask: say --yes")
    settings = load_settings()
    by = operator_named(name)
    with servers(settings, kafka=True, clickhouse=True) as running:
        receipt = Forgetting(settings, running, wait.total_seconds()).run(customer, by, reason, ask=not yes)
    if as_json:
        print_json(receipt)
        return
    for line in description(receipt):
        click.echo(line)
