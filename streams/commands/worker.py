"""`touchline worker`: one process of the pipeline."""

from typing import TYPE_CHECKING

import click

from streams.commands.failures import CommandFailed
from streams.commands.options import print_json
from streams.ending import StopSignals

if TYPE_CHECKING:
    from streams.kafka.access import KafkaAccess
    from streams.settings.kafka import KafkaSettings


@click.command()
@click.pass_context
def worker(ctx: click.Context) -> None:
    """Run one worker process until SIGTERM or Ctrl-C.

    Start as many as there are cores, on as many machines as you like: they share the partitions, and when one
    dies the others take over. A worker that ends with a status other than 0 wants to be started again; `up` and
    the compose file do so. Told to stop it is gone within 30 seconds, whatever hangs; 0 means that it stopped
    cleanly, 75 that it did not, and then the log says why. Needs the topics and tables that `touchline migrate` makes.

    Prints {"ready": true} on standard output once it has its partitions; logs go to standard error.
    """
    # Before all imports that take their time: a worker that is told to stop while it starts has stopped cleanly.
    with StopSignals() as signals:
        status = _run(ctx.meta.get("touchline.debug", False), signals)
    ctx.exit(status)


def _run(debug: bool, signals: StopSignals) -> int:
    import logging

    from streams.commands.servers import locate
    from streams.destinations import check_destinations
    from streams.settings import load_settings
    from streams.worker import NotMigrated, run_worker

    settings = load_settings()
    check_destinations(settings.alerts, settings.alert_secrets)
    logging.getLogger().setLevel(logging.DEBUG if debug else settings.log_level.upper())
    for library in ("apprise", "requests", "urllib3"):
        # However much is asked for: they log whole addresses, and those of destinations are secrets.
        logging.getLogger(library).setLevel(logging.WARNING)
    found = locate(settings)
    if found.kafka is None or found.clickhouse is None:
        missing = "broker" if found.kafka is None else "ClickHouse"
        raise CommandFailed(
            f"no {missing} is configured and none runs in {settings.home}",
            "run `touchline up`, or set TOUCHLINE_KAFKA__BOOTSTRAP and TOUCHLINE_CLICKHOUSE__URL",
        )
    _refuse_other_topics(found.kafka, settings.kafka)
    try:
        return run_worker(
            settings, found.kafka, found.clickhouse, signals, lambda: print_json({"ready": True})
        )
    except NotMigrated as error:
        raise CommandFailed(str(error), "run `touchline migrate` first") from error


def _refuse_other_topics(access: "KafkaAccess", settings: "KafkaSettings") -> None:
    """Raise `CommandFailed` where topics are missing or have another number of partitions.

    Asked before the worker joins the group: a member that cannot work disturbs those that can.
    """
    from streams.commands.migrate import layout_of
    from streams.kafka.admin import broker_admin, survey

    with broker_admin(access) as admin:
        topics = survey(admin, layout_of(settings))
    if topics.missing:
        raise CommandFailed(
            f"topics are missing on {access}: {', '.join(topics.missing)}", "run `touchline migrate` first"
        )
    differing = [difference for difference in topics.differences if difference.what == "partitions"]
    if differing:
        raise CommandFailed(
            "; ".join(map(str, differing)),
            "set TOUCHLINE_KAFKA__PARTITIONS to what the topics have, or use another TOUCHLINE_KAFKA__PREFIX",
        )
