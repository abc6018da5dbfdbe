"""`touchline demo`: everything at once, on a believable simulation."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click

from streams.commands.brokers import BROKER, named_by_option
from streams.commands.failures import NotAsExpected
from streams.commands.options import print_json
from streams.settings import Settings, load_settings

POLL_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 120.0
MOST_IN_FLIGHT: Final = {"mock": 10_000, "kafka": 200_000, "external": 200_000}
"""Published and not yet settled, above which publishing pauses. The mock drops what is not read in time."""


@click.command()
@click.option(
    "--seconds", type=click.IntRange(min=1), default=60, show_default=True, help="How long to publish."
)
@click.option("--rate", type=click.IntRange(min=1), default=400, show_default=True, help="Events a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other people, other troubles.")
@click.option("--broker", type=BROKER, help="As for `touchline up`.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes; default one a core, one on the mock."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document.")
def demo(seconds: int, rate: int, seed: int, broker: str | None, workers: int | None, as_json: bool) -> None:
    """Start everything, publish a simulated month of customers, watch it arrive, look at one of them.

    The customers of the simulation call, write, come by and click; some have troubles; their events come late, twice,
    out of order and broken. Ends after --seconds or Ctrl-C with a summary. What was planted is written to
    demo/truth.jsonl under TOUCHLINE_HOME, for comparison.

    Uses the servers that run (`touchline up`) or are configured, else starts its own for the time.
    """
    from streams.destinations import check_destinations

    settings = load_settings()
    check_destinations(settings.alerts, settings.alert_secrets)
    with named_by_option(broker), _running(settings, broker, workers) as (running, kind):
        summary = _run(settings, running, kind, seconds, rate, seed, quiet=as_json)
    if as_json:
        print_json(summary)
    if not summary["balanced"]:
        raise NotAsExpected


@contextmanager
def _running(settings: Settings, broker: str | None, workers: int | None) -> Iterator[tuple[Any, str]]:
    """The pipeline that runs in this home, else one of our own."""
    from sinks.embedded.home import Home
    from streams.commands.pipeline import echo, pipeline
    from streams.commands.servers import servers

    state = Home(settings.home).read_state()
    if state is not None:
        with servers(settings, kafka=True, clickhouse=True, broker=broker) as reached:
            yield reached, state.broker
        return
    settings = settings.model_copy(update={"local": _free_ports(settings)})
    with pipeline(settings, broker, workers, echo) as started:
        yield started.servers, started.broker


def _free_ports(settings: Settings) -> Any:
    """The configured local ports where they are free, any others where they are taken: a demo should just run."""
    from sinks.embedded.errors import PortTakenError
    from sinks.embedded.ports import LOOPBACK, check_port_free

    changed = {}
    for name, port in settings.local.model_dump().items():
        try:
            if port:
                check_port_free(LOOPBACK, port, name, setting=name)
        except PortTakenError:
            changed[name] = 0
    return settings.local.model_copy(update=changed)


def _run(
    settings: Settings, reached: Any, kind: str, seconds: int, rate: int, seed: int, *, quiet: bool
) -> dict[str, Any]:
    from rich.console import Console

    from schemas.topics import RAW
    from sinks.clickhouse.client import connect
    from streams.commands.pipeline import stopping_on_signals
    from streams.demonstration import Totals, ledger_totals, with_journeys
    from streams.kafka.event_publisher import EventPublisher
    from streams.simulation.simulation import Simulation
    from streams.terminal.live_progress import LiveProgress, Progress

    client = connect(reached.clickhouse)
    before = ledger_totals(client)
    latest = Totals()
    simulation = Simulation.sized(seed, seconds * rate, datetime.now(UTC))
    publisher = EventPublisher(
        reached.kafka,
        lambda channel: RAW[channel].full_name(settings.kafka.prefix),
        rate=rate,
        hold=lambda: publisher.sent - latest.settled > MOST_IN_FLIGHT[kind],
    )
    failure: list[BaseException] = []

    def publish() -> None:
        try:
            publisher.run(simulation.events())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=publish, name="publisher", daemon=True)
    started = time.monotonic()
    console = Console(stderr=True)
    console.print(
        f"publishing {rate:,} events a second for {seconds} s: a month of {simulation.customers:,} customers",
        highlight=False,
    )
    with stopping_on_signals(publisher.stop), LiveProgress(console) as live:
        thread.start()
        deadline = None
        while True:
            now = time.monotonic()
            latest = with_journeys(ledger_totals(client).since(before), client)
            live.update(
                Progress(
                    publisher.published,
                    latest.received,
                    latest.stored,
                    latest.superseded,
                    latest.dead,
                    latest.journeys,
                    latest.customers,
                    publisher.published - latest.settled,
                ),
                now,
            )
            if now - started >= seconds:
                publisher.stop()
            if not thread.is_alive():
                deadline = deadline or now + DRAIN_SECONDS
                if (latest.balanced and latest.received >= publisher.published) or now > deadline:
                    break
            time.sleep(POLL_SECONDS)
    if failure:
        raise failure[0]
    truth = settings.home / "demo" / "truth.jsonl"
    truth.parent.mkdir(parents=True, exist_ok=True)
    simulation.write_truth(truth)
    published = publisher.published
    summary = {
        "published": published,
        "received": latest.received,
        "stored": latest.stored,
        "superseded": latest.superseded,
        "dead": latest.dead,
        "journeys": latest.journeys,
        "customers": latest.customers,
        "balanced": latest.balanced and latest.received == published,
        "seconds": round(time.monotonic() - started, 1),
    }
    if not quiet:
        _show(client, summary, str(truth))
    client.disconnect()
    return summary


def _show(client: Any, summary: dict[str, Any], truth: str) -> None:
    from rich.console import Console

    from streams.demonstration import STEPS_SQL, telling_journey
    from streams.terminal.journey_picture import journey_picture

    console = Console()
    verdict = "balanced" if summary["balanced"] else "NOT balanced"
    console.print(
        f"\n{verdict}: published {summary['published']:,}, received {summary['received']:,} = "
        f"stored {summary['stored']:,} + superseded {summary['superseded']:,} + dead {summary['dead']:,}; "
        f"{summary['journeys']:,} journeys of {summary['customers']:,} customers in {summary['seconds']:.0f} s\n",
        highlight=False,
        soft_wrap=True,
    )
    found = telling_journey(client)
    if found is not None:
        journey, steps = found
        console.print(journey_picture(journey, steps))
        sql = STEPS_SQL.format(journey_id=journey["journey_id"])
        console.print("\nThe SQL that reads it:\n", highlight=False)
        console.print(sql, highlight=False, markup=False, soft_wrap=True)
    console.print(
        "\nGo on:\n"
        "  touchline up                     keep everything running (the data of this demo is there)\n"
        '  touchline query "SELECT status, count() FROM journeys GROUP BY status"\n'
        "  touchline dead-letters list      what did not validate, and why\n"
        "  touchline publish events.jsonl   your own events; docs/events.md has the contract\n"
        f"  {truth}   what the simulation planted",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
