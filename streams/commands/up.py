"""`touchline up`: everything, as local processes, until Ctrl-C."""

import click

from streams.commands.brokers import BROKER, named_by_option
from streams.commands.failures import CommandFailed
from streams.commands.options import print_json
from streams.settings import load_settings


@click.command()
@click.option(
    "--broker",
    type=BROKER,
    help="The broker: the real Apache Kafka (needs Java 17+ and Maven), librdkafka's mock (at a port that it chooses "
    "itself), or one that runs. Default: TOUCHLINE_KAFKA__BOOTSTRAP, else kafka where it can run, else mock.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes; default one a core, one on the mock."
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON document once ready.")
def up(broker: str | None, workers: int | None, as_json: bool) -> None:
    """Start broker, ClickHouse and workers on loopback, and keep them running until Ctrl-C.

    What TOUCHLINE_KAFKA__BOOTSTRAP and TOUCHLINE_CLICKHOUSE__URL name is used, not started. Data lives under
    TOUCHLINE_HOME (default ./.touchline) and is there again at the next `up`; only the mock broker forgets.
    """
    from streams.commands.pipeline import announce, echo, pipeline, stopping_on_signals
    from streams.destinations import check_destinations

    settings = load_settings()
    check_destinations(settings.alerts, settings.alert_secrets)
    with named_by_option(broker), pipeline(settings, broker, workers, echo) as running:
        with stopping_on_signals(running.supervisor.request_stop):
            announce(running, settings, echo)
            if as_json:
                print_json(
                    {
                        "broker": running.broker,
                        "bootstrap": running.servers.kafka.bootstrap,
                        "clickhouse": running.native_url,
                        "clickhouse_http": running.http_url,
                        "workers": len(running.workers),
                    }
                )
            dead = running.supervisor.wait()
        if dead is not None:
            raise CommandFailed(dead.account(), "start `touchline up` again once the cause is gone")
        echo("stopping ...")
