"""What an HTTP request asks for, who may ask, and what it is answered with when it fails."""

from __future__ import annotations

import base64

import pytest

from sinks.embedded.clickhouse.credentials import Credentials
from sinks.embedded.clickhouse.errors import ServerError, from_engine, http_status
from sinks.embedded.clickhouse.requests import authenticate, read
from sinks.embedded.clickhouse.visitors import admit_visitor

ANN = Credentials("ann", "geheim:ж")


def test_what_has_no_other_meaning_is_a_setting() -> None:
    asked = read("GET", {"query": "SELECT 1", "max_threads": "1", "param_x": "2", "database": "d"}, {}, "id")
    assert asked.settings == {"max_threads": "1"}
    assert asked.params == {"x": "2"}
    assert asked.database == "d"
    assert asked.query_id == "id"


def test_only_post_may_write() -> None:
    assert read("POST", {}, {}, "").may_write
    assert not read("GET", {}, {}, "").may_write


@pytest.mark.parametrize("seconds", ["x", "-1", "3601", "nan"])
def test_a_session_timeout_out_of_range_is_refused(seconds: str) -> None:
    with pytest.raises(ServerError) as raised:
        read("GET", {"session_id": "s", "session_timeout": seconds}, {}, "")
    assert raised.value.code == 374


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"user": "ann", "password": "geheim:ж"}, {}),
        ({}, {"X-ClickHouse-User": "ann", "X-ClickHouse-Key": "geheim:ж"}),
        ({}, basic("ann", "geheim:ж")),
    ],
)
def test_the_password_may_come_in_three_places(query: dict[str, str], headers: dict[str, str]) -> None:
    authenticate(query, headers, ANN)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({}, {}),
        ({"user": "ann"}, {}),
        ({"user": "bob", "password": "geheim:ж"}, {}),
        ({}, basic("ann", "geheim")),
        ({}, {"Authorization": "Basic !"}),
        ({"user": "ann", "password": "geheim:ж"}, {"X-ClickHouse-Key": "wrong"}),
    ],
)
def test_anything_else_is_error_516_and_status_403(query: dict[str, str], headers: dict[str, str]) -> None:
    with pytest.raises(ServerError) as raised:
        authenticate(query, headers, ANN)
    assert raised.value.code == 516
    assert http_status(raised.value.code) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1:8123"},
        {"Host": "localhost"},
        {"Host": "[::1]:8123", "Origin": "http://[::1]:3000"},
        {"Host": "LOCALHOST:8123", "Origin": "http://localhost:3000"},
    ],
)
def test_without_a_password_programs_and_pages_of_this_machine_may_ask(headers: dict[str, str]) -> None:
    admit_visitor(headers)


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Host": "evil.example:8123"}, "Host 'evil.example:8123'"),
        ({"Host": "127.0.0.1.evil.example"}, "Host"),
        ({"Host": "127.0.0.1:8123", "Origin": "https://evil.example"}, "Origin 'https://evil.example'"),
        ({"Host": "127.0.0.1:8123", "Origin": "null"}, "Origin"),
        ({"Host": "127.0.0.1:8123", "Origin": "http://[broken"}, "Origin"),
        ({"Host": "192.168.1.7:8123"}, "Host"),
    ],
)
def test_without_a_password_nobody_else_may(headers: dict[str, str], named: str) -> None:
    with pytest.raises(ServerError, match="TOUCHLINE_CLICKHOUSE__PASSWORD") as raised:
        admit_visitor(headers)
    assert named in str(raised.value.message)
    assert raised.value.code == 516


def test_the_password_is_not_in_the_repr() -> None:
    assert "geheim" not in repr(ANN)


def test_the_engine_code_is_read_once() -> None:
    error = from_engine(
        RuntimeError("Streaming query failed: Code: 115. DB::Exception: Code: 115. DB::Exception: No")
    )
    assert (error.code, error.message) == (115, "No")
    assert from_engine(RuntimeError("plain")).code == 1002
