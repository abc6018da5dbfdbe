"""A database of the version before, with rows in it, brought to this one."""

import pytest
from msgspec.structs import replace

from schemas.alerts import AlertRow
from schemas.records import PlacedInteraction, SinkBatch
from sinks.clickhouse import migrate as migrations
from sinks.clickhouse.finding_rows import alert_rows
from sinks.clickhouse.migrate import available, migrate
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.rows import INTERACTION_COLUMNS, interaction_rows
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call, mail, revised
from tests.clickhouse_server import Database

BEFORE_IDENTITY = 22
"""The last migration of the version before."""

BEFORE_ALERTS_HISTORY = 40


def write_as_before(database: Database, *batches: SinkBatch) -> None:
    """As that version's writer did."""
    keep = [column for column, name in enumerate(INTERACTION_COLUMNS) if name != "links_seen"]
    for batch in batches:
        rows = interaction_rows([batch], CLEAR)
        blocks = ([block[column] for column in keep] for block in rows.blocks)
        names = tuple(INTERACTION_COLUMNS[column] for column in keep)
        database.client().insert("interactions_raw", rows._replace(names=names, blocks=blocks))


@pytest.fixture
def of_before(blank_clickhouse: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database as the version before left it, with rows."""
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "available", lambda: available()[:BEFORE_IDENTITY])
        migrate(blank_clickhouse.target)
    return blank_clickhouse


def test_rows_are_carried_over_and_what_is_written_now_replaces_them(of_before: Database) -> None:
    first = call(1_000_000, by="crm:ann", id="c1", text="Ж\n", attributes={"a": "b"}, wait=2.5)
    second = revised(first, reason="billing")
    other = mail(2_000_000, by="crm:bob", id="m1")
    write_as_before(
        of_before,
        SinkBatch(version=9, interactions=(PlacedInteraction(second, "j1"), PlacedInteraction(other, "j2"))),
        SinkBatch(version=10, interactions=(PlacedInteraction(first, "j1"),)),
    )
    everything = "SELECT * FROM interactions ORDER BY id"
    before = of_before.rows(everything)
    assert [row[1:3] for row in before] == [("c1", 1), ("m1", 0)]
    assert migrate(of_before.target) == available()[BEFORE_IDENTITY:]
    assert of_before.rows(everything) == before
    assert of_before.rows("SELECT DISTINCT links_seen FROM placed_interactions_raw") == [(0,)]

    writer = ClickHouseWriter(of_before.target, CLEAR)
    moved = PlacedInteraction(replace(second, customer="crm:carl"), "j3")
    writer.write_sync(SinkBatch(version=1, links_seen=1, interactions=(moved,)))
    writer.close_sync()
    assert of_before.rows("SELECT id, customer, journey_id FROM interactions ORDER BY id") == [
        ("c1", "crm:carl", "j3"),
        ("m1", "crm:bob", "j2"),
    ]


def test_a_copy_that_was_interrupted_is_made_again(of_before: Database) -> None:
    write_as_before(
        of_before, SinkBatch(version=9, interactions=(PlacedInteraction(call(1, id="c1"), None),))
    )
    before = of_before.rows("SELECT * FROM interactions")
    migrate(of_before.target)
    # As after a kill between the last statement and its entry, for every file from the copy on.
    for table in ("interactions_raw", "interactions_raw_local"):
        assert of_before.row(f"EXISTS TABLE {table}") == (0,)
    of_before.rows(
        f"ALTER TABLE schema_migrations DELETE WHERE number = {len(available())} SETTINGS mutations_sync = 2"
    )
    assert migrate(of_before.target) == available()[-1:]
    assert of_before.rows("SELECT * FROM interactions") == before


def test_a_worker_of_the_version_before_stops_and_loses_nothing(of_before: Database) -> None:
    """From the first statement of the copy on, the table before takes no rows: none can fall behind it."""
    copying = next(m for m in available() if m.name == "0023_placed_interactions.sql")
    for statement in migrations.render(copying, of_before.target.database)[:1]:
        of_before.rows(statement)
    late = SinkBatch(version=9, interactions=(PlacedInteraction(call(1, id="late"), None),))
    with pytest.raises(Exception, match="moved_on"):
        write_as_before(of_before, late)
    migrate(of_before.target)
    assert of_before.rows("SELECT id FROM interactions") == []
    with pytest.raises(Exception, match="interactions_raw"):
        write_as_before(of_before, late)


def test_a_migration_that_another_process_has_finished_is_not_missed(
    of_before: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the table gone that it was about to copy from."""
    todo = available()[BEFORE_IDENTITY:]
    migrate(of_before.target)
    answers = iter([todo])
    asked = migrations._pending
    monkeypatch.setattr(migrations, "_pending", lambda *about: next(answers, None) or asked(*about))
    applied = migrate(of_before.target)
    assert "0023_placed_interactions.sql" not in [migration.name for migration in applied]
    monkeypatch.undo()
    assert migrations.pending(of_before.target) == []


def test_the_history_of_alerts_begins_with_what_was_known_of_them(
    blank_clickhouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "available", lambda: available()[:BEFORE_ALERTS_HISTORY])
        migrate(blank_clickhouse.target)
    row = AlertRow("f1", "crm:ann", "overcharge", "major", "raised", "duty", "suppressed", "cool_down", 5, 1)
    blank_clickhouse.client().insert("alerts_raw", alert_rows([row], CLEAR))
    migrate(blank_clickhouse.target)
    columns = "finding_id, destination, status, reason, toUnixTimestamp64Micro(at)"
    assert blank_clickhouse.rows(f"SELECT {columns} FROM alerts_history") == [
        ("f1", "duty", "suppressed", "cool_down", 5)
    ]
