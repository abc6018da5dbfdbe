"""Workers that die, or stop breathing, under load: nothing is lost and nothing shows twice."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from streams.simulation.mess import SimulatedEvent
from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import Road, needs_real_kafka, open_road, simulated, wait_until


@contextmanager
def publishing(road: Road, events: list[SimulatedEvent], rate: float) -> Iterator[None]:
    """Publish at that rate beside the block; at its end all of it is published."""
    failures: list[BaseException] = []

    def publish() -> None:
        try:
            road.publish(events, rate)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=publish, name="publisher")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert failures == []


def wait_until_received(road: Road, number: int) -> None:
    """Wait until the ledger knows that many events."""
    wait_until(
        lambda: road.ledger().received >= number,
        60,
        lambda: f"{road.ledger()}, wanted {number} received\n{road.account()}",
    )


def kill(road: Road, number: int) -> int:
    """SIGKILL one worker, once the supervisor has started it if it died before; the pid that is gone."""
    worker = road.workers[number]
    wait_until(lambda: worker.running, 60, worker.account)
    pid = worker.pid
    os.kill(pid, signal.SIGKILL)
    return pid


def wait_until_ready_again(road: Road, number: int, gone: int) -> None:
    """Wait until the supervisor has another process in its place and that one has its partitions."""
    worker = road.workers[number]
    wait_until(lambda: worker.pid != gone and '{"ready": true}' in worker.output(), 60, worker.account)


def assert_recovered(road: Road, number: int) -> None:
    """The worker has read its state from the changelog, not begun without one."""
    assert "Done reading from changelog topics" in road.workers[number].output()


def test_a_worker_killed_twice_and_then_stopped_on_the_mock_broker(tmp_path: Path) -> None:
    events = simulated(21, 350)
    oracle = Oracle(events)
    most = len(events) * 9 // 10
    with open_road(tmp_path / "home", "mock", workers=1) as road:
        with publishing(road, events[:most], rate=500):
            for share in (0.25, 0.6):
                wait_until_received(road, int(share * most))
                gone = kill(road, 0)
                wait_until_ready_again(road, 0, gone)
                assert_recovered(road, 0)
        road.wait_until_balanced(45)
        (worker,) = road.workers
        assert worker.stop() == 0
        road.publish(events[most:])
        assert road.ledger().received == most, "nobody is there to read"
        worker.launch()
        road.wait_until_balanced(45)
        road.assert_as_computed_by(oracle, 15)


@pytest.mark.java
def test_workers_killed_at_random_moments_and_at_last_all_at_once(tmp_path: Path) -> None:
    needs_real_kafka()
    events = simulated(22, 1_000)
    oracle = Oracle(events)
    half = len(events) // 2
    random = Random(5)
    with open_road(tmp_path / "home", "kafka", workers=2) as road:
        with publishing(road, events[:half], rate=500):
            for death in range(1, 5):
                wait_until_received(road, int(half * (death + random.random() * 0.8) / 6))
                number = random.randrange(2)
                gone = kill(road, number)
                if random.random() < 0.7:
                    wait_until_ready_again(road, number, gone)
        gone_0, gone_1 = kill(road, 0), kill(road, 1)
        wait_until_ready_again(road, 0, gone_0)
        wait_until_ready_again(road, 1, gone_1)
        assert_recovered(road, 0)
        # What follows joins the timelines of the first half, which now come from the changelog alone.
        road.publish(events[half:])
        road.wait_until_balanced(90)
        road.assert_as_computed_by(oracle, 30)


@pytest.mark.java
def test_a_worker_that_is_paused_for_longer_than_its_session_does_no_harm_when_it_comes_back(
    tmp_path: Path,
) -> None:
    needs_real_kafka()
    events = simulated(23, 700)
    oracle = Oracle(events)
    with open_road(tmp_path / "home", "kafka", workers=2) as road:
        with publishing(road, events, rate=600):
            wait_until_received(road, len(events) // 5)
            paused = road.workers[0].pid
            os.kill(paused, signal.SIGSTOP)
            try:
                # The other one takes over all partitions and goes on.
                wait_until_received(road, len(events) // 5 * 3)
            finally:
                os.kill(paused, signal.SIGCONT)
        road.wait_until_balanced(90)
        road.assert_as_computed_by(oracle, 30)
