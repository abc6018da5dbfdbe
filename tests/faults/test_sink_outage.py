"""ClickHouse away under load: back-pressure, no dead letters, and everything arrives once it is back."""

import os
import signal
import time
from pathlib import Path

import pytest

from schemas.topics import RAW
from sinks.embedded.processes import Child
from streams.agents.outages import SPOKEN_EVERY
from tests.clickhouse_server import EmbeddedClickHouse
from tests.faults.broken_worker import broken_worker
from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import Road, needs_real_kafka, open_road, simulated, wait_until

OUTAGE_SECONDS = 10.0
STATEMENT_SECONDS = "2"


def environment(clickhouse: EmbeddedClickHouse) -> dict[str, str]:
    return {
        "TOUCHLINE_CLICKHOUSE__URL": f"clickhouse://127.0.0.1:{clickhouse.port}",
        "TOUCHLINE_CLICKHOUSE__TIMEOUT": STATEMENT_SECONDS,
    }


def raw_lag(road: Road) -> int:
    """Events that were published and not acknowledged."""
    raw = {road.topic(topic.name) for topic in RAW.values()}
    return sum(found.lag for found in road.lags() if found.topic in raw)


def wait_until_told(worker: Child, times: int) -> None:
    """Wait until the worker has said of so many outages that ClickHouse does not answer."""
    said = "ClickHouse unavailable"
    wait_until(lambda: worker.output().count(said) >= times, SPOKEN_EVERY + 15, worker.account)


def wait_until_told_of_the_end(worker: Child) -> None:
    """Wait until the worker has said that ClickHouse answers again: what comes then is another outage."""
    wait_until(lambda: "ClickHouse answers again" in worker.output(), 30, worker.account)


def server_pid(clickhouse: EmbeddedClickHouse) -> int:
    process = clickhouse._process
    assert process is not None
    return process.pid


@pytest.mark.timeout(400)
@pytest.mark.parametrize("broker", ["mock", pytest.param("kafka", marks=pytest.mark.java)])
def test_an_outage_is_waited_for(broker: str, clickhouse: EmbeddedClickHouse, tmp_path: Path) -> None:
    if broker == "kafka":
        needs_real_kafka()
    events = simulated(31, 250)
    third = len(events) // 3
    with open_road(tmp_path / "home", broker, environ=environment(clickhouse)) as road:
        road.publish(events[:third])
        road.wait_until_balanced(30)
        workers = [worker.pid for worker in road.workers]
        letters = len(road.dead_letters())

        # It hangs: connections stay open and nothing answers.
        frozen = server_pid(clickhouse)
        os.kill(frozen, signal.SIGSTOP)
        began = time.monotonic()
        try:
            road.publish(events[third : 2 * third])
            wait_until_told(road.workers[0], times=1)
            assert raw_lag(road) >= third, "nothing is acknowledged that is not written"
            wait_until(lambda: time.monotonic() - began > OUTAGE_SECONDS, 60, lambda: "")
            assert raw_lag(road) >= third
        finally:
            os.kill(frozen, signal.SIGCONT)
        road.wait_until_balanced(45)
        wait_until_told_of_the_end(road.workers[0])
        assert [worker.pid for worker in road.workers] == workers, "an outage is no reason to start anew"

        # It is gone, and a worker dies meanwhile with batches that only it has read.
        clickhouse.kill()
        road.publish(events[2 * third :])
        wait_until_told(road.workers[0], times=2)
        os.kill(workers[0], signal.SIGKILL)
        clickhouse.start()
        road.reconnect()
        road.wait_until_balanced(60)
        oracle = Oracle(events)
        road.assert_as_computed_by(oracle, 15)
        known = {letter.value for letter in road.dead_letters()}
        assert letters <= len(known)
        assert known == set(oracle.dead), "an outage makes no dead letters"


def test_a_worker_that_acknowledges_before_the_write_is_found_out(
    clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    """The control: the same outage and the same kill lose events when the protocol's order is broken."""
    events = simulated(32, 60)
    with open_road(tmp_path / "home", "mock", workers=1, environ=environment(clickhouse)) as road:
        (honest,) = road.workers
        assert honest.stop() == 0
        eager = broken_worker("tests.faults.eager_worker", road=road, log=tmp_path / "eager.log")
        eager.start()
        try:
            clickhouse.kill()
            road.publish(events)
            wait_until(lambda: raw_lag(road) == 0, 30, eager.account)
            os.kill(eager.pid, signal.SIGKILL)
        finally:
            eager.stop()
        clickhouse.start()
        road.reconnect()
        honest.start()
        assert raw_lag(road) == 0, "all was acknowledged, nothing will be read again"
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            road.wait_until_balanced(3)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            road.assert_as_computed_by(Oracle(events), 1)
        assert road.ledger().received < Oracle(events).ledger.received
