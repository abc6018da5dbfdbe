"""What `doctor` reads from the view `alerts`: who waits for too long, what failed lately."""

import time
from collections.abc import Iterator

import pytest

from schemas.alerts import AlertRow, AlertStatus
from schemas.interaction import DAY, SECOND
from schemas.records import SinkBatch
from sinks.clickhouse.client import connect
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.writer import ClickHouseWriter
from streams.commands.checks_alerts import Untold, judge_untold, read_untold
from tests.clickhouse_server import Database

MINUTE = 60 * SECOND


@pytest.fixture
def writer(clickhouse: Database) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    yield writer
    writer.close_sync()


def row(finding: str, destination: str, status: AlertStatus, ago: int, reason: str = "") -> AlertRow:
    """What became of one alert so many microseconds ago."""
    at = time.time_ns() // 1_000 - ago
    return AlertRow(finding, "crm:ann", "overcharge", "major", "raised", destination, status, reason, at, 1)


def untold(clickhouse: Database) -> list[Untold]:
    client = connect(clickhouse.target)
    try:
        return read_untold(client)
    finally:
        client.disconnect()


def test_what_waits_for_long_and_what_failed_lately_is_counted_by_destination(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    rows = (
        row("f1", "duty", "pending", 11 * MINUTE),
        row("f2", "duty", "pending", 30 * DAY),
        row("f3", "duty", "pending", 9 * MINUTE),
        row("f4", "hook", "failed", 23 * 60 * MINUTE, "refused: HTTP 400: a"),
        row("f5", "hook", "failed", 1 * MINUTE, "refused: HTTP 400: b"),
        row("f6", "hook", "failed", 25 * 60 * MINUTE, "refused: HTTP 400: c"),
        row("f7", "team", "delivered", 60 * MINUTE),
        row("f8", "", "suppressed", 60 * MINUTE, "no_route"),
    )
    writer.write_sync(SinkBatch(alerts=rows))
    assert untold(clickhouse) == [Untold("duty", 2, 0, ""), Untold("hook", 0, 2, "refused: HTTP 400: b")]


def test_what_was_told_in_the_end_does_not_count(writer: ClickHouseWriter, clickhouse: Database) -> None:
    writer.write_sync(SinkBatch(alerts=(row("f1", "duty", "pending", 11 * MINUTE),)))
    writer.write_sync(SinkBatch(alerts=(row("f1", "duty", "delivered", 0),)))
    assert untold(clickhouse) == []
    assert judge_untold(untold(clickhouse)).status == "ok"
