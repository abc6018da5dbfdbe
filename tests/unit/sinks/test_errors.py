"""Which errors pass, which need a person, which are bugs."""

import struct

import pytest
from clickhouse_driver import errors as driver

from sinks.clickhouse.errors import SinkError, SinkMisconfigured, SinkRefused, SinkUnavailable, classify


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EOFError(), SinkUnavailable),
        (ConnectionResetError("reset by peer"), SinkUnavailable),
        (TimeoutError(), SinkUnavailable),
        (driver.NetworkError("no route"), SinkUnavailable),
        (driver.SocketTimeoutError("slow"), SinkUnavailable),
        (driver.UnexpectedPacketFromServerError("?"), SinkUnavailable),
        (driver.ServerException("DB::Exception: too many parts", 252), SinkUnavailable),
        (driver.ServerException("DB::Exception: memory", 241), SinkUnavailable),
        (driver.ServerException("DB::Exception: read only", 242), SinkUnavailable),
        (driver.ServerException("DB::Exception: never heard of", 99_999), SinkUnavailable),
        (driver.ServerException("DB::Exception: no table", 60), SinkMisconfigured),
        (driver.ServerException("DB::Exception: no database", 81), SinkMisconfigured),
        (driver.ServerException("DB::Exception: password", 516), SinkMisconfigured),
        (driver.ServerException("DB::Exception: constraint", 469), SinkRefused),
        (driver.ServerException("DB::Exception: type", 53), SinkRefused),
        (struct.error("bad"), SinkRefused),
        (ValueError("bad"), SinkRefused),
    ],
)
def test_errors_are_told_apart_by_what_to_do(error: Exception, kind: type[SinkError]) -> None:
    assert type(classify(error)) is kind


def test_an_error_of_ours_stays_itself() -> None:
    error = SinkUnavailable("x", 3.0)
    assert classify(error) is error


def test_messages_are_one_line_and_say_what_to_do() -> None:
    lost = classify(
        driver.ServerException("DB::Exception: Table t.x does not exist. (UNKNOWN)\nStack trace: 1", 60)
    )
    assert str(lost) == "ClickHouse: Table t.x does not exist. (UNKNOWN) (code 60): run `touchline migrate`"
    assert "connection broke" in str(classify(EOFError()))


def test_a_stack_trace_on_the_same_line_is_left_out() -> None:
    refused = driver.ServerException(
        "DB::Exception: default: Authentication failed. Stack trace: 0. at x", 516
    )
    assert str(classify(refused)).startswith("ClickHouse: default: Authentication failed (code 516): check")
