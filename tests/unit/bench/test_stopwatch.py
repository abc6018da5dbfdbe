"""Whose clock runs when: the rule that makes contestants comparable."""

import pytest

from bench.roads import stopwatch
from bench.roads.stopwatch import Reading, Stopwatch, task


class Clocks:
    """Clocks that a test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.cpu = 100.0
        monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(stopwatch.time, "process_time", lambda: self.cpu)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_the_first_records_start_the_clock_and_do_not_count(clocks: Clocks) -> None:
    watch = Stopwatch(100)
    clocks.wall = 105.0
    assert not watch.saw(40)
    clocks.wall, clocks.cpu = 107.0, 101.0
    assert watch.saw(60)
    assert watch.reading() == Reading(60, 2.0, 1.0)


def test_the_last_record_and_not_the_one_before_ends_it(clocks: Clocks) -> None:  # noqa: ARG001
    watch = Stopwatch(3)
    assert [watch.saw(1) for _ in range(3)] == [False, False, True]


def test_records_that_came_all_at_once_cannot_be_measured(clocks: Clocks) -> None:  # noqa: ARG001
    watch = Stopwatch(10)
    assert watch.saw(10)
    with pytest.raises(ValueError, match="publish more"):
        watch.reading()


def test_nothing_seen_is_no_reading() -> None:
    with pytest.raises(ValueError):
        Stopwatch(10).reading()


def test_the_task_is_read_from_the_command_line() -> None:
    assert task(["127.0.0.1:9092", "t", "g", "400000", "/tmp/x"]).records == 400_000
