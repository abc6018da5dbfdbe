"""The watchdog complains when nothing moves that should, and about nothing else."""

import time
from datetime import timedelta
from typing import Any

import pytest
from faust.types import TP

from streams.agents import watchdog as module
from streams.agents.watchdog import EXIT_STUCK, Watchdog

SOURCE, CHANGELOG = TP("touchline.phone", 0), TP("touchline.timelines", 0)
PATIENCE = 60.0


class Consumer:
    def __init__(self) -> None:
        self.assigned = {SOURCE, CHANGELOG}
        self.lags = {SOURCE: 0, CHANGELOG: 0}
        self.silent_for = 0.0
        self.fetches: dict[TP, int] = {}
        self.held_back: set[TP] = set()
        self.delivered: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        return self.assigned

    def fetched_at(self, tp: TP | None = None) -> float | None:
        if tp in self.fetches:
            return self.fetches[tp]
        return None if self.silent_for < 0 else (time.time() - self.silent_for) * 1000

    def lag(self, tp: TP) -> int:
        return self.lags[tp]

    def is_held_back(self, tp: TP) -> bool:
        return tp in self.held_back

    def under_way(self, tp: TP) -> int | None:
        return self.delivered.get(tp)

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp == CHANGELOG)


class App:
    def __init__(self) -> None:
        self.consumer = Consumer()
        self.rebalancing = self.in_recovery = False
        self.consumer_generation_id = 1


class Persister:
    blocked = False


class Watched:
    """A watchdog with everything that it looks at."""

    def __init__(self) -> None:
        self.app, self.persister = App(), Persister()
        app: Any = self.app
        persister: Any = self.persister
        self.identity_silent = 0.0
        patience, topics = timedelta(seconds=PATIENCE), [SOURCE.topic]
        self.busy: set[TP] = set()
        self.dog = Watchdog(
            app, persister, patience, lambda: self.identity_silent, lambda tp: tp not in self.busy, topics
        )

    def after(self, seconds: float, acknowledged: int = 5) -> str | None:
        """The complaint at the end of so long a time, looking every five seconds."""
        complaint = None
        for tick in range(0, int(seconds) + 1, 5):
            complaint = self.dog.complaint(1_000.0 + tick, acknowledged)
        return complaint


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_nothing_to_do_is_fine_for_ever(watched: Watched) -> None:
    assert watched.after(10 * PATIENCE) is None


def test_lag_without_acknowledgement_is_told_once_patience_is_over(watched: Watched) -> None:
    watched.app.consumer.lags[SOURCE] = 3
    assert watched.after(PATIENCE) is None
    assert watched.after(PATIENCE + 5) == "records are waiting and none is acknowledged"


def test_lag_is_fine_while_batches_are_acknowledged(watched: Watched) -> None:
    watched.app.consumer.lags[SOURCE] = 3
    for minute in range(9):
        assert watched.dog.complaint(1_000.0 + 50 * minute, acknowledged=minute) is None


def test_a_partition_that_is_not_fetched_is_told_though_others_are(watched: Watched) -> None:
    consumer = watched.app.consumer
    consumer.fetches[SOURCE] = 1
    told = [watched.dog.complaint(1_000.0 + 5 * tick, acknowledged=tick) for tick in range(14)]
    assert told == [*[None] * 13, "touchline.phone/0 is not fetched"]


def looks(watched: Watched, begin: int, times: int) -> list[str | None]:
    """What is said every five seconds while others are acknowledged."""
    return [watched.dog.complaint(begin + 5.0 * tick, acknowledged=begin + tick) for tick in range(times)]


def test_what_was_delivered_and_no_agent_has_is_told_though_others_get_on(watched: Watched) -> None:
    consumer = watched.app.consumer
    consumer.lags[SOURCE], consumer.delivered[SOURCE] = 78, 366
    said = "what was delivered of touchline.phone/0 is with nobody"
    assert looks(watched, 1_000, 14) == [*[None] * 13, said]


@pytest.mark.parametrize(
    "how", ["an agent has it", "more of it comes", "all is acknowledged", "another generation"]
)
def test_what_is_under_way_may_take_its_time(watched: Watched, how: str) -> None:
    consumer = watched.app.consumer
    consumer.lags[SOURCE], consumer.delivered[SOURCE] = 78, 366
    assert looks(watched, 1_000, 13) == [None] * 13
    if how == "an agent has it":
        watched.busy.add(SOURCE)
    elif how == "more of it comes":
        consumer.delivered[SOURCE] = 400
    elif how == "all is acknowledged":
        consumer.delivered.clear()
    else:
        watched.app.consumer_generation_id += 1
    assert looks(watched, 2_000, 13) == [None] * 13


def test_a_partition_that_is_held_back_or_lags_need_not_be_fetched(watched: Watched) -> None:
    consumer = watched.app.consumer
    consumer.fetches[SOURCE] = 1
    consumer.held_back.add(SOURCE)
    assert watched.after(3 * PATIENCE) is None
    consumer.held_back.clear()
    consumer.lags[SOURCE] = 1
    assert [watched.dog.complaint(2_000.0 + 5 * tick, acknowledged=tick) for tick in range(40)] == [None] * 40


def test_nothing_is_fetched_of_a_partition_while_the_sink_is_down_and_nothing_is_lost_in_a_recovery(
    watched: Watched,
) -> None:
    consumer = watched.app.consumer
    consumer.fetches[SOURCE] = 1
    watched.persister.blocked = True
    assert looks(watched, 1_000, 20) == [None] * 20
    watched.persister.blocked = False
    consumer.fetches.clear()
    consumer.delivered[SOURCE] = 366
    watched.app.in_recovery = True
    assert looks(watched, 2_000, 20) == [None] * 20


def test_a_new_generation_begins_the_patience_with_a_partition_anew(watched: Watched) -> None:
    watched.app.consumer.fetches[SOURCE] = 1
    for tick in range(20):
        watched.app.consumer_generation_id = 1 + tick // 10
        assert watched.dog.complaint(1_000.0 + 5 * tick, acknowledged=tick) is None


def test_lag_of_a_changelog_is_no_lag(watched: Watched) -> None:
    watched.app.consumer.lags[CHANGELOG] = 3
    assert watched.after(3 * PATIENCE) is None


def test_a_sink_that_is_down_is_no_fault_of_the_worker(watched: Watched) -> None:
    watched.app.consumer.lags[SOURCE] = 3
    watched.persister.blocked = True
    assert watched.after(10 * PATIENCE) is None
    watched.persister.blocked = False
    assert watched.dog.complaint(1_000.0 + 10 * PATIENCE + PATIENCE, 5) is None, "patience begins anew"


def test_a_reader_of_identity_that_stands_still_is_told_whatever_else_goes_on(watched: Watched) -> None:
    watched.identity_silent = PATIENCE - 1
    assert watched.dog.complaint(1_000.0, acknowledged=1) is None
    watched.identity_silent = PATIENCE + 1
    assert watched.dog.complaint(1_001.0, acknowledged=2) == "the logs of identity are not read"


def test_a_rebalance_that_does_not_end_is_told(watched: Watched) -> None:
    watched.app.rebalancing = True
    assert watched.after(PATIENCE + 5) == "a rebalance does not end"


def test_rebalances_that_end_in_a_new_generation_are_progress(watched: Watched) -> None:
    watched.app.rebalancing = True
    for generation in range(5):
        watched.app.consumer_generation_id = generation
        assert watched.dog.complaint(1_000.0 + 50 * generation, 5) is None


@pytest.mark.parametrize("silent_for", [PATIENCE, -1], ids=["long silent", "never answered"])
def test_a_broker_that_does_not_answer_is_told(watched: Watched, silent_for: float) -> None:
    watched.app.consumer.silent_for = silent_for
    assert watched.after(PATIENCE + 5) == "the broker does not answer fetches"


def test_a_worker_without_partitions_waits_for_some(watched: Watched) -> None:
    watched.app.consumer.assigned = set()
    watched.app.consumer.silent_for = -1
    assert watched.after(10 * PATIENCE) is None


def test_recovery_may_take_as_long_as_it_takes(watched: Watched) -> None:
    watched.app.in_recovery = True
    watched.app.consumer.silent_for = -1
    assert watched.after(10 * PATIENCE) is None


async def test_a_complaint_ends_the_process(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(module, "end_process", statuses.append)
    watched.app.rebalancing = True
    await watched.dog.check(1_000.0, 5)
    await watched.dog.check(1_000.0 + PATIENCE, 5)
    assert statuses == []
    await watched.dog.check(1_001.0 + PATIENCE, 5)
    assert statuses == [EXIT_STUCK]
