"""`touchline identity` and `publish --identity` against a broker; the worker's part is played by a few lines here."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.identity import FactDecoder
from schemas.links import Link, Record, Statement, encode_record, record_key
from schemas.topics import ALL, IDENTITY, LINKS
from sinks.embedded.kafka.mock import MockBroker, create_topic
from streams.cli import cli
from streams.kafka.admin import PROTOCOL

PARTITIONS = 2
FUTURE = 60_000_000
PHONE = "phone:+359888123456"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockBroker]:
    with MockBroker(tmp_path_factory.mktemp("mock") / "log") as running:
        yield running


class House:
    """Topics of one test's own, and what a user does with them."""

    def __init__(self, broker: MockBroker, prefix: str, home: Path) -> None:
        self.broker, self.prefix = broker, prefix
        self.environment = {
            "TOUCHLINE_HOME": str(home),
            "TOUCHLINE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "TOUCHLINE_KAFKA__PREFIX": prefix,
        }
        for topic in ALL:
            create_topic(broker.control, topic.full_name(prefix), topic.partitions(PARTITIONS))

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, arguments, input=stdin, env=self.environment)

    def log(self, *records: Record | tuple[bytes, None]) -> None:
        """Write to the log of links as workers do; `(key, None)` forgets."""
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, api_version=PROTOCOL)
        topic = LINKS.full_name(self.prefix)
        for record in records:
            if isinstance(record, tuple):
                producer.send(topic, key=record[0], value=None, partition=0)
            else:
                producer.send(topic, key=record_key(record), value=encode_record(record), partition=0)
        producer.close()

    def consumer(self, topic: str, partitions: int) -> KafkaConsumer:
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, api_version=PROTOCOL, auto_offset_reset="earliest"
        )
        consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        return consumer

    def facts(self, number: int) -> list[Any]:
        """The first so many records of the identity topic."""
        consumer = self.consumer(IDENTITY.full_name(self.prefix), PARTITIONS)
        found: list[Any] = []
        while len(found) < number:
            polled = consumer.poll(timeout_ms=10_000)
            assert polled, f"only {len(found)} facts of {number} came"
            found += [record for records in polled.values() for record in records]
        consumer.close()
        return found

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Puts facts into the log of links for the length of the block."""
        stopping = threading.Event()
        consumer = self.consumer(IDENTITY.full_name(self.prefix), PARTITIONS)

        def work() -> None:
            decoder = FactDecoder("BG", FUTURE)
            while not stopping.is_set():
                for records in consumer.poll(timeout_ms=50).values():
                    told = [decoder.decode(one.value, (), one.timestamp * 1_000 + FUTURE) for one in records]
                    self.log(*(one for one in told if isinstance(one, Statement)))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            consumer.close()


@pytest.fixture
def house(broker: MockBroker, request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(broker, f"{request.node.name}.", tmp_path)


def test_link_waits_until_it_is_taken_in_and_unlink_outranks_it(house: House) -> None:
    with house.worker():
        linked = house.run(
            "identity", "link", "crm:A1", "phone:0888 123 456", "--reason", "called", "--as", "ann", "--json"
        )
        assert linked.exit_code == 0, linked.output
        said = json.loads(linked.stdout)
        assert (said["operation"], said["taken_in"], said["source"]) == ("link", True, "operator:ann")
        assert said["identifiers"] == ["crm:A1", PHONE]
        shown = json.loads(house.run("identity", "show", PHONE, "--json").stdout)
        assert shown["customer"] == "crm:A1"
        assert shown["links"][0]["statements"][0]["reason"] == "called"

        assert house.run("identity", "unlink", "crm:A1", PHONE, "--reason", "wrong").exit_code == 0
        shown = json.loads(house.run("identity", "show", PHONE, "--json").stdout)
        assert shown["customer"] == PHONE
        assert [one["operation"] for one in shown["links"][0]["statements"]] == ["link", "unlink"]
        assert "wrong" in shown["links"][0]["why_not"]


def test_without_a_worker_it_is_published_and_that_is_said(house: House) -> None:
    result = house.run("identity", "link", "crm:A1", PHONE, "--reason", "called", "--wait", "0.5s", "--json")
    assert json.loads(result.stdout)["taken_in"] is False
    assert "it is published, but no worker" in str(result.exception)
    (fact,) = house.facts(1)
    told = FactDecoder("BG", FUTURE).decode(fact.value, (), fact.timestamp * 1_000 + FUTURE)
    assert isinstance(told, Statement)
    assert fact.key.decode() == f"{told.source}\x1f{told.id}"


def test_who_does_not_want_to_wait_does_not(house: House) -> None:
    result = house.run("identity", "unlink", "crm:A1", PHONE, "--reason", "wrong", "--wait", "0s")
    assert result.exit_code == 0, result.output
    assert "kept apart by operator:" in result.stdout
    assert len(house.facts(1)) == 1


def test_show_unites_what_two_workers_wrote_and_heeds_what_is_forgotten(house: House) -> None:
    early, late = Link("crm:A1", PHONE, 10, 0, "desk\x1f1"), Link("crm:A1", PHONE, 20, 0, "desk\x1f2")
    gone = Link("crm:A1", "device:d", 5, 0, "web\x1f3")
    house.log(early, gone, late, (record_key(gone), None))
    shown = json.loads(house.run("identity", "show", "phone:+359 888 123456", "--json").stdout)
    assert [one["identifier"] for one in shown["identifiers"]] == ["crm:A1", PHONE]
    (link,) = shown["links"]
    assert link["evidence"] == {"source": "desk", "id": "1"}
    assert "belongs to crm:A1" in house.run("identity", "show", PHONE).stdout


def test_show_of_what_nobody_ever_saw(house: House) -> None:
    result = house.run("identity", "show", "crm:nobody")
    assert result.exit_code == 0, result.output
    assert "no links" in result.stdout


def test_facts_of_a_file_are_published_and_wrong_lines_named(house: House, tmp_path: Path) -> None:
    fact = {
        "id": "c-1",
        "source": "crm",
        "occurred_at": "2026-03-01T10:00:00Z",
        "operation": "link",
        "identifiers": {"crm_id": "A1", "phone": ["0888 123 456", "0888 123 457"]},
    }
    lines = [json.dumps(fact), json.dumps(fact | {"operation": "marry"}), json.dumps(fact | {"revision": 1})]
    file = tmp_path / "facts.jsonl"
    file.write_text("\n".join(lines))
    result = house.run("publish", "--identity", str(file), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"read": 3, "published": 2, "rejected": 1}
    assert f"{file}:2: operation" in result.stderr
    published = house.facts(2)
    assert [record.value.decode() for record in published] == [lines[0], lines[2]]
    assert {(record.key, record.partition) for record in published} == {
        (b"crm\x1fc-1", published[0].partition)
    }


def test_options_of_events_are_no_options_of_facts(house: House) -> None:
    result = house.run("publish", "--identity", "--channel", "phone", "-", stdin="")
    assert result.exit_code == 2
    assert "--channel" in result.output
