"""The embedded brokers as our two clients meet them: the real Kafka and the mock through the same tests."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, NewTopic

from sinks.embedded.errors import HomeInUseError, PortTakenError, ToolMissingError
from sinks.embedded.kafka.broker import KafkaBroker, KafkaRuntime
from sinks.embedded.kafka.install import install_kafka
from sinks.embedded.kafka.java import find_java
from sinks.embedded.kafka.maven import find_maven
from sinks.embedded.kafka.mock import CLIENT_API_VERSION, MockBroker, create_topic
from sinks.embedded.ports import free_port

RECORDS = 200
_numbers = itertools.count(1)


@dataclass
class Served:
    """A running broker, the options that kafka-python needs for it, and how a topic is made there."""

    bootstrap: str
    options: dict[str, object]
    make_topic: Callable[[str, int, dict[str, str]], object]

    def topic(self, partitions: int, **configs: str) -> str:
        name = f"topic-{next(_numbers)}"
        self.make_topic(name, partitions, {key.replace("_", "."): value for key, value in configs.items()})
        return name


def create_in_kafka(bootstrap: str) -> Callable[[str, int, dict[str, str]], object]:
    def create(name: str, partitions: int, configs: dict[str, str]) -> None:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        with contextlib.closing(admin):
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])

    return create


@pytest.fixture(scope="session")
def runtime() -> KafkaRuntime:
    try:
        find_java()
        find_maven()
    except ToolMissingError as missing:
        pytest.skip(str(missing))
    return install_kafka(print)


@pytest.fixture(scope="module")
def kafka(runtime, tmp_path_factory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("kafka") / "дом с пробелом"
    with KafkaBroker(directory, free_port(), runtime) as broker:
        yield Served(broker.bootstrap, {}, create_in_kafka(broker.bootstrap))


@pytest.fixture(scope="module")
def mock(tmp_path_factory) -> Iterator[Served]:
    with MockBroker(tmp_path_factory.mktemp("mock") / "mock.log") as broker:
        yield Served(
            broker.bootstrap,
            {"api_version": CLIENT_API_VERSION},
            lambda name, partitions, _configs: create_topic(broker.control, name, partitions),
        )


@pytest.fixture(params=["mock", pytest.param("kafka", marks=pytest.mark.java)])
def served(request) -> Served:
    return request.getfixturevalue(request.param)


def publish(bootstrap, topic, numbers, **options):
    """Publish with kafka-python; all are acknowledged on return."""
    with contextlib.closing(KafkaProducer(bootstrap_servers=bootstrap, acks="all", **options)) as producer:
        sent = [producer.send(topic, key=b"%d" % number, value=b"%d" % number) for number in numbers]
        for acknowledged in sent:
            acknowledged.get(timeout=30)


def consume(bootstrap, topic, count, group=None, **options):
    """Read `count` records with kafka-python and commit when in a group; fewer come back after 15 s."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=15_000,
        # The mock lets a group stand still for about this long after a member has left.
        session_timeout_ms=1500,
        heartbeat_interval_ms=500,
        # kafka-python 3.0.12 may connect and ask for no topic while it subscribes; it asks again at this age.
        metadata_max_age_ms=1000,
        **options,
    )
    with contextlib.closing(consumer):
        values = [int(record.value) for record in itertools.islice(consumer, count)]
        if group:
            consumer.commit()
    return values


@contextlib.asynccontextmanager
async def member(bootstrap, topic, group):
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        rebalance_timeout_ms=6000,
        metadata_max_age_ms=1000,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def test_what_kafka_python_publishes_it_reads(served):
    topic = served.topic(8)
    publish(served.bootstrap, topic, range(RECORDS), **served.options)
    assert sorted(consume(served.bootstrap, topic, RECORDS, **served.options)) == list(range(RECORDS))


async def test_what_aiokafka_publishes_as_a_batch_it_reads_in_order(served):
    topic = served.topic(8)
    async with (
        asyncio.timeout(30),
        AIOKafkaProducer(bootstrap_servers=served.bootstrap, acks="all") as producer,
    ):
        batch = producer.create_batch()
        for number in range(RECORDS):
            assert batch.append(key=b"k", value=b"%d" % number, timestamp=None)
        await (await producer.send_batch(batch, topic, partition=5))
        async with member(served.bootstrap, topic, group=None) as consumer:
            values = [int((await consumer.getone()).value) for _ in range(RECORDS)]
            assert values == list(range(RECORDS))
            ends = await consumer.end_offsets([TopicPartition(topic, 5), TopicPartition(topic, 4)])
            assert list(ends.values()) == [RECORDS, 0]


def test_a_group_goes_on_from_its_commit(served):
    topic, group = served.topic(8), f"group-{next(_numbers)}"
    publish(served.bootstrap, topic, range(RECORDS), **served.options)
    read = consume(served.bootstrap, topic, RECORDS // 2, group, **served.options)
    read += consume(served.bootstrap, topic, RECORDS - len(read), group, **served.options)
    assert sorted(read) == list(range(RECORDS))


@pytest.mark.java
async def test_two_members_share_the_partitions_and_a_third_reading_goes_on_from_the_commit(kafka):
    topic, group = kafka.topic(8), f"group-{next(_numbers)}"
    async with (
        asyncio.timeout(60),
        member(kafka.bootstrap, topic, group) as one,
        member(kafka.bootstrap, topic, group) as two,
    ):
        while {len(one.assignment()), len(two.assignment())} != {4}:
            await asyncio.gather(one.getmany(timeout_ms=50), two.getmany(timeout_ms=50))
        assert not one.assignment() & two.assignment()
        await asyncio.to_thread(publish, kafka.bootstrap, topic, range(RECORDS))
        seen = {one: [], two: []}
        while sum(map(len, seen.values())) < RECORDS:
            for consumer in seen:
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    seen[consumer] += [int(record.value) for record in records]
        assert seen[one]
        assert seen[two]
        assert sorted(seen[one] + seen[two]) == list(range(RECORDS))
        await one.commit()
        await two.commit()
    await asyncio.to_thread(publish, kafka.bootstrap, topic, [RECORDS])
    later = await asyncio.to_thread(consume, kafka.bootstrap, topic, 1, group)
    assert later == [RECORDS]


@pytest.mark.java
def test_kafka_keeps_the_policy_of_a_compacted_topic(kafka):
    topic = kafka.topic(1, cleanup_policy="compact")
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        described = admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
    (found,) = (topics[topic] for topics in described.values())
    assert found["cleanup.policy"]["value"] == "compact"
    assert found["retention.ms"]["value"] == "-1"


@pytest.mark.java
def test_kafka_makes_no_topic_by_itself(kafka):
    with contextlib.closing(KafkaConsumer(bootstrap_servers=kafka.bootstrap)) as consumer:
        assert not consumer.partitions_for_topic("never-made")
        assert "never-made" not in consumer.topics()


@pytest.mark.java
def test_acknowledged_records_and_committed_offsets_survive_a_stop_and_a_kill(runtime, tmp_path):
    broker = KafkaBroker(tmp_path, free_port(), runtime)
    try:
        broker.start()
        cluster = broker.cluster_id
        create_in_kafka(broker.bootstrap)("topic", 4, {})
        read = []
        for life, end in enumerate([signal.SIGTERM, signal.SIGKILL]):
            publish(broker.bootstrap, "topic", range(life * RECORDS, (life + 1) * RECORDS))
            read += consume(broker.bootstrap, "topic", RECORDS // 2, "group")
            os.kill(broker.child.pid, end)
            broker.stop()
            broker.start()
        read += consume(broker.bootstrap, "topic", RECORDS, "group")
        assert sorted(read) == list(range(2 * RECORDS))
        assert broker.cluster_id == cluster
    finally:
        broker.stop()


@pytest.mark.java
def test_a_taken_port_is_refused_before_anything_starts(runtime, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        broker = KafkaBroker(tmp_path / "kafka", other.getsockname()[1], runtime)
        with pytest.raises(PortTakenError, match="TOUCHLINE_LOCAL__KAFKA_PORT"):
            broker.start()
    assert not (tmp_path / "kafka").exists()


@pytest.mark.java
def test_a_second_broker_on_the_same_data_fails_and_says_why(runtime, tmp_path):
    with KafkaBroker(tmp_path, free_port(), runtime) as first:
        with pytest.raises(HomeInUseError, match="Another Kafka"):
            KafkaBroker(tmp_path, free_port(), runtime).start()
        create_in_kafka(first.bootstrap)("the-first-still-works", 1, {})
