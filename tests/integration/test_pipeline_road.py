"""The road from raw topics to the views, on the mock broker and on the real Kafka, against a naive oracle."""

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from schemas.interaction import CONTROL_KEY, decode_watermarks
from schemas.topics import SOURCES
from streams.simulation.mess import SimulatedEvent
from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import (
    PARTITIONS,
    Road,
    needs_real_kafka,
    open_road,
    simulated,
    wait_until,
)

CUSTOMERS = 300


@pytest.fixture(
    scope="module", params=["mock", pytest.param("kafka", marks=pytest.mark.java)], ids=["mock", "kafka"]
)
def road(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """A pipeline: two workers on the real Kafka, one on the mock."""
    if request.param == "kafka":
        needs_real_kafka()
    workers = 2 if request.param == "kafka" else 1
    with open_road(tmp_path_factory.mktemp("road"), request.param, workers=workers) as running:
        yield running


@pytest.fixture(scope="module")
def events(road: Road) -> list[SimulatedEvent]:
    """A simulation that the pipeline has read to its end."""
    events = simulated(7, CUSTOMERS)
    road.publish(events)
    road.wait_until_balanced(45)
    return events


@pytest.fixture(scope="module")
def oracle(events: list[SimulatedEvent]) -> Oracle:
    return Oracle(events)


def test_ledger_rows_and_journeys_are_those_of_the_oracle(road: Road, oracle: Oracle) -> None:
    ledger = oracle.ledger
    assert min(ledger.stored, ledger.superseded, ledger.dead) > 0, "the simulation has all kinds of events"
    road.assert_as_computed_by(oracle, seconds=15)


def test_journeys_are_both_open_and_closed(road: Road, oracle: Oracle) -> None:
    statuses = {status for (status,) in road.rows("SELECT DISTINCT status FROM journeys")}
    assert statuses == {"open", "closed"}
    assert {customer for (customer,) in road.rows("SELECT customer FROM journeys")} == oracle.customers()


def test_no_retracted_journey_is_referred_to(road: Road, oracle: Oracle) -> None:
    assert oracle.interactions
    orphans = road.rows(
        "SELECT count() FROM interactions WHERE journey_id IS NOT NULL"
        " AND journey_id NOT IN (SELECT journey_id FROM journeys)"
    )
    assert orphans == [(0,)]


@pytest.mark.usefixtures("events")
def test_every_interaction_is_on_the_partition_of_its_customer(road: Road) -> None:
    # No customer's key begins with a NUL: those are control records, one for every partition.
    keys = [record for record in road.records("interactions") if not record.key.startswith(b"\x00")]
    assert len(keys) >= road.ledger().stored
    misplaced = [record for record in keys if record.partition != zlib.crc32(record.key) % PARTITIONS]
    assert misplaced == []
    customers = {customer for (customer,) in road.rows("SELECT DISTINCT customer FROM journeys")}
    assert customers <= {record.key.decode() for record in keys}


@pytest.mark.usefixtures("events")
def test_watermarks_reach_every_partition_from_every_source_partition(road: Road) -> None:
    controls = [record for record in road.records("interactions") if record.key == CONTROL_KEY]
    assert {record.partition for record in controls} == set(range(PARTITIONS))


@pytest.mark.usefixtures("events")
def test_workers_share_the_partitions_evenly(road: Road) -> None:
    # Each reports the watermarks of the raw partitions that it owns, and no other.
    def reported() -> set[frozenset[str]]:
        reports = [record for record in road.records("interactions") if record.key == CONTROL_KEY]
        latest = max(record.timestamp for record in reports) - 3_000
        marks = (decode_watermarks(record.value).marks for record in reports if record.timestamp > latest)
        return {frozenset(names) for names in marks if names}

    share = len(SOURCES) * PARTITIONS // len(road.workers)

    def shared() -> bool:
        sets = reported()
        return [len(names) for names in sets] == [share] * len(road.workers) and (
            len(frozenset.union(*sets)) == len(SOURCES) * PARTITIONS
        )

    wait_until(shared, 15, lambda: [sorted(names) for names in reported()])
    assert all(worker.running for worker in road.workers)


def _visit(number: int, **more: object) -> bytes:
    event = {
        "id": f"neighbour-{number}",
        "source": "test/соседи",
        "channel": "visit",
        "type": "visit",
        "occurred_at": datetime.now(UTC).isoformat(),
        "customer": {"crm_id": f"neighbour-{number}"},
    }
    return json.dumps(event | more, ensure_ascii=False).encode()


@pytest.mark.usefixtures("events")
def test_one_bad_record_becomes_a_dead_letter_and_its_neighbours_pass(road: Road) -> None:
    before = len(road.dead_letters())
    bad = b'\xff{"id": "neighbour-2"\n'
    headers = [("trace", b"\x00\xfe"), ("trace", b"again")]
    topic = road.topic("visit")
    producer = Producer(
        {"bootstrap.servers": road.running.servers.kafka.bootstrap, "linger.ms": 50, "acks": "all"}
    )
    delivered: list[int] = []
    for key, value in ((b"a", _visit(1)), (b"k\xff", bad), (b"b", _visit(3))):
        producer.produce(
            topic,
            value,
            key,
            partition=2,
            headers=headers,
            on_delivery=lambda _, m: delivered.append(m.offset()),
        )
    producer.flush(10)
    assert len(delivered) == 3
    road.published += 3
    road.wait_until_balanced(20)
    stored = road.rows(
        "SELECT id, topic, partition, offset FROM interactions WHERE startsWith(id, 'neighbour')"
    )
    assert sorted(stored) == [
        ("neighbour-1", topic, 2, delivered[0]),
        ("neighbour-3", topic, 2, delivered[2]),
    ]
    wait_until(lambda: len(road.dead_letters()) > before, 10, lambda: "no new dead letter")
    (letter,) = [letter for letter in road.dead_letters() if letter.value == bad]
    assert letter.key == b"k\xff"
    reasons = {name: value for name, value in letter.headers.items() if name.startswith("__connect.errors.")}
    assert reasons.pop("__connect.errors.exception.message")
    assert reasons == {
        "__connect.errors.topic": topic.encode(),
        "__connect.errors.partition": b"2",
        "__connect.errors.offset": str(delivered[1]).encode(),
        "__connect.errors.stage": b"decode",
        "__connect.errors.exception.class.name": reasons["__connect.errors.exception.class.name"],
    }
    (record,) = [record for record in road.records("dead-letters") if record.value == bad]
    assert list(record.headers)[:2] == headers
    (row,) = road.rows(
        "SELECT key, hex(value), headers, stage FROM dead_letters WHERE topic = %(topic)s AND offset = %(offset)s"
        " AND partition = 2",
        topic=topic,
        offset=delivered[1],
    )
    assert row[1:2] == (bad.hex().upper(),)
    assert row[3] == "decode"
