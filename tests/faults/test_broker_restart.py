"""The broker stops, or is killed, while events are published: what it has acknowledged comes through."""

import os
import signal
from pathlib import Path

import pytest

from schemas.topics import RAW
from sinks.embedded.kafka.broker import KafkaBroker
from sinks.embedded.kafka.install import install_kafka
from sinks.embedded.ports import free_port
from tests.faults.test_worker_killed import publishing, wait_until_received
from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import Road, needs_real_kafka, open_road, simulated, wait_until

pytestmark = pytest.mark.java


def records_on_broker(road: Road) -> int:
    """How many records the raw topics hold: a producer that got no answer may have sent some twice."""
    raw = {road.topic(topic.name) for topic in RAW.values()}
    return sum(found.end for found in road.lags() if found.topic in raw)


def test_a_broker_that_stops_and_one_that_is_killed_lose_nothing(tmp_path: Path) -> None:
    needs_real_kafka()
    events = simulated(41, 900)
    oracle = Oracle(events)
    broker = KafkaBroker(tmp_path / "kafka", free_port(), install_kafka(lambda _said: None))
    with broker, open_road(tmp_path / "home", broker.bootstrap, workers=2) as road:
        with publishing(road, events, rate=500):
            wait_until_received(road, len(events) // 5)
            broker.stop()
            broker.start()
            wait_until_received(road, len(events) // 5 * 3)
            os.kill(broker.child.pid, signal.SIGKILL)
            broker.stop()
            broker.start()
        road.published = records_on_broker(road)
        assert road.published >= len(events)
        road.wait_until_balanced(120)
        found = road.ledger()
        assert found.received == road.published
        assert found.stored == oracle.ledger.stored
        wait_until(
            lambda: road.interactions() == oracle.interactions,
            30,
            lambda: sorted(set(road.interactions()) ^ set(oracle.interactions), key=repr)[:4],
        )
        assert {row[0] for row in road.journeys()} == {row[0] for row in oracle.journeys(oracle.newest())}
