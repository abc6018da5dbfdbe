"""The whole pipeline as local processes: what `up` keeps running and `demo` runs for a while.

Whatever is configured is used; whatever is not is started here: ClickHouse, broker, then tables and topics, then the
workers. Other commands find it through the home's run state.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Literal

import click

from sinks.embedded.home import Home, RunningProcess, RunState
from sinks.embedded.processes import Child, ready_line
from sinks.embedded.supervisor import RestartPolicy, Supervisor
from streams.commands.embedded import BrokerKind, start_broker, start_clickhouse
from streams.commands.migrate import Migrated, bring_up_to_date
from streams.commands.servers import Servers, access_to, clickhouse_target, http_target
from streams.kafka.access import KafkaAccess
from streams.settings import Settings
from streams.settings.kafka import PLAINTEXT

Say = Callable[[str], None]
Kind = Literal["kafka", "mock", "external"]

WORKER_START_SECONDS = 90.0
WORKER_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Pipeline:
    """What runs, and how to reach it. `broker` is kafka, mock or external."""

    servers: Servers
    broker: str
    supervisor: Supervisor
    workers: tuple[Child, ...]
    native_url: str
    http_url: str


def worker_count(settings: Settings, broker: str) -> int:
    """One worker process a core, unless the settings say otherwise; one on the mock, whose groups are fragile."""
    return settings.worker.processes or (1 if broker == "mock" else os.cpu_count()) or 1


@contextmanager
def pipeline(settings: Settings, broker: str | None, workers: int | None, say: Say) -> Iterator[Pipeline]:
    """Everything up for the length of the `with` block; stopped in reverse order after it.

    `broker`: `kafka`, `mock`, HOST:PORT, or None for the configured one, else an embedded one. `workers`: None for
    `worker_count`. Raises the errors of
    `sinks.embedded.errors`, and `CommandFailed`.
    """
    home = Home(settings.home).create()
    with home.lock(), Supervisor(say) as supervisor:
        if settings.clickhouse.url is None:
            ports = settings.local
            database = start_clickhouse(
                supervisor, home, settings, ports.clickhouse_port, ports.clickhouse_http_port
            )
            native_url, http_url = database.native_url, database.http_url
            say(f"ClickHouse: native {native_url}, HTTP {http_url}, data in {home.clickhouse}")
            http = http_target(settings.clickhouse, http_url)
            serving = [RunningProcess.of("clickhouse", database.child.pid)]
        else:
            native_url, http = settings.clickhouse.url, http_target(settings.clickhouse)
            http_url, serving = http.url, []
        kind, access, control = _broker(settings, broker, home, supervisor, serving, say)
        reached = Servers(access, clickhouse_target(settings, native_url), http)
        _migrate(reached, settings, fresh_topics=kind == "mock")
        home.write_state(
            RunState(
                broker=kind,
                bootstrap=access.bootstrap,
                started_at=datetime.now(UTC),
                processes=tuple(serving),
                clickhouse_native=native_url,
                clickhouse_http=http_url,
                mock_control=control,
            )
        )
        try:
            count = workers or worker_count(settings, kind)
            children = _workers(settings, home, supervisor, kind, access, native_url, count)
            say(f"workers: {count}, logs in {home.logs}")
            yield Pipeline(reached, kind, supervisor, children, native_url, http_url)
        finally:
            home.clear_state()


def _broker(
    settings: Settings,
    broker: str | None,
    home: Home,
    supervisor: Supervisor,
    serving: list[RunningProcess],
    say: Say,
) -> tuple[Kind, KafkaAccess, str | None]:
    external = access_to(settings, broker)
    if external is not None:
        return "external", external, None
    kind: BrokerKind | None = "kafka" if broker == "kafka" else "mock" if broker == "mock" else None
    started = start_broker(supervisor, home, settings, kind, port=settings.local.kafka_port, say=say)
    serving.append(RunningProcess.of("kafka", started.child.pid))
    say(f"Kafka ({started.kind}): {started.bootstrap}")
    return started.kind, KafkaAccess(started.bootstrap), started.mock_control


def _migrate(reached: Servers, settings: Settings, *, fresh_topics: bool) -> Migrated:
    return bring_up_to_date(reached, settings, time.time_ns() // 1000, fresh_topics=fresh_topics)


def _workers(
    settings: Settings,
    home: Home,
    supervisor: Supervisor,
    kind: Kind,
    access: KafkaAccess,
    native_url: str,
    count: int,
) -> tuple[Child, ...]:
    environment = {
        **({} if kind == "external" else PLAINTEXT),
        "TOUCHLINE_KAFKA__BOOTSTRAP": access.bootstrap,
        "TOUCHLINE_CLICKHOUSE__URL": native_url,
        "TOUCHLINE_CLICKHOUSE__PASSWORD": settings.clickhouse.password.get_secret_value(),
    }
    children = [
        Child(
            f"worker {number}",
            [sys.executable, "-m", "streams.cli", "worker"],
            home.logs / f"worker-{number}.log",
            ready=ready_line,
            ready_timeout=WORKER_START_SECONDS,
            stop_timeout=WORKER_STOP_SECONDS,
            environment=environment,
            # The kernel asks a worker to stop when we die, rather than kill it: it stops cleanly by itself.
            death_signal=signal.SIGTERM,
        )
        for number in range(1, count + 1)
    ]
    for child in children:
        supervisor.start(child, RestartPolicy())
    return tuple(children)


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM call `stop`; a second one raises KeyboardInterrupt."""
    seen: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def announce(running: Pipeline, settings: Settings, say: Say) -> None:
    """How to reach what runs, for people."""
    say("ready. In another terminal:")
    say("  touchline publish events.jsonl")
    say('  touchline query "SELECT * FROM journeys LIMIT 5"')
    say(f"  any Kafka client: {running.servers.kafka}   topics {settings.kafka.prefix}*")
    say(f"  any ClickHouse client: {running.native_url} or {running.http_url}")
    say(
        "Ctrl-C stops everything; the data stays"
        + (" (the mock's does not)." if running.broker == "mock" else ".")
    )


def echo(message: str) -> None:
    """One line on standard error."""
    click.echo(message, err=True)
