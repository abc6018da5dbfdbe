"""ClickHouse: rows, migrations, the writer."""
