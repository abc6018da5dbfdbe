"""A connection's session: its settings, database and temporary tables, and the ways to run a statement in it.

Nothing of one session shows in another, and the settings that came with one statement are gone with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sinks.embedded.clickhouse.engine import Engine
from sinks.embedded.clickhouse.errors import UNKNOWN_SETTING, ServerError, from_engine
from sinks.embedded.clickhouse.spool import Spool
from sinks.embedded.clickhouse.statements import InsertData, Kind, Statement, settings_of

_SETTING: Final = re.compile(r"^[A-Za-z_][\w.]*$")


@dataclass(frozen=True)
class Result:
    """The bytes of a result in the format asked for, and what the engine counted."""

    data: bytes = b""
    rows_read: int = 0
    bytes_read: int = 0
    rows: int = 0
    rows_written: int = 0
    bytes_written: int = 0
    elapsed: float = 0.0


def quoted(value: str) -> str:
    """`value` as an SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Session:
    """One connection to the engine, used by one thread at a time."""

    def __init__(self, engine: Engine, database: str = "") -> None:
        self._engine = engine
        self._connection, self._baseline = engine.connect()
        self._database = ""
        if database:
            try:
                self.use(database)
            except ServerError:
                self.close()
                raise

    @property
    def tag(self) -> str:
        """What `Engine.kill` needs to stop this session's statement."""
        return self._baseline["log_comment"]

    def close(self) -> None:
        """Give up the session; its temporary tables go with it."""
        self._connection.close()

    def use(self, database: str) -> None:
        """Make `database` the current one; error 81 when there is none of that name."""
        self._query(f"USE {identifier(database)}")
        self._database = identifier(database)

    @contextmanager
    def settings(self, given: Mapping[str, str]) -> Iterator[None]:
        """Apply the settings of one statement for as long as it runs; error 115 names an unknown one."""
        if not given:
            yield
            return
        for name in given:
            if not _SETTING.match(name):
                raise ServerError(UNKNOWN_SETTING, f"Unknown setting {name!r}. (UNKNOWN_SETTING)")
        # `readonly` goes last, because after it nothing else may be set.
        ordered = sorted(given.items(), key=lambda pair: pair[0] == "readonly")
        try:
            for name, value in ordered:
                self._query(f"SET {name} = {quoted(value)}")
            yield
        finally:
            self._restore(given)

    def run(self, statement: Statement, output: str, params: Mapping[str, str] | None = None) -> Result:
        """Run any statement but an insert of data; `output` is the format where the text names none."""
        if statement.kind is Kind.EMPTY:
            raise ServerError(62, "Syntax error: empty query. (SYNTAX_ERROR)")
        text = statement.without_format if statement.format and output == "Native" else statement.text
        result = self._query(text, output, params)
        if statement.kind is Kind.SET:
            self._baseline.update(settings_of(statement.text))
        elif statement.kind is Kind.USE:
            self._database = statement.text.split(None, 1)[1]
        return _result(result)

    def stream(self, sql: str) -> Generator[bytes, None, None]:
        """The result of a SELECT as Native blocks, one at a time; closing the iterator stops it."""
        try:
            with self._connection.send_query(sql, "Native") as chunks:
                for chunk in chunks:
                    yield bytes(chunk.bytes())
        except Exception as error:
            raise from_engine(error) from error

    def columns(self, insert: InsertData) -> list[tuple[str, str]]:
        """Names and types of the columns that an insert expects, in its order."""
        source, plain = f"TABLE {insert.target}", _plain_names(insert.columns)
        if insert.columns and plain is None:
            inside = insert.columns.strip()[1:-1]
            source, plain = f"TABLE (SELECT {inside} FROM {insert.target})", []
        known = self._describe(source)
        if plain:
            kinds = {name: type_text for name, type_text, _ in known}
            missing = [name for name in plain if name not in kinds]
            if missing:
                raise ServerError(
                    16,
                    f"No such column {missing[0]} in table {insert.target}. (NO_SUCH_COLUMN_IN_TABLE)",
                )
            return [(name, kinds[name]) for name in plain]
        return [(name, type_text) for name, type_text, kind in known if kind in ("", "DEFAULT")]

    def result_columns(self, sql: str) -> list[tuple[str, str]]:
        """Names and types of what a SELECT would return."""
        return [(name, type_text) for name, type_text, _ in self._describe(f"TABLE ({sql}\n)")]

    def insert(
        self, insert: InsertData, spool: Spool, input_format: str, params: Mapping[str, str] | None = None
    ) -> Result:
        """Insert the spooled rows; returns when they are stored, raises the engine's error when they are not.

        Never by chDB's streaming insert, which reports success for rows that it did not store.
        """
        result = self._query(
            f"{insert.head}\nFROM INFILE {quoted(spool.path)} COMPRESSION 'none' "
            f"{insert.settings} FORMAT {input_format}",
            params=params,
        )
        return _result(result)

    @contextmanager
    def external_table(self, name: str, columns: list[tuple[str, str]], spool: Spool) -> Iterator[None]:
        """A table that a client sent along with its query, for the time of that query."""
        table = identifier(name)
        declared = ", ".join(f"{identifier(column)} {type_text}" for column, type_text in columns)
        self._query(f"CREATE TEMPORARY TABLE {table} ({declared}) ENGINE = Memory")
        try:
            if spool.size:
                self.insert(InsertData(f"INSERT INTO {table}", table, "", "", "Native", 0), spool, "Native")
            yield
        finally:
            self._query(f"DROP TEMPORARY TABLE {table}")

    def _describe(self, source: str) -> list[tuple[str, str, str]]:
        result = self._query(f"DESCRIBE {source} SETTINGS print_pretty_type_names = 0", "JSONCompactEachRow")
        rows = [json.loads(line) for line in bytes(result.bytes()).splitlines()]
        return [(row[0], row[1], row[2]) for row in rows]

    def _query(self, sql: str, output: str = "TabSeparated", params: Mapping[str, str] | None = None) -> Any:
        try:
            return self._connection.query(sql, output, params=dict(params) if params else None)
        except Exception as error:
            raise from_engine(error) from error

    def _restore(self, given: Mapping[str, str]) -> None:
        """Put back what `given` changed; where the session refuses (readonly), begin a new one."""
        try:
            for name in given:
                try:
                    self._query(f"SET {name} = {self._baseline.get(name, 'DEFAULT')}")
                except ServerError as error:
                    if error.code != UNKNOWN_SETTING:
                        raise
        except ServerError:
            self._reopen()

    def _reopen(self) -> None:
        kept, database = self._baseline, self._database
        self._connection.close()
        self._connection, fresh = self._engine.connect()
        self._baseline = kept | fresh
        for name, value in kept.items():
            if name not in fresh:
                self._query(f"SET {name} = {value}")
        if database:
            self._query(f"USE {database}")


def _result(raw: Any) -> Result:
    return Result(
        data=bytes(raw.bytes() or b""),
        rows_read=int(raw.storage_rows_read()),
        bytes_read=int(raw.storage_bytes_read()),
        rows=int(raw.rows_read()),
        rows_written=int(raw.rows_written()),
        bytes_written=int(raw.bytes_written()),
        elapsed=float(raw.elapsed()),
    )


def _plain_names(columns: str) -> list[str] | None:
    """The names of a column list, unquoted; None when it holds more than names (`* EXCEPT a`)."""
    names = []
    for part in split_names(columns.strip()[1:-1]):
        found = re.fullmatch(r"\s*(?:`((?:[^`\\]|\\.)+)`|\"((?:[^\"\\]|\\.)+)\"|([A-Za-z_][\w.]*))\s*", part)
        if not found:
            return None
        names.append(re.sub(r"\\(.)", r"\1", found[1] or found[2] or found[3]))
    return names


def split_names(inside: str) -> list[str]:
    """Split at the commas outside of quotes."""
    if not inside.strip():
        return []
    return re.findall(r"(?:`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|[^,`\"])+", inside)
