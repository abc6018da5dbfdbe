"""What several of these tests start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clickhouse_server import EmbeddedClickHouse


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    """A ClickHouse that a test may stop, kill, freeze and start again with the same data."""
    server = EmbeddedClickHouse(tmp_path)
    server.start()
    yield server
    server.stop()
