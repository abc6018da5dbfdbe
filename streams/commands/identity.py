"""`touchline identity`: which identifiers are one customer's, why, and setting it right."""

import getpass
import json
import time
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import uuid4

import click

from schemas.identifiers import Normaliser
from schemas.identity import FactDecoder, fact_key
from schemas.interaction import SECOND
from schemas.links import Name, Statement
from schemas.timestamps import format_timestamp
from streams.commands.failures import CommandFailed
from streams.commands.options import DURATION, print_json
from streams.commands.servers import servers
from streams.kafka.access import KafkaAccess
from streams.named_identifiers import by_kind, read_name
from streams.settings import Settings, load_settings
from streams.settings.identity import identity_policy

WAIT: Final = timedelta(seconds=30)

Operation = Literal["link", "unlink"]


@click.group()
def identity() -> None:
    """See which identifiers are one customer's and why; link them, or keep them apart.

    An identifier is written as a customer is: crm:A1, contract:D-7, loyalty:L9, phone:+359888123456,
    email:ann@example.com, device:d-1. What operators say outranks what systems of record say, and that what was
    learnt; of two things that operators say about a pair, the later one holds.
    """


_IDS = click.argument("ids", metavar="ID ID...", nargs=-1, required=True)
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept, with your name.")
_AS = click.option("--as", "name", metavar="NAME", help="Who says so; default: your login.")
_WAIT = click.option(
    "--wait",
    type=DURATION,
    default=WAIT,
    show_default="30s",
    metavar="DURATION",
    help="How long to wait until the workers have taken it in; 0s: not at all.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@identity.command()
@_IDS
@_REASON
@_AS
@_WAIT
@_JSON
def link(ids: tuple[str, ...], reason: str, name: str | None, wait: timedelta, as_json: bool) -> None:
    """Say that identifiers are one customer's.

    \b
    $ touchline identity link crm:A1 phone:+359888123456 --reason "called, knows the contract"

    Interactions, journeys, findings and lights follow within seconds.
    """
    _state("link", ids, reason, name, wait, as_json)


@identity.command()
@_IDS
@_REASON
@_AS
@_WAIT
@_JSON
def unlink(ids: tuple[str, ...], reason: str, name: str | None, wait: timedelta, as_json: bool) -> None:
    """Say that no two of the identifiers are one customer's, whatever else connects them.

    \b
    $ touchline identity unlink crm:A1 phone:+359888123456 --reason "the number is a neighbour's"

    It also takes back an earlier link. Interactions go back to whom they belong by their own identifiers.
    """
    _state("unlink", ids, reason, name, wait, as_json)


def _state(
    operation: Operation, ids: tuple[str, ...], reason: str, name: str | None, wait: timedelta, as_json: bool
) -> None:
    settings = load_settings()
    value, told = _statement(settings, operation, ids, reason, name)
    with servers(settings, kafka=True) as running:
        position, workers = _publish(running.kafka, settings, value, told, wait)
    if as_json:
        print_json(
            {
                "operation": operation,
                "identifiers": told.identifiers,
                "reason": told.reason,
                "source": told.source,
                "id": told.id,
                "occurred_at": format_timestamp(told.occurred_at),
                "taken_in": position is not None,
                "position": position,
            }
        )
    else:
        done = "linked" if operation == "link" else "kept apart"
        click.echo(f"{done} by {told.source}: {', '.join(told.identifiers)}")
    if position is None and wait:
        raise CommandFailed(
            f"it is published, but {_who_is_late(workers)}",
            "nothing is lost: it counts as soon as a worker reads it (`touchline worker`, `touchline doctor`)",
        )


def _who_is_late(workers: int | None) -> str:
    return "no worker runs" if workers == 0 else "no worker has taken it in yet"


def _statement(
    settings: Settings, operation: Operation, ids: tuple[str, ...], reason: str, name: str | None
) -> tuple[bytes, Statement]:
    """The fact as it is published, and as the workers will read it; usage errors for what they would refuse."""
    from streams.core.identification.catch_all import CatchAll

    normaliser = Normaliser(settings.identity.region)
    names = tuple(dict.fromkeys(_name(text, normaliser) for text in ids))
    if len(names) < 2:
        raise click.BadParameter("give two or more different identifiers", param_hint="ID")
    if not reason.strip():
        raise click.BadParameter("say why, in words", param_hint="--reason")
    is_catch_all = CatchAll(identity_policy(settings.identity))
    for one in names:
        if is_catch_all(one):
            raise click.BadParameter(f"{one} stands for nobody: it is never linked", param_hint="ID")
    now = time.time_ns() // 1_000
    value = json.dumps(
        {
            "id": uuid4().hex,
            "source": f"operator:{operator_named(name)}",
            "occurred_at": format_timestamp(now),
            "operation": operation,
            "identifiers": by_kind(names),
            "reason": reason.strip(),
        },
        ensure_ascii=False,
    ).encode()
    told = FactDecoder(settings.identity.region, SECOND).decode(value, (), now)
    if not isinstance(told, Statement):
        raise click.UsageError(told.message)
    return value, told


def _name(text: str, normaliser: Normaliser) -> Name:
    try:
        return read_name(text, normaliser)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ID") from None


def operator_named(name: str | None) -> str:
    """Who gives an order: `name`, else the login; a usage error where there is neither."""
    try:
        named = (getpass.getuser() if name is None else name).strip()
    except (KeyError, OSError):  # no login, as in a container
        named = ""
    if not named:
        raise click.BadParameter("name who says so", param_hint="--as")
    return named


def _publish(
    access: KafkaAccess, settings: Settings, value: bytes, told: Statement, wait: timedelta
) -> tuple[int | None, int | None]:
    """Publish a fact, and wait until the workers have it in the log of links.

    Where it stands there (None: not yet), and how many workers run (None: the broker does not tell).
    """
    from rich.console import Console

    from schemas.topics import IDENTITY
    from streams.commands.link_log import open_log, workers_of
    from streams.commands.one_record import send_record
    from streams.kafka.admin import broker_admin

    topic = IDENTITY.full_name(settings.kafka.prefix)
    with open_log(access, settings.kafka.prefix) as log:
        since = log.end()
        send_record(access, topic, fact_key(told.source, told.id), value, client="touchline-identity")
        with broker_admin(access) as admin:
            workers = workers_of(admin, settings.kafka.group)
        if workers == 0 or not wait:
            return None, workers
        with Console(stderr=True).status("waiting for the workers"):
            return log.wait_for(told.source, told.id, since, wait.total_seconds()), workers


@identity.command()
@click.argument("id_", metavar="ID")
@_JSON
def show(id_: str, as_json: bool) -> None:
    """Show an identifier's customer, all of the customer's identifiers, and every link with its evidence.

    \b
    $ touchline identity show phone:+359888123456

    It reads the log of links, so that a worker need not run.
    """
    from streams.commands.identity_picture import description, document
    from streams.core.identification.index import IdentityIndex
    from streams.core.identification.portrait import portrait

    settings = load_settings()
    name = _name(id_, Normaliser(settings.identity.region))
    policy = identity_policy(settings.identity)
    with servers(settings, kafka=True) as running:
        records = _records_of(running.kafka, settings, name)
    picture = portrait(IdentityIndex(policy, records), policy, name)
    if as_json:
        print_json(document(picture))
        return
    for line in description(picture):
        click.echo(line)


def _records_of(access: KafkaAccess, settings: Settings, name: Name) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from streams.commands.link_log import bearing_on, open_log

    console = Console(stderr=True)
    with (
        open_log(access, settings.kafka.prefix) as log,
        Progress(
            TextColumn("reading links"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress,
    ):
        reading = progress.add_task("", total=None)
        return bearing_on(
            log.records(lambda done, total: progress.update(reading, completed=done, total=total)), name
        )
