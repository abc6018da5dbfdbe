"""`touchline light`: why a customer's light is what it is, line by line."""

from collections.abc import Iterator
from decimal import Decimal

import click

from streams.commands.columns import shown, table
from streams.commands.findings import SHORT, known_customer, short, unknown_customer
from streams.commands.known_findings import Light, light_of, reading
from streams.commands.options import print_json
from streams.commands.servers import servers
from streams.settings import load_settings


@click.command()
@click.argument("customer")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def light(customer: str, as_json: bool) -> None:
    """Explain a customer's light: what adds to it, how much is left of it now. The lines sum to the score.

    CUSTOMER is written with the kind of identifier: crm:A1, phone:+359888123456; or as a query shows it.
    """
    settings = load_settings()
    with servers(settings, clickhouse=True) as running, reading(running.clickhouse) as client:
        stored = known_customer(client, settings, customer)
        found = light_of(client, stored)
    if found is None:
        raise unknown_customer(customer)
    if as_json:
        print_json(
            {
                "customer": found.customer,
                "light": found.light,
                "score": float(found.score),
                "at": found.at,
                "channels": {
                    channel: {"light": colour, "score": float(score)}
                    for channel, (colour, score) in found.channels.items()
                },
                "contributions": [{**line, "points": float(line["points"])} for line in found.lines],
            }
        )
        return
    for text in explanation(found):
        click.echo(text)


def explanation(found: Light) -> Iterator[str]:
    """A light for people."""
    yield f"{shown(found.customer)} is {found.light}: {points(found.score)} points at {short(found.at)}"
    yield "  " + ", ".join(f"{channel} {colour}" for channel, (colour, _) in found.channels.items())
    if not found.lines:
        yield "  nothing adds to it"
        return
    yield ""
    total = sum((line["points"] for line in found.lines), Decimal(0))
    yield from table(
        ("points", "of", "raised", "channel", "severity", "rule", "finding", "why"),
        [
            *(
                (
                    points(line["points"]),
                    f"{line['weight']:g}",
                    short(line["raised_at"]),
                    line["channel"],
                    line["severity"],
                    line["rule"],
                    line["finding_id"][:SHORT],
                    line["sentence"],
                )
                for line in found.lines
            ),
            (points(total), "", "", "", "", "", "", "= the score"),
        ],
        right=("points", "of"),
    )


def points(value: Decimal) -> str:
    """Points as they are stored, to the thousandth."""
    return f"{value:,.3f}"
