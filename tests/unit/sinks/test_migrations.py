"""Migration files: numbered without a gap, explained, and rendered for one server or a cluster from one source."""

import re
from pathlib import Path

import pytest

from sinks.clickhouse.migrate import Migration, available, render

GOLDEN = Path(__file__).parents[2] / "golden" / "migrations.txt"


def test_numbers_are_consecutive_and_every_file_says_why() -> None:
    migrations = available()
    assert [m.number for m in migrations] == list(range(1, len(migrations) + 1))
    for migration in migrations:
        assert re.match(r"-- \w.{30,}\n", migration.template), migration.name


def test_what_has_been_applied_anywhere_is_never_edited() -> None:
    """Databases hold these checksums, and refuse an edited file. Put a new file's line at the end of the list."""
    listed = [tuple(line.split()) for line in GOLDEN.read_text().splitlines()]
    assert listed == [(migration.checksum, migration.name) for migration in available()]


def test_the_checksum_does_not_depend_on_line_ends() -> None:
    assert all("\r" not in m.template and len(m.checksum) == 64 for m in available())


def test_one_server_gets_the_plain_engines() -> None:
    text = "\n".join(statement for m in available() for statement in render(m, "touchline"))
    for foreign in ("ON CLUSTER", "Replicated", "Distributed", "_local", "${"):
        assert foreign not in text
    assert text.count("CREATE TABLE") == 20


def test_a_cluster_gets_replicated_storage_behind_distributed_tables() -> None:
    statements = [statement for m in available() for statement in render(m, "line", "main")]
    tables = [s for s in statements if s.startswith("CREATE TABLE")]
    storage, fronts = tables[::2], tables[1::2]
    assert len(storage) == len(fronts) == 20
    for local, front in zip(storage, fronts, strict=True):
        name = re.search(r"EXISTS (?:(\w+)\.)?(\w+)_local ON CLUSTER 'main'", local)
        assert name is not None
        assert re.search(r"ENGINE = Replicated\w+MergeTree", local)
        assert "replicated_deduplication_window = 0" in local
        within = f"{name[1]}." if name[1] else ""
        assert f"EXISTS {within}{name[2]} ON CLUSTER 'main' AS {within}{name[2]}_local" in front
        assert f"Distributed('main', '{name[1] or 'line'}', '{name[2]}_local', sipHash64(" in front
    assert all("ON CLUSTER 'main'" in s for s in statements if not s.startswith("INSERT"))
    assert "DROP TABLE IF EXISTS interactions_raw_local ON CLUSTER 'main' SYNC" in statements


def test_versions_of_one_key_never_part() -> None:
    """Rows that replace each other must meet: on one shard, in one partition of the table."""
    for migration in available():
        shard = re.search(r"^-- sharded by sipHash64\((.+)\)$", migration.template, re.MULTILINE)
        key = re.search(r"^ORDER BY \(?(.+?)\)?$", migration.template, re.MULTILINE)
        if "CREATE TABLE" in migration.template:
            assert shard is not None
            assert key is not None
            assert set(shard[1].split(", ")) <= set(key[1].split(", ")), migration.name
            assert "PARTITION BY" not in migration.template


def test_a_table_without_a_sharding_key_is_refused_for_a_cluster() -> None:
    migration = Migration(1, "0001_x.sql", "CREATE TABLE IF NOT EXISTS x (a UInt8) ENGINE = MergeTree;\n", "")
    assert len(render(migration, "d")) == 1
    with pytest.raises(ValueError, match=r"0001_x\.sql: table x needs a line"):
        render(migration, "d", "main")
