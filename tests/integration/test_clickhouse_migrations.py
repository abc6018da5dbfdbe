"""Migrations against the real engine: applied once, refused when edited, complete in their comments."""

import threading

import pytest

from sinks.clickhouse import migrate as migrations
from sinks.clickhouse.client import ClickHouseTarget
from sinks.clickhouse.errors import SinkUnavailable
from sinks.clickhouse.identity_rows import IDENTITY_COLUMNS, IDENTITY_HISTORY_COLUMNS, RENAMED_COLUMNS
from sinks.clickhouse.ledger import LEDGER_COLUMNS
from sinks.clickhouse.migrate import MigrationRefused, available, migrate, pending, render
from sinks.clickhouse.rows import DEAD_LETTER_COLUMNS, INTERACTION_COLUMNS, JOURNEY_COLUMNS
from tests.clickhouse_server import Database

PROMISED = {
    "interactions": """source id revision channel type occurred_at customer reason case_id order_id outcome direction
        wait_seconds talk_seconds hold_seconds service_seconds transfers staff_id rating_scale rating_value attributes
        journey_id topic partition offset""",
    "journeys": """journey_id customer started_at ended_at status interactions contacts path channels subjects
        wait_seconds transfers effort_seconds resolved first_contact_resolved dropped""",
    "journey_steps": "journey_id customer step source id channel type occurred_at",
    "dead_letters": "topic partition offset key value headers stage error message occurred_at",
    "ledger": "topic partition incarnation offset_from offset_to received stored superseded dead",
    "identity": "customer kind identifier name shared since evidence",
    "identity_history": "identifier change before after changed_at decided_by reason",
    "reconciliation": "topic partition incarnation received stored superseded dead missing surplus balanced",
}
ONE_LINE = "SETTINGS print_pretty_type_names = 0"


def columns_of(database: Database, table: str) -> dict[str, str]:
    return dict(
        database.rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(table)s",
            table=table,
        )
    )


def test_a_blank_server_lacks_every_migration_and_then_none(blank_clickhouse: Database) -> None:
    assert pending(blank_clickhouse.target) == available()
    assert migrate(blank_clickhouse.target) == available()
    assert pending(blank_clickhouse.target) == []
    assert migrate(blank_clickhouse.target) == []


def test_an_edited_file_is_refused_by_its_name(
    own_clickhouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = [m._replace(checksum="0" * 64) if m.number == 3 else m for m in available()]
    monkeypatch.setattr(migrations, "available", lambda: edited)
    with pytest.raises(MigrationRefused, match=r"0003_journeys\.sql was edited"):
        migrate(own_clickhouse.target)


def test_a_database_newer_than_the_code_is_refused(own_clickhouse: Database) -> None:
    own_clickhouse.rows(
        "INSERT INTO schema_migrations (number, name, checksum) SELECT 9999, '9999_later.sql', ''"
    )
    with pytest.raises(MigrationRefused, match=r"9999_later\.sql.*upgrade Touchline"):
        pending(own_clickhouse.target)


def test_a_migration_that_was_interrupted_is_applied_again(own_clickhouse: Database) -> None:
    """Everything was created, the ledger says nothing: as after a kill before the entry was written."""
    own_clickhouse.rows("TRUNCATE TABLE schema_migrations")
    assert migrate(own_clickhouse.target) == available()


def test_two_migrations_at_once_do_no_harm(blank_clickhouse: Database) -> None:
    problems: list[BaseException] = []

    def run() -> None:
        try:
            migrate(blank_clickhouse.target)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert pending(blank_clickhouse.target) == []
    assert blank_clickhouse.row("SELECT count() FROM schema_migrations FINAL") == (len(available()),)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(SinkUnavailable):
        pending(ClickHouseTarget("127.0.0.1", 1, timeout_seconds=2))


@pytest.mark.parametrize(
    ("table", "names", "not_written"),
    [
        ("placed_interactions_raw", INTERACTION_COLUMNS, {"is_deleted", "inserted_at", "row_version"}),
        ("journeys_raw", JOURNEY_COLUMNS, {"inserted_at"}),
        ("dead_letters_raw", DEAD_LETTER_COLUMNS, {"inserted_at"}),
        ("ledger_raw", LEDGER_COLUMNS, {"received", "stored", "superseded", "dead"}),
        ("identity_raw", IDENTITY_COLUMNS, {"inserted_at"}),
        ("identity_history_raw", IDENTITY_HISTORY_COLUMNS, {"inserted_at"}),
        ("renamed_customers_raw", RENAMED_COLUMNS, set()),
    ],
)
def test_the_mapping_names_every_column_of_its_table(
    clickhouse: Database, table: str, names: tuple[str, ...], not_written: set[str]
) -> None:
    assert len(set(names)) == len(names)
    assert set(names) | not_written == set(columns_of(clickhouse, table))


@pytest.mark.parametrize("view", PROMISED)
def test_a_view_has_the_columns_that_others_rely_on(clickhouse: Database, view: str) -> None:
    assert set(PROMISED[view].split()) <= set(columns_of(clickhouse, view))


@pytest.mark.parametrize("view", PROMISED)
def test_a_view_yields_the_types_that_it_declares(clickhouse: Database, view: str) -> None:
    declared = columns_of(clickhouse, view)
    yielded = {
        name: kind for name, kind, *_ in clickhouse.rows(f"DESCRIBE (SELECT * FROM {view}) {ONE_LINE}")
    }
    assert yielded == declared
    body = clickhouse.row(
        "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = %(view)s",
        view=view,
    )
    computed = {name: kind for name, kind, *_ in clickhouse.rows(f"DESCRIBE ({body[0]}) {ONE_LINE}")}
    assert computed == declared, "a conversion would keep filters from the indexes"


def test_everything_has_a_comment(clickhouse: Database) -> None:
    here = "database = currentDatabase() AND comment = ''"
    assert clickhouse.rows(f"SELECT table, name FROM system.columns WHERE {here}") == []
    assert clickhouse.rows(f"SELECT name FROM system.tables WHERE {here}") == []


def test_no_table_drops_identical_blocks(clickhouse: Database) -> None:
    tables = clickhouse.rows(
        "SELECT name, create_table_query FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    assert len(tables) == 18
    for name, create in tables:
        assert "non_replicated_deduplication_window = 0" in create, name


def test_the_flavour_for_a_cluster_parses(clickhouse: Database) -> None:
    statements = [statement for m in available() for statement in render(m, "touchline", "main")]
    assert len(statements) > len(available())
    for statement in statements:
        assert clickhouse.rows(f"EXPLAIN AST {statement}"), statement
