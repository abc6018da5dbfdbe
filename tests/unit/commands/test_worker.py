"""`touchline worker`: what it refuses before it joins the group, and how it is stopped before it does."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from streams.cli import run
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import Difference, Survey


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> "dict[str, Any]":
    """`topics` is what the broker has; `runs` counts the workers that were started."""
    state: dict[str, Any] = {"topics": Survey(existing=("touchline.phone",)), "runs": 0}

    @contextmanager
    def admin(_access: KafkaAccess) -> Iterator[None]:
        yield

    def run_worker(*_arguments: object) -> int:
        state["runs"] += 1
        return 0

    there = SimpleNamespace(kafka=KafkaAccess("broker:9092"), clickhouse=SimpleNamespace())
    monkeypatch.setattr("streams.commands.servers.locate", lambda _settings: there)
    monkeypatch.setattr("streams.kafka.admin.broker_admin", admin)
    monkeypatch.setattr("streams.kafka.admin.survey", lambda _admin, _layout: state["topics"])
    monkeypatch.setattr("streams.worker.run_worker", run_worker)
    return state


def test_a_worker_starts_on_topics_as_they_should_be(started: "dict[str, Any]") -> None:
    assert (run(["worker"]), started["runs"]) == (0, 1)


def test_a_worker_refuses_another_number_of_partitions(
    started: "dict[str, Any]", capsys: pytest.CaptureFixture[str]
) -> None:
    started["topics"] = Survey(differences=(Difference("touchline.phone", "partitions", "8", "3"),))
    assert (run(["worker"]), started["runs"]) == (1, 0)
    said = capsys.readouterr().err
    assert "touchline.phone: partitions is 3, expected 8" in said
    assert "TOUCHLINE_KAFKA__PARTITIONS" in said


def test_a_worker_refuses_missing_topics(
    started: "dict[str, Any]", capsys: pytest.CaptureFixture[str]
) -> None:
    started["topics"] = Survey(missing=("touchline.visit",))
    assert (run(["worker"]), started["runs"]) == (1, 0)
    said = capsys.readouterr().err
    assert "touchline.visit" in said
    assert "touchline migrate" in said


def test_another_retention_keeps_no_worker_from_starting(started: "dict[str, Any]") -> None:
    started["topics"] = Survey(differences=(Difference("touchline.phone", "retention.ms", "1", "2"),))
    assert (run(["worker"]), started["runs"]) == (0, 1)


@pytest.mark.parametrize("asked", ["streams.settings.load_settings", "streams.commands.servers.locate"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_stop_before_it_begins_ends_with_zero(
    number: int, asked: str, started: "dict[str, Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    def told_to_stop(*_arguments: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(asked, told_to_stop)
    with pytest.raises(Ended, match=r"^0$"):
        run(["worker"])
    assert started["runs"] == 0
