"""`touchline migrate`: the order of its steps, and what it reports."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from streams.commands import migrate as command
from streams.commands.migrate import Migrated, bring_up_to_date, document, report
from streams.commands.servers import Servers
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import Difference, Survey
from streams.settings import Settings

ALL_THERE = Survey(existing=("touchline.phone", "touchline.interactions"))
NONE_THERE = Survey(missing=("touchline.phone", "touchline.interactions"))
CREATED = Survey(existing=NONE_THERE.missing, created=NONE_THERE.missing)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> "dict[str, Any]":
    """What happened, in order, under `log`; `topics` is what the broker has."""
    state: dict[str, Any] = {"log": [], "topics": ALL_THERE, "known": 5}
    log = state["log"]

    @contextmanager
    def admin(_access: KafkaAccess) -> Iterator[None]:
        yield

    def create(_admin: object, _layout: object) -> Survey:
        log.append("topics")
        return CREATED if state["topics"] is NONE_THERE else ALL_THERE

    def apply(_target: object) -> list[SimpleNamespace]:
        log.append("tables")
        return [SimpleNamespace(name="0001_a.sql")]

    client = SimpleNamespace(disconnect=lambda: log.append("disconnect"))
    monkeypatch.setattr(command, "broker_admin", admin)
    monkeypatch.setattr(command, "survey", lambda _admin, _layout: state["topics"])
    monkeypatch.setattr(command, "create_missing", create)
    monkeypatch.setattr("sinks.clickhouse.migrate.migrate", apply)
    monkeypatch.setattr("sinks.clickhouse.client.connect", lambda _target: client)
    monkeypatch.setattr(
        "sinks.clickhouse.epochs.open_epoch", lambda _client, kind, prefix, at: log.append((kind, prefix, at))
    )
    monkeypatch.setattr("sinks.clickhouse.epochs.topics_incarnation", lambda _client, _prefix: state["known"])
    return state


RUNNING = Servers(KafkaAccess("broker:9092"), SimpleNamespace(), None)  # type: ignore[arg-type]


def test_tables_come_before_the_epoch_and_the_epoch_before_the_topics(steps: "dict[str, Any]") -> None:
    steps["topics"] = NONE_THERE
    migrated = bring_up_to_date(RUNNING, Settings(), now=77)
    assert steps["log"] == ["tables", ("topics", "touchline.", 77), "disconnect", "topics"]
    assert (migrated.migrations, migrated.epoch) == (("0001_a.sql",), 77)


def test_topics_that_exist_begin_no_epoch(steps: "dict[str, Any]") -> None:
    assert bring_up_to_date(RUNNING, Settings(), now=77).epoch is None
    assert steps["log"] == ["tables", "disconnect", "topics"]


def test_a_new_database_on_topics_that_exist_begins_an_epoch(steps: "dict[str, Any]") -> None:
    steps["known"] = None
    assert bring_up_to_date(RUNNING, Settings(), now=77).epoch == 77


def test_another_missing_topic_begins_no_epoch(steps: "dict[str, Any]") -> None:
    steps["topics"] = Survey(existing=("touchline.interactions",), missing=("touchline.phone",))
    assert bring_up_to_date(RUNNING, Settings(), now=77).epoch is None


def test_topics_that_exist_but_are_new_begin_an_epoch(steps: "dict[str, Any]") -> None:
    assert bring_up_to_date(RUNNING, Settings(), now=77, fresh_topics=True).epoch == 77
    assert steps["log"][1] == ("topics", "touchline.", 77)


def test_the_report_says_what_was_done() -> None:
    assert report(Migrated(("0001_a.sql",), CREATED, 77)) == [
        "tables: applied 0001_a.sql",
        "topics: created touchline.phone, touchline.interactions",
    ]
    assert report(Migrated((), ALL_THERE, None)) == ["tables: up to date", "topics: all there"]


def test_a_difference_is_reported_as_left_alone() -> None:
    survey = Survey(existing=("t.phone",), differences=(Difference("t.phone", "partitions", "8", "4"),))
    lines = report(Migrated((), survey, None))
    assert "differs: t.phone: partitions is 4, expected 8 (left as it is)" in lines
    assert "TOUCHLINE_KAFKA__PARTITIONS" in lines[-1]


def test_json_tells_created_from_existing() -> None:
    survey = Survey(existing=("a", "b"), created=("b",))
    assert document(Migrated(("m",), survey, 7)) == {
        "migrations": ["m"],
        "topics": {"created": ["b"], "existing": ["a"], "differences": []},
        "epoch": 7,
    }
