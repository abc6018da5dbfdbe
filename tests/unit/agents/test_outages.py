"""What is down is told once, then every so often with a count, and once when it answers again."""

import logging

import pytest

from streams.agents import lanes
from streams.agents.lanes import Unavailable, insist
from streams.agents.outages import SPOKEN_EVERY, Outage, Outages
from tests.unit.agents.fakes import App, pauses

ANN, BOB = "ann", "bob"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    return Outage("ClickHouse", clock)


def test_a_first_failure_is_told_at_once_with_its_reason(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.failed(ANN, "connection refused")
    assert caplog.messages == ["ClickHouse unavailable, trying until it answers: connection refused"]


def test_whatever_fails_meanwhile_is_counted_and_told_when_its_time_has_come(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for who in range(250):
        outage.failed(who, "connection refused")
    clock.now += SPOKEN_EVERY - 0.001
    outage.failed(ANN, "connection refused")
    assert len(caplog.messages) == 1
    clock.now += 0.001
    outage.failed(ANN, "time out")
    assert caplog.messages[1:] == ["ClickHouse still unavailable after 30 s, 252 failed attempts: time out"]


def test_it_answers_again_when_nobody_waits_for_it_any_more(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage.failed(ANN, "gone")
    outage.failed(BOB, "gone")
    clock.now += 7
    outage.answered(ANN)
    assert len(caplog.messages) == 1
    outage.answered(BOB)
    assert caplog.messages[1:] == ["ClickHouse answers again after 7 s and 2 failed attempts"]


def test_who_never_failed_has_nothing_to_say(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.failed(ANN, "gone")
    caplog.clear()
    outage.answered(BOB)
    assert caplog.messages == []


def test_who_gives_up_says_nothing_of_an_answer(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.failed(ANN, "gone")
    caplog.clear()
    outage.gave_up(ANN)
    outage.answered(ANN)
    assert caplog.messages == []


def test_what_comes_and_goes_says_no_more_than_what_stays_away(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(64):
        outage.failed(ANN, "gone")
        outage.answered(ANN)
        clock.now += SPOKEN_EVERY / 64
    assert len(caplog.messages) == 2
    outage.failed(ANN, "gone for good")
    assert caplog.messages[2:] == ["ClickHouse unavailable, trying until it answers: gone for good"]


async def test_who_insists_tells_of_the_outage_and_of_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanes, "OUTAGES", Outages())
    pauses(monkeypatch)
    left = [Unavailable("connection refused")] * 40

    async def attempt() -> None:
        if left:
            raise left.pop()

    with caplog.at_level(logging.WARNING):
        await insist(attempt, App().batch([]), "ClickHouse")
    assert caplog.messages == [
        "ClickHouse unavailable, trying until it answers: connection refused",
        "ClickHouse answers again after 0 s and 40 failed attempts",
    ]
