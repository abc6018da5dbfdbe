"""The whole pipeline for a test, started as `touchline up` starts it, and what a test asks of it.

Servers and workers are the product's own; only their number, ports and patience differ. Nothing waits for a fixed
time: a test waits until a condition holds, and fails with what it saw when that takes too long.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from schemas.topics import RAW
from sinks.clickhouse.client import ClickHouseTarget, InsertingClient, connect
from sinks.clickhouse.migrate import private_database
from sinks.embedded.errors import EmbeddedError
from sinks.embedded.kafka.java import find_java
from sinks.embedded.kafka.maven import find_maven
from sinks.embedded.processes import Child
from streams.commands.migrate import layout_of
from streams.commands.pipeline import Pipeline, pipeline
from streams.commands.reconcile import Balance, read_balance
from streams.kafka.admin import PROTOCOL, broker_admin
from streams.kafka.event_publisher import EventPublisher, Sendable
from streams.kafka.lag import PartitionLag, group_lag, read_topics
from streams.settings import Settings, load_settings
from streams.simulation import Simulation
from streams.simulation.mess import SimulatedEvent
from tests.integration.naive_oracle import INTERACTION_COLUMNS, JOURNEY_COLUMNS, Ledger, Oracle, Row

PARTITIONS = 4
LOOK_SECONDS = 0.2
PATIENCE = 3.0
"""A loaded machine takes several times as long as a quiet one; what is waited for ends the wait anyway."""


class Dead(NamedTuple):
    """A record of the dead-letters topic."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


def needs_real_kafka() -> None:
    """Skip the test, with the reason, where the real Kafka cannot run."""
    try:
        find_java()
        find_maven()
    except EmbeddedError as error:
        pytest.skip(str(error))


def simulated(seed: int, customers: int, *, days: int = 25) -> list[SimulatedEvent]:
    """Events of the last `days`, in order of arrival: late, repeated, corrected and broken ones among them."""
    until = datetime.now(UTC) - timedelta(minutes=10)
    return list(Simulation(seed, customers, until, timedelta(days=days)).events())


def wait_until(holds: Callable[[], bool], seconds: float, seen: Callable[[], object]) -> float:
    """Look again and again until `holds`; the seconds it took. Fails with what was `seen` last."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds * PATIENCE:
            pytest.fail(f"not within {seconds * PATIENCE:g} s: {seen()}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - started


def _patient(target: ClickHouseTarget) -> InsertingClient:
    """A connection of the test's own: how long the workers wait for an answer is not how long a test does."""
    return connect(replace(target, timeout_seconds=30.0))


class Road:
    """A pipeline that runs."""

    def __init__(self, running: Pipeline, settings: Settings, said: list[str]) -> None:
        self.running = running
        self.settings = settings
        self.said = said
        self.published = 0
        self._client = _patient(running.servers.clickhouse)

    @property
    def workers(self) -> tuple[Child, ...]:
        """The worker processes, dead or alive."""
        return self.running.workers

    def topic(self, name: str) -> str:
        """A topic's full name."""
        return self.settings.kafka.prefix + name

    def publish(self, events: Iterable[Sendable], rate: float | None = None) -> None:
        """Publish as the demonstration does; return when the broker has acknowledged all."""
        publisher = EventPublisher(
            self.running.servers.kafka, lambda channel: self.topic(RAW[channel].name), rate=rate
        )
        self.published += publisher.run(events)

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """The rows of a query."""
        found: list[Row] = self._client.execute(sql, parameters or None)
        return found

    def balance(self) -> Balance:
        """The ledger as `touchline reconcile` reads it."""
        return read_balance(self._client)

    def ledger(self) -> Ledger:
        """Its totals."""
        balance = self.balance()
        return Ledger(*(balance.total(name) for name in ("received", "stored", "superseded", "dead")))

    def lags(self) -> list[PartitionLag]:
        """How far the workers are behind, on every topic that they read."""
        topics = read_topics(layout_of(self.settings.kafka))
        with broker_admin(self.running.servers.kafka) as admin:
            return group_lag(admin, self.settings.kafka.group, topics)

    def wait_until_balanced(self, seconds: float) -> float:
        """Wait until everything published is received and accounted for; the seconds it took."""
        balance = self.balance()

        def balanced() -> bool:
            nonlocal balance
            balance = self.balance()
            return balance.total("received") >= self.published and balance.balanced

        return wait_until(
            balanced,
            seconds,
            lambda: f"{self.published} published, {balance.sentence()}\n{self.account()}",
        )

    def interactions(self) -> list[Row]:
        """The view `interactions` in the oracle's columns, customers in clear text."""
        return sorted(
            tuple(tuple(sorted(cell.items())) if isinstance(cell, dict) else cell for cell in row)
            for row in self._in_clear(INTERACTION_COLUMNS, "interactions")
        )

    def journeys(self) -> list[Row]:
        """The view `journeys` in the oracle's columns, customers in clear text."""
        return sorted(
            tuple(
                tuple(cell) if isinstance(cell, list) else round(cell, 6) if isinstance(cell, float) else cell
                for cell in row
            )
            for row in self._in_clear(JOURNEY_COLUMNS, "journeys")
        )

    def _in_clear(self, columns: tuple[str, ...], view: str) -> list[Row]:
        """The rows of a view, with the customers that the hashes stand for."""
        private = private_database(self.running.servers.clickhouse.database)
        clear = dict(self.rows(f"SELECT name, clear_name FROM `{private}`.identifiers"))
        customer = columns.index("customer")
        return [
            (*row[:customer], clear.get(row[customer], row[customer]), *row[customer + 1 :])
            for row in self.rows(f"SELECT {', '.join(columns)} FROM {view}")
        ]

    def assert_as_computed_by(self, oracle: Oracle, seconds: float) -> None:
        """Ledger, dead letters, interactions and journeys are those of the oracle, once the watermark is there.

        Ledger and dead letters must hold at once. Interactions whose customer became another one are on their way for
        a moment, and a journey closes when the watermark gets there.
        """
        assert self.ledger() == oracle.ledger
        assert self.balance().balanced
        assert self.dead_values() == oracle.dead
        found: list[Row] = []
        expected: list[Row] = []

        def as_expected() -> bool:
            found[:], expected[:] = self.journeys(), oracle.journeys(datetime.now(UTC))
            if found != expected:
                return False
            found[:], expected[:] = self.interactions(), oracle.interactions
            return found == expected

        wait_until(as_expected, seconds, lambda: sorted(set(expected) ^ set(found), key=repr)[:4])

    def dead_values(self) -> list[bytes]:
        """The values of the dead letters in ClickHouse."""
        return sorted(bytes.fromhex(value) for (value,) in self.rows("SELECT hex(value) FROM dead_letters"))

    def records(self, name: str) -> list[ConsumerRecord]:
        """Every record of a topic, from its beginning to its end as of now."""
        topic = self.topic(name)
        consumer = KafkaConsumer(
            bootstrap_servers=self.running.servers.kafka.bootstrap,
            api_version=PROTOCOL,
            auto_offset_reset="earliest",
        )
        try:
            partitions = [TopicPartition(topic, number) for number in range(self.settings.kafka.partitions)]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + 30
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                assert time.monotonic() < deadline, f"{topic} cannot be read to its end"
                for records in consumer.poll(timeout_ms=500).values():
                    found.extend(record for record in records if record.offset < ends[partition_of(record)])
            return found
        finally:
            consumer.close()

    def dead_letters(self) -> list[Dead]:
        """Every record of the dead-letters topic; headers by name."""
        return [
            Dead(record.partition, record.key, record.value, dict(record.headers))
            for record in self.records("dead-letters")
        ]

    def account(self) -> str:
        """What the pipeline and its workers said, for a failure's message."""
        tails = [worker.account() for worker in self.workers]
        return "\n".join([*self.said[-10:], *tails])

    def reconnect(self) -> None:
        """After the test has restarted ClickHouse."""
        self._client.disconnect()
        self._client = _patient(self.running.servers.clickhouse)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()


def partition_of(record: ConsumerRecord) -> TopicPartition:
    """Where a record stands."""
    return TopicPartition(record.topic, record.partition)


def differences(found: list[Row], expected: list[Row]) -> None:
    """Fail with the first rows that are not in both."""
    if found == expected:
        return
    surplus, missing = set(found) - set(expected), set(expected) - set(found)
    pytest.fail(
        f"{len(found)} rows, expected {len(expected)}; {len(surplus)} are wrong, {len(missing)} are missing\n"
        + "\n".join(f"wrong:   {row}" for row in sorted(surplus, key=str)[:3])
        + "\n".join(f"\nmissing: {row}" for row in sorted(missing, key=str)[:3])
    )


@contextmanager
def open_road(
    home: Path, broker: str, *, workers: int | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Road]:
    """A pipeline in `home` for the length of the block, its dead workers restarted as `up` does.

    `broker` is `mock`, `kafka` or HOST:PORT; `workers` as many as `up` would start, that is one on the mock, whose
    groups now and then never answer a second member. `environ` are more settings. They reach the workers
    through the environment, as a user's do, so one such block may be open at a time.
    """
    variables = {
        "TOUCHLINE_HOME": str(home),
        "TOUCHLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "TOUCHLINE_LOCAL__KAFKA_PORT": "0",
        "TOUCHLINE_LOCAL__CLICKHOUSE_PORT": "0",
        "TOUCHLINE_LOCAL__CLICKHOUSE_HTTP_PORT": "0",
        "TOUCHLINE_WORKER__SESSION_TIMEOUT": "3",
        "TOUCHLINE_IDENTITY__CLEAR_TEXT": "true",  # what most tests compare; test_hashed_road.py hashes
        **(environ or {}),
    }
    said: list[str] = []
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in variables.items():
            environment.setenv(name, value)
        settings = load_settings(variables, home / "no-such.toml")
        running = stack.enter_context(pipeline(settings, broker, workers, said.append))
        watcher = threading.Thread(target=running.supervisor.wait, name="supervisor")
        watcher.start()
        stack.callback(watcher.join)
        stack.callback(running.supervisor.request_stop)
        road = Road(running, settings, said)
        stack.callback(road.close)
        yield road
