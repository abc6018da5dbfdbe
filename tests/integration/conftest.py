"""Servers of the integration tests: one embedded ClickHouse for the session, one database for each test."""

import itertools
from collections.abc import Iterator

import pytest

from sinks.clickhouse.migrate import migrate
from tests.clickhouse_server import Database, EmbeddedClickHouse

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """A running embedded ClickHouse."""
    server = EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def blank_clickhouse(clickhouse_server: EmbeddedClickHouse) -> Iterator[Database]:
    """A database name that does not exist yet."""
    database = Database(clickhouse_server.target(f"test_{next(_numbers)}"))
    yield database
    database.drop()


@pytest.fixture
def own_clickhouse(blank_clickhouse: Database) -> Database:
    """A database of the test's own with every migration applied, for tests that touch the schema."""
    migrate(blank_clickhouse.target)
    return blank_clickhouse


@pytest.fixture(scope="session")
def _migrated_clickhouse(clickhouse_server: EmbeddedClickHouse) -> Iterator[Database]:
    database = Database(clickhouse_server.target("test_shared"))
    migrate(database.target)
    yield database
    database.drop()


@pytest.fixture
def clickhouse(_migrated_clickhouse: Database) -> Database:
    """A database with every migration applied and no row in it (one for all, emptied for each test)."""
    _migrated_clickhouse.empty()
    return _migrated_clickhouse
