import asyncio
import json
import socket

import pytest
from aiokafka import AIOKafkaConsumer
from kafka import KafkaConsumer

from sinks.embedded.kafka.mock import CLIENT_API_VERSION, LIMITS, MockBroker, create_topic, main


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    with MockBroker(tmp_path_factory.mktemp("mock") / "mock.log", {"one": 1, "eight": 8}) as broker:
        yield broker


def partitions(mock, topic):
    consumer = KafkaConsumer(bootstrap_servers=mock.bootstrap, api_version=CLIENT_API_VERSION)
    try:
        return consumer.partitions_for_topic(topic)
    finally:
        consumer.close()


@pytest.mark.parametrize(("topic", "count"), [("one", 1), ("eight", 8)])
def test_topics_of_the_command_line_have_their_partitions(mock, topic, count):
    assert partitions(mock, topic) == set(range(count))


def test_a_running_mock_takes_more_topics(mock):
    assert create_topic(mock.control, "later", 5) is True
    assert partitions(mock, "later") == set(range(5))


def test_a_topic_that_exists_is_left_as_it_is(mock):
    assert create_topic(mock.control, "one", 3) is False
    assert partitions(mock, "one") == {0}


@pytest.mark.parametrize(("name", "count"), [("", 1), ("none", 0), ("negative", -1), ("huge", 10_001)])
def test_a_senseless_topic_is_refused_and_the_mock_lives_on(mock, name, count):
    with pytest.raises(ValueError, match=r"1 to 10,000 partitions"):
        create_topic(mock.control, name, count)
    assert create_topic(mock.control, f"after-{name}", 1) is True


@pytest.mark.parametrize(
    "line", [b"hello\n", b"[]\n", b"{}\n", b'{"create_topic": 1, "partitions": 1}\n', b"\n"]
)
def test_an_order_that_makes_no_sense_is_answered_with_an_error(mock, line):
    host, _, port = mock.control.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(line)
        assert "error" in json.loads(connection.makefile().readline())


def test_the_ready_line_says_what_this_is_not_for(mock):
    assert tuple(mock.prepare().announced["limits"]) == LIMITS


async def test_an_unknown_topic_comes_into_being_with_four_partitions(mock):
    consumer = AIOKafkaConsumer("surprise", bootstrap_servers=mock.bootstrap)
    async with asyncio.timeout(10):
        await consumer.start()
    try:
        assert consumer.partitions_for_topic("surprise") == {0, 1, 2, 3}
    finally:
        await consumer.stop()


def test_it_stops_cleanly(tmp_path):
    assert MockBroker(tmp_path / "mock.log").start().stop() == 0


@pytest.mark.parametrize("topic", ["nameless", ":3", "name:", "name:-1", "name:x"])
def test_a_topic_option_without_name_and_number_is_refused(topic, capsys):
    with pytest.raises(SystemExit):
        main(["--topic", topic])
    assert "is not NAME:PARTITIONS" in capsys.readouterr().err
