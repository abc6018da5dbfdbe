"""Where ClickHouse is, and a connection to it: the one place that makes a driver client."""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from clickhouse_driver import Client, defines
from clickhouse_driver.block import BlockInfo, ColumnOrientedBlock
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

from sinks.clickhouse.native import encode_block
from sinks.clickhouse.rows import Rows
from sinks.loopback import is_loopback

NATIVE_PORT: Final = 9000
NATIVE_TLS_PORT: Final = 9440
ROWS_PER_BLOCK: Final = 500_000
"""Below ClickHouse's own 1,048,576: an INSERT of one block is atomic, a longer one is not."""


@dataclass(frozen=True)
class ClickHouseTarget:
    """One ClickHouse (a server, or a node of `cluster`), a database on it and how to log in."""

    host: str
    port: int = NATIVE_PORT
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = "touchline"
    secure: bool = False
    connections: int = 4
    timeout_seconds: float = 30.0
    cluster: str | None = None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        user: str = "default",
        password: str = "",
        database: str = "touchline",
        connections: int = 4,
        timeout_seconds: float = 30.0,
        cluster: str | None = None,
    ) -> "ClickHouseTarget":
        """Read `clickhouse://[USER@]HOST[:PORT]` (`clickhouses://` for TLS); raise ValueError on anything
        else.

        >>> ClickHouseTarget.from_url("clickhouses://ann@db.example").port
        9440
        """
        parts = urlsplit(url)
        if parts.scheme not in ("clickhouse", "clickhouses") or not parts.hostname:
            raise ValueError(
                f"expected clickhouse://[USER@]HOST[:PORT], got {parts.scheme}://{parts.hostname}"
            )
        if parts.path not in ("", "/"):
            raise ValueError("name the database in TOUCHLINE_CLICKHOUSE__DATABASE, not in the URL")
        secure = parts.scheme == "clickhouses"
        return cls(
            host=parts.hostname,
            port=parts.port or (NATIVE_TLS_PORT if secure else NATIVE_PORT),
            user=unquote(parts.username) if parts.username else user,
            password=password,
            database=database,
            secure=secure,
            connections=connections,
            timeout_seconds=timeout_seconds,
            cluster=cluster,
        )

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine, where compressing blocks only costs time."""
        return is_loopback(self.host)


class InsertingClient(Client):  # type: ignore[misc]
    """The driver's client with an insert of ready-made blocks; all else is the driver's own."""

    def insert(self, table: str, rows: Rows) -> None:
        """Insert all rows in one statement: none of them is visible when it raises before the server has
        committed.

        More than `ROWS_PER_BLOCK` rows may be cut by the server. Raises the driver's errors, OSError,
        EOFError, and ValueError for values that do not fit their column.
        """
        if rows.size:
            self.execute(f"INSERT INTO {table} ({', '.join(rows.names)}) VALUES", (rows,), columnar=True)

    def send_data(
        self, sample_block: Any, data: Any, types_check: bool = False, columnar: bool = False
    ) -> int:
        """What the driver calls to send rows; `insert` gives it one `Rows`, other inserts go the driver's way."""
        if not columnar:
            return int(super().send_data(sample_block, data, types_check=types_check, columnar=columnar))
        columns = sample_block.columns_with_types
        tail = b"\0" if self._revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION else b""
        sent = 0
        (ready,) = data
        for block in ready.blocks:
            if len(block) != len(columns):
                raise ValueError(f"expected {len(columns)} columns, got {len(block)}")
            named = [(name, kind, values) for (name, kind), values in zip(columns, block, strict=True)]
            rows = len(block[0])
            self._send_block(encode_block(named, len(block), rows, tail))
            self.receive_profile_events()
            sent += rows
        self.connection.send_data(ColumnOrientedBlock())
        self.receive_profile_events()
        return sent

    @property
    def _revision(self) -> int:
        return int(self.connection.server_info.used_revision)

    def _send_block(self, block: bytes) -> None:
        """`Connection.send_data` of the driver for a block that is bytes already."""
        connection = self.connection
        write_varint(ClientPacketTypes.DATA, connection.fout)
        if self._revision >= defines.DBMS_MIN_REVISION_WITH_TEMPORARY_TABLES:
            write_binary_str("", connection.fout)
        out = connection.block_out
        if self._revision >= defines.DBMS_MIN_REVISION_WITH_BLOCK_INFO:
            BlockInfo().write(out.fout)
        out.fout.write(block)
        out.finalize()


def connect(target: ClickHouseTarget, *, database: str | None = None, **settings: Any) -> InsertingClient:
    """A client; it connects with its first statement and is not thread-safe.

    `database` replaces the target's own (empty: none, as before it is created); `settings` go with each
    statement. Inserts are synchronous: with `async_insert`, the default of new servers, an acknowledged row
    may still be lost.
    """
    always: dict[str, Any] = {"async_insert": 0, "insert_block_size": ROWS_PER_BLOCK}
    if target.cluster is not None:
        always["distributed_foreground_insert"] = 1
    return InsertingClient(
        host=target.host,
        port=target.port,
        user=target.user,
        password=target.password,
        database=target.database if database is None else database,
        secure=target.secure,
        compression=False if target.loopback else "lz4",
        connect_timeout=min(5.0, target.timeout_seconds),
        send_receive_timeout=target.timeout_seconds,
        sync_request_timeout=min(5.0, target.timeout_seconds),
        client_name="touchline",
        settings=always | settings,
    )
