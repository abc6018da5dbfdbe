"""Where it goes: ClickHouse and the embedded servers."""
