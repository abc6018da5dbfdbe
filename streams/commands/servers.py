"""Which servers a command talks to: the configured ones, else those that run in this home, else started for
it.

    with servers(settings, kafka=True, clickhouse=True) as running:
        publish(running.kafka)
        connect(running.clickhouse)

What was found or started is said on standard error, in one line. Configured servers are not announced.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import click

from streams.commands.failures import CommandFailed
from streams.commands.http import HttpTarget
from streams.kafka.access import KafkaAccess
from streams.settings import ClickHouseSettings, Settings

if TYPE_CHECKING:
    from sinks.clickhouse.client import ClickHouseTarget
    from sinks.embedded.home import Home, RunState
    from sinks.embedded.supervisor import Supervisor

HTTP_PORT: Final = 8123
HTTPS_PORT: Final = 8443

T = TypeVar("T")


class Found(NamedTuple):
    """The servers that are there without starting any; None where there is none."""

    kafka: KafkaAccess | None
    broker_kind: str
    clickhouse: "ClickHouseTarget | None"
    clickhouse_http: HttpTarget | None
    said: tuple[str, ...]


@dataclass(frozen=True)
class Servers:
    """The servers of one command. Asking for one that the command did not order is a bug in the command."""

    _kafka: KafkaAccess | None
    _clickhouse: "ClickHouseTarget | None"
    _clickhouse_http: HttpTarget | None

    @property
    def kafka(self) -> KafkaAccess:
        """The brokers, and how they let us in."""
        return _ordered(self._kafka, "kafka")

    @property
    def clickhouse(self) -> "ClickHouseTarget":
        """ClickHouse's native protocol."""
        return _ordered(self._clickhouse, "clickhouse")

    @property
    def clickhouse_http(self) -> HttpTarget:
        """ClickHouse's HTTP interface."""
        return _ordered(self._clickhouse_http, "clickhouse")


def _ordered(value: T | None, name: str) -> T:
    if value is None:
        raise RuntimeError(f"servers(..., {name}=True) was not asked for")
    return value


def locate(settings: Settings, broker: str | None = None) -> Found:
    """The configured servers and those that run in this home. Starts nothing and asks no server.

    `broker` is `kafka`, `mock` (an embedded one of that kind), HOST:PORT, or None for whatever is there.
    """
    from sinks.embedded.home import Home

    state = Home(settings.home).read_state()
    said: list[str] = []
    access, kind = _locate_broker(settings, state, broker)
    if access is not None and kind != "configured":
        said.append(f"Kafka at {access} ({kind})")
    target = http = None
    if settings.clickhouse.url is not None:
        target, http = clickhouse_target(settings, settings.clickhouse.url), http_target(settings.clickhouse)
    elif state is not None and state.clickhouse_native is not None and state.clickhouse_http is not None:
        target = clickhouse_target(settings, state.clickhouse_native)
        http = http_target(settings.clickhouse, state.clickhouse_http)
        said.append(f"ClickHouse at {urlsplit(state.clickhouse_native).netloc}")
    return Found(access, kind, target, http, tuple(said))


def _locate_broker(
    settings: Settings, state: "RunState | None", broker: str | None
) -> tuple[KafkaAccess | None, str]:
    if (access := access_to(settings, broker)) is not None:
        return access, "configured"
    if state is None:
        return None, ""
    if broker is not None and state.broker != broker:
        raise CommandFailed(
            f"{settings.home} runs with the broker {state.broker!r}, not {broker!r}",
            "stop its `touchline up`, or leave --broker out",
        )
    return KafkaAccess(state.bootstrap), state.broker


def access_to(settings: Settings, broker: str | None) -> KafkaAccess | None:
    """The brokers that are not ours: those of HOST:PORT, else the configured ones; None where an embedded one is meant.

    `broker` as in `locate`. Whatever their address, they are entered as the settings say.
    """
    if broker in ("kafka", "mock"):
        return None
    configured = settings.kafka.access()
    if broker is None:
        return configured
    return KafkaAccess(broker) if configured is None else replace(configured, bootstrap=broker)


def clickhouse_target(settings: Settings, url: str) -> "ClickHouseTarget":
    """The native address with the user, password and database of the settings."""
    from sinks.clickhouse.client import ClickHouseTarget

    part = settings.clickhouse
    return ClickHouseTarget.from_url(
        url,
        user=part.user,
        password=part.password.get_secret_value(),
        database=part.database,
        connections=part.connections,
        timeout_seconds=part.timeout.total_seconds(),
        cluster=part.cluster,
    )


def http_target(part: ClickHouseSettings, url: str | None = None) -> HttpTarget:
    """The HTTP address: `url`, else the configured one, else the native URL's host with ClickHouse's usual
    port.
    """
    native = urlsplit(part.url or "")
    if url is None:
        url = part.http_url
    if url is None:
        host = f"[{native.hostname}]" if ":" in (native.hostname or "") else native.hostname
        secure = native.scheme == "clickhouses"
        url = f"https://{host}:{HTTPS_PORT}" if secure else f"http://{host}:{HTTP_PORT}"
    return HttpTarget(
        url, unquote(native.username or "") or part.user, part.password.get_secret_value(), part.database
    )


@contextmanager
def servers(
    settings: Settings, *, kafka: bool = False, clickhouse: bool = False, broker: str | None = None
) -> Iterator[Servers]:
    """The servers that a command orders, for the length of the `with` block; what was started for it is
    stopped.

    Servers that have to be started hold this home's lock, so that no two commands open the same data. Raises
    `CommandFailed` and the errors of `sinks.embedded.errors`.
    """
    found = locate(settings, broker)
    with ExitStack() as stack:
        said = list(found.said)
        access, target, http = found.kafka, found.clickhouse, found.clickhouse_http
        start_broker, start_database = kafka and access is None, clickhouse and target is None
        if start_broker:
            _refuse_forgetful_broker(broker)
        if start_broker or start_database:
            home, supervisor = _hold_home(stack, settings)
            if start_database:
                target, http = _start_database(settings, home, supervisor, said)
            if start_broker:
                access = _start_broker(home, supervisor, said)
        if said:
            click.echo(f"using {', '.join(said)}", err=True)
        yield Servers(access if kafka else None, target if clickhouse else None, http if clickhouse else None)


def _refuse_forgetful_broker(broker: str | None) -> None:
    """A mock broker of one command would be empty at its start and forget everything at its end."""
    from streams.commands.embedded import real_kafka_possible

    if broker == "mock" or not real_kafka_possible():
        raise CommandFailed(
            "no broker runs here, and the mock broker keeps nothing beyond one command",
            "run `touchline up` in another terminal first, install Java 17+ and Maven, "
            "or set TOUCHLINE_KAFKA__BOOTSTRAP",
        )


def _hold_home(stack: ExitStack, settings: Settings) -> "tuple[Home, Supervisor]":
    from sinks.embedded.home import Home
    from sinks.embedded.supervisor import Supervisor

    home = Home(settings.home).create()
    stack.enter_context(home.lock())
    return home, stack.enter_context(Supervisor(lambda message: click.echo(message, err=True)))


def _start_database(
    settings: Settings, home: "Home", supervisor: "Supervisor", said: list[str]
) -> "tuple[ClickHouseTarget, HttpTarget]":
    from streams.commands.embedded import start_clickhouse

    database = start_clickhouse(supervisor, home, settings, native_port=0, http_port=0)
    said.append("ClickHouse (embedded, started for this command)")
    return clickhouse_target(settings, database.native_url), http_target(
        settings.clickhouse, database.http_url
    )


def _start_broker(home: "Home", supervisor: "Supervisor", said: list[str]) -> KafkaAccess:
    from streams.commands.embedded import start_kafka

    running = start_kafka(supervisor, home, 0, lambda message: click.echo(message, err=True))
    said.append("Kafka (embedded, started for this command)")
    return KafkaAccess(running.bootstrap)
