"""A worker is killed while customers are forgotten: whoever follows forgets the rest, and nobody comes back."""

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

from schemas.erasures import encode_erasure, erasure_key, erasure_parts
from schemas.topics import ERASURES
from sinks.clickhouse.pseudonyms import CLEAR
from streams.kafka.admin import PROTOCOL
from tests.faults.broken_worker import PLACES_AND_BROKERS, broken_worker
from tests.faults.test_merge_killed import address, mail
from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import PARTITIONS, Road, needs_real_kafka, open_road, wait_until

CUSTOMERS = 24
FORGOTTEN = range(0, CUSTOMERS, 2)
MAILS = [mail(n, nth, email=address(n)) for nth in (0, 1) for n in range(CUSTOMERS)]
GONE = [one for number, one in enumerate(MAILS) if number % CUSTOMERS in FORGOTTEN]
STAYING = [one for number, one in enumerate(MAILS) if number % CUSTOMERS not in FORGOTTEN]


def publish_erasure(road: Road) -> str:
    """Say that they are forgotten; the erasure's id."""
    id_ = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:32]
    producer = KafkaProducer(bootstrap_servers=road.running.servers.kafka.bootstrap, api_version=PROTOCOL)
    parts = erasure_parts(
        id_,
        0,
        [CLEAR.erased_customer(f"email:{address(n)}") for n in FORGOTTEN],
        [CLEAR.erased_identity("mail", f"{n}-{nth}") for n in FORGOTTEN for nth in (0, 1)],
    )
    try:
        for part in parts:
            sent = producer.send(
                road.topic(ERASURES.name), key=erasure_key(part), value=encode_erasure(part), partition=0
            )
            sent.get(timeout=30)
    finally:
        producer.close()
    return id_


def compacted(records: list[ConsumerRecord]) -> dict[tuple[int, bytes], bytes]:
    """What compaction leaves of a topic."""
    last = {(record.partition, record.key): record.value for record in records}
    return {key: value for key, value in last.items() if value is not None}


def findings(road: Road) -> list[tuple[str]]:
    """The customers of all that was found of bad treatment."""
    return road.rows("SELECT customer FROM findings WHERE rule = 'bad_treatment'")


def assert_forgotten(road: Road) -> None:
    """No state of them is left in a changelog, and all findings and lights that stand are others'."""
    names = [address(n).encode() for n in FORGOTTEN]
    for topic in ("timelines", "alert-books"):
        for (_, key), value in compacted(road.records(topic)).items():
            assert not any(name in key or name in value for name in names)
    customers = {f"email:{address(n)}" for n in range(CUSTOMERS) if n not in FORGOTTEN}
    for view in ("findings", "lights", "journeys"):
        state = " WHERE state != 'withdrawn'" if view == "findings" else ""
        assert {customer for (customer,) in road.rows(f"SELECT customer FROM {view}{state}")} == customers


@pytest.mark.parametrize(("place", "broker"), PLACES_AND_BROKERS)
def test_a_worker_killed_while_customers_are_forgotten(place: str, broker: str, tmp_path: Path) -> None:
    if broker == "kafka":
        needs_real_kafka()
    with open_road(tmp_path / "home", broker, workers=1) as road:
        road.publish(MAILS)
        road.wait_until_balanced(30)
        wait_until(lambda: len(findings(road)) == len(MAILS), 30, lambda: findings(road))
        (honest,) = road.workers
        assert honest.stop() == 0
        id_ = publish_erasure(road)
        dying = broken_worker("tests.faults.dying_worker", place, road=road, log=tmp_path / "dying.log")
        dying.start()
        try:
            wait_until(lambda: not dying.running, 30, dying.account)
        finally:
            dying.stop()
        honest.launch()

        def done() -> set[int]:
            rows = road.rows("SELECT DISTINCT partition FROM erasures_done_raw WHERE id = %(id)s", id=id_)
            return {number for (number,) in rows}

        wait_until(lambda: done() == set(range(PARTITIONS)), 45, lambda: f"{done()}\n{road.account()}")
        assert_forgotten(road)
        road.publish(GONE)
        road.wait_until_balanced(30)
        assert_forgotten(road)
        assert road.journeys() == Oracle(STAYING).journeys(datetime.now(UTC))
        ledger = road.ledger()
        assert (ledger.received, ledger.dead) == (len(MAILS) + len(GONE), 0)
        assert ledger.superseded == 2 * len(GONE)
