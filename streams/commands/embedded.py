"""Start the embedded servers: `up` keeps them, another command has them for its own duration.

Both start them here, in the same home, with the same data.
"""

import sys
from collections.abc import Callable
from typing import Literal, NamedTuple

from schemas.topics import ALL
from sinks.embedded.errors import ToolMissingError
from sinks.embedded.home import Home
from sinks.embedded.ports import LOOPBACK, check_port_free, free_port
from sinks.embedded.processes import Child, ready_line
from sinks.embedded.supervisor import Supervisor
from streams.settings import Settings, SettingsError

BrokerKind = Literal["kafka", "mock"]
Say = Callable[[str], None]


class Broker(NamedTuple):
    """A broker that runs, and the process that is it."""

    kind: BrokerKind
    bootstrap: str
    child: Child
    mock_control: str | None = None
    """Where the mock creates topics; None for the real Kafka."""


class Database(NamedTuple):
    """An embedded ClickHouse that runs, and the process that is it."""

    native_port: int
    http_port: int
    child: Child

    @property
    def native_url(self) -> str:
        """For the native protocol."""
        return f"clickhouse://{LOOPBACK}:{self.native_port}"

    @property
    def http_url(self) -> str:
        """For HTTP."""
        return f"http://{LOOPBACK}:{self.http_port}"


def real_kafka_possible() -> bool:
    """Whether Java 17+ and Maven are here, so that the real Kafka can run."""
    from sinks.embedded.kafka.java import find_java
    from sinks.embedded.kafka.maven import find_maven

    try:
        find_java()
        find_maven()
    except ToolMissingError:
        return False
    return True


def start_kafka(supervisor: Supervisor, home: Home, port: int, say: Say) -> Broker:
    """Start the real Kafka on `port` (0: any free one); the first time on a machine its jars are fetched.

    Raises the errors of `sinks.embedded.errors`.
    """
    from sinks.embedded.kafka.broker import KafkaBroker
    from sinks.embedded.kafka.install import install_kafka

    broker = KafkaBroker(
        home.kafka,
        port or free_port(),
        install_kafka(say),
        log_file=home.logs / "kafka.log",
        port_setting="TOUCHLINE_LOCAL__KAFKA_PORT",
    )
    return Broker("kafka", broker.bootstrap, supervisor.start(broker.prepare()))


def start_mock(supervisor: Supervisor, home: Home, settings: Settings, say: Say) -> Broker:
    """Start librdkafka's mock cluster, with every topic, and say what it is not fit for.

    It chooses its own port, and says so where another one is set. Each start is a new life of the topics: tell
    `bring_up_to_date(fresh_topics=True)`.
    """
    from sinks.embedded.kafka.mock import LIMITS, MockBroker

    prefix, partitions = settings.kafka.prefix, settings.kafka.partitions
    topics = {topic.full_name(prefix): topic.partitions(partitions) for topic in ALL}
    mock = MockBroker(home.logs / "kafka-mock.log", topics)
    child = supervisor.start(mock.prepare())
    say("This is the mock Kafka of librdkafka, for demonstrations and tests, not for data that matters. It")
    for limit in LIMITS:
        say(f"  - {limit}")
    if settings.local.kafka_port and "kafka_port" in settings.local.model_fields_set:
        say(
            f"warning: TOUCHLINE_LOCAL__KAFKA_PORT={settings.local.kafka_port} is not used: the mock chooses its "
            f"port itself, now {mock.bootstrap}"
        )
    return Broker("mock", mock.bootstrap, child, mock.control)


def start_broker(
    supervisor: Supervisor, home: Home, settings: Settings, kind: BrokerKind | None, *, port: int, say: Say
) -> Broker:
    """Start the broker of that kind; None: the real Kafka where Java and Maven are, else the mock."""
    if kind is None:
        kind = "kafka" if real_kafka_possible() else "mock"
    if kind == "mock":
        return start_mock(supervisor, home, settings, say)
    return start_kafka(supervisor, home, port, say)


def start_clickhouse(
    supervisor: Supervisor, home: Home, settings: Settings, native_port: int, http_port: int
) -> Database:
    """Start chDB behind ClickHouse's protocols (port 0: any free one). Raises `SettingsError` where both are to
    have the same port, and the errors of `sinks.embedded.errors`.
    """
    if native_port and native_port == http_port:
        raise SettingsError(
            f"TOUCHLINE_LOCAL__CLICKHOUSE_PORT and TOUCHLINE_LOCAL__CLICKHOUSE_HTTP_PORT are both {native_port}: "
            "they must differ"
        )
    for port, name in ((native_port, "CLICKHOUSE_PORT"), (http_port, "CLICKHOUSE_HTTP_PORT")):
        if port:
            check_port_free(LOOPBACK, port, "ClickHouse", setting=f"TOUCHLINE_LOCAL__{name}")
    # The password travels in the environment, where `ps` does not show it.
    command = [
        sys.executable,
        "-m",
        "sinks.embedded.clickhouse",
        "--data",
        str(home.clickhouse.absolute()),
        "--host",
        LOOPBACK,
        "--native-port",
        str(native_port),
        "--http-port",
        str(http_port),
        "--user",
        settings.clickhouse.user,
    ]
    child = Child(
        "ClickHouse",
        command,
        home.logs / "clickhouse.log",
        ready=ready_line,
        environment={"TOUCHLINE_CLICKHOUSE__PASSWORD": settings.clickhouse.password.get_secret_value()},
    )
    supervisor.start(child)
    return Database(int(child.announced["native_port"]), int(child.announced["http_port"]), child)
