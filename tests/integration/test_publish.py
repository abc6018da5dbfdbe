"""Publishing to a broker: files with kafka-python through the command, a simulation at a rate."""

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, TopicPartition

from schemas.codec import Decoder
from schemas.topics import RAW
from sinks.embedded.kafka.mock import MockBroker, create_topic
from streams.commands.failures import CommandFailed
from streams.commands.publish import publish
from streams.kafka.access import KafkaAccess
from streams.kafka.addressing import EventAddressing
from streams.kafka.admin import PROTOCOL
from streams.kafka.event_publisher import EventPublisher
from streams.kafka.publishing import BrokerSilent, LinePublisher, lines_of
from streams.simulation import Simulation

PARTITIONS = 3


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockBroker]:
    with MockBroker(tmp_path_factory.mktemp("mock") / "log") as running:
        yield running


@pytest.fixture
def prefix(broker: MockBroker, request: pytest.FixtureRequest) -> str:
    """Topics of this test's own."""
    name = f"{request.node.name.replace('[', '-').replace(']', '')}."
    for topic in RAW.values():
        create_topic(broker.control, topic.full_name(name), PARTITIONS)
    return name


def records(broker: MockBroker, topic: str) -> list[Any]:
    """All records of a topic, by partition and offset."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap, api_version=PROTOCOL, enable_auto_commit=False
    )
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    left = sum(consumer.end_offsets(partitions).values())
    found: list[Any] = []
    while len(found) < left:
        for batch in consumer.poll(timeout_ms=1_000).values():
            found += batch
    consumer.close()
    return found


def run(broker: MockBroker, prefix: str, *arguments: str, stdin: bytes | None = None) -> Result:
    environment = {"TOUCHLINE_KAFKA__BOOTSTRAP": broker.bootstrap, "TOUCHLINE_KAFKA__PREFIX": prefix}
    return CliRunner().invoke(publish, arguments, input=stdin, env=environment)


def simulated_lines(number: int) -> list[bytes]:
    """Valid events that need no headers."""
    events = Simulation(1, 200, datetime.now(UTC) - timedelta(hours=1)).events()
    plain = (
        event.value
        for event in events
        if event.defect is None and not any(name.startswith("ce_") for name, _ in event.headers)
    )
    return list(islice(plain, number))


def test_a_file_is_published_byte_for_byte_and_its_wrong_lines_are_named(
    broker: MockBroker, prefix: str, tmp_path: Path
) -> None:
    lines = simulated_lines(400)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([*lines[:200], b'{"id": "x"}', b"", *lines[200:], b"oops"]) + b"\n")
    result = run(broker, prefix, str(file), "--json")
    assert json.loads(result.stdout) == {"read": 402, "published": 400, "rejected": 2}
    assert result.exit_code == 1
    assert f"{file}:201: " in result.stderr
    assert f"{file}:403: " in result.stderr
    published = [
        record.value for topic in RAW.values() for record in records(broker, topic.full_name(prefix))
    ]
    assert sorted(published) == sorted(lines)


def test_standard_input_is_read_and_all_well_is_status_zero(broker: MockBroker, prefix: str) -> None:
    lines = simulated_lines(20)
    result = run(broker, prefix, "-", "--json", stdin=b"\r\n".join(lines))
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"read": 20, "published": 20, "rejected": 0}


def test_revisions_of_one_interaction_stay_in_order_on_one_partition(
    broker: MockBroker, prefix: str, tmp_path: Path
) -> None:
    body = {"source": "desk", "channel": "visit", "type": "visit", "occurred_at": "2026-03-01T10:00:00Z"}
    lines = [
        json.dumps({"id": f"v{number}", "revision": revision, "customer": {}, **body})
        for revision in range(5)
        for number in range(20)
    ]
    file = tmp_path / "visits.jsonl"
    file.write_text("\n".join(lines))
    assert run(broker, prefix, str(file), "--channel", "visit").exit_code == 0
    found: dict[str, list[tuple[int, int]]] = {}
    for record in records(broker, RAW["visit"].full_name(prefix)):
        event = json.loads(record.value)
        found.setdefault(event["id"], []).append((record.partition, event["revision"]))
    assert len(found) == 20
    for places in found.values():
        assert len({partition for partition, _ in places}) == 1
        assert [revision for _, revision in places] == [0, 1, 2, 3, 4]


def test_what_is_invalid_reaches_the_broker_when_allowed(broker: MockBroker, prefix: str) -> None:
    result = run(broker, prefix, "-", "--json", "--allow-invalid", stdin=b'{"channel": "email", "id": 5}')
    assert result.exit_code == 0, result.stderr
    assert [record.value for record in records(broker, RAW["email"].full_name(prefix))] == [
        b'{"channel": "email", "id": 5}'
    ]


def test_a_simulation_arrives_whole_with_keys_and_headers(broker: MockBroker, prefix: str) -> None:
    events = list(Simulation(2, 60, datetime(2026, 3, 1, tzinfo=UTC)).events())
    publisher = EventPublisher(KafkaAccess(broker.bootstrap), lambda channel: RAW[channel].full_name(prefix))
    assert publisher.run(events) == len(events) == publisher.published
    for channel, topic in RAW.items():
        arrived = sorted(
            (record.value, record.key or b"", tuple(record.headers))
            for record in records(broker, topic.full_name(prefix))
        )
        assert arrived == sorted(
            (event.value, event.key or b"", event.headers) for event in events if event.channel == channel
        )


def test_a_held_publisher_sends_nothing_until_it_may_and_stops_when_told(
    broker: MockBroker, prefix: str
) -> None:
    events = Simulation(2, 60, datetime(2026, 3, 1, tzinfo=UTC)).events()
    asked = 0

    def hold() -> bool:
        nonlocal asked
        asked += 1
        if asked <= 3:
            assert publisher.sent == 0
            return True
        if publisher.sent >= 100:
            publisher.stop()
        return False

    publisher = EventPublisher(
        KafkaAccess(broker.bootstrap), lambda channel: RAW[channel].full_name(prefix), rate=5_000.0, hold=hold
    )
    sent = publisher.run(events)
    assert asked > 3
    assert 100 <= sent == publisher.published < 100 + 2 * 500


def test_a_missing_topic_is_said_at_once_with_what_to_do(broker: MockBroker) -> None:
    result = run(broker, "nowhere.", "-", stdin=b"{}")
    assert isinstance(result.exception, CommandFailed)
    assert "nowhere.phone" in result.exception.reason
    assert "touchline migrate" in result.exception.what_to_do


def test_a_broker_that_falls_silent_is_an_error_that_names_it() -> None:
    publisher = LinePublisher(
        KafkaAccess("127.0.0.1:1"),
        EventAddressing(lambda channel: RAW[channel].full_name(), Decoder("BG", 0, lambda *_: None)),
        clock=lambda: time.time_ns() // 1_000,
        silence=0.3,
        topics_on=lambda _: {topic.full_name() for topic in RAW.values()},
    )
    with pytest.raises(BrokerSilent, match=r"127\.0\.0\.1:1 stopped answering after 0 lines"):
        publisher.publish(lines_of("f", io.BytesIO(simulated_lines(1)[0])))
