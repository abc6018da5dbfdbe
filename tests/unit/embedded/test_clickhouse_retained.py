"""HTTP sessions that outlive their request."""

from __future__ import annotations

from typing import cast

import pytest

from sinks.embedded.clickhouse.errors import ServerError
from sinks.embedded.clickhouse.retained import RetainedSessions
from sinks.embedded.clickhouse.sessions import Session


class Fake:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Stage:
    def __init__(self) -> None:
        self.now = 0.0
        self.opened: list[Fake] = []
        self.sessions = RetainedSessions(self.open, lambda: self.now)

    def open(self) -> Session:
        self.opened.append(Fake())
        return cast(Session, self.opened[-1])


def test_the_same_name_gets_the_same_session() -> None:
    stage = Stage()
    with stage.sessions.borrow("a", 60, False) as first:
        pass
    with stage.sessions.borrow("a", 60, True) as second:
        assert second is first


def test_a_session_in_use_is_locked() -> None:
    stage = Stage()
    with stage.sessions.borrow("a", 60, False), pytest.raises(ServerError) as raised:
        stage.sessions.borrow("a", 60, False).__enter__()
    assert raised.value.code == 373


def test_a_session_that_must_exist_and_does_not_is_error_372() -> None:
    with pytest.raises(ServerError) as raised:
        Stage().sessions.borrow("a", 60, True).__enter__()
    assert raised.value.code == 372


def test_a_session_ends_exactly_when_its_time_is_over() -> None:
    stage = Stage()
    with stage.sessions.borrow("a", 60, False):
        stage.now = 100.0  # time in use does not count
        stage.sessions.expire()
    stage.now = 159.9
    stage.sessions.expire()
    assert not stage.opened[0].closed
    stage.now = 160.0
    stage.sessions.expire()
    assert stage.opened[0].closed
