"""ClickHouse's native TCP protocol in front of sessions: one thread and one session for each connection."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Final

from sinks.embedded.clickhouse import packets
from sinks.embedded.clickhouse.blocks import header, layout, split_blocks
from sinks.embedded.clickhouse.cancellation import Watch
from sinks.embedded.clickhouse.credentials import Credentials
from sinks.embedded.clickhouse.engine import Engine
from sinks.embedded.clickhouse.errors import (
    QUERY_WAS_CANCELLED,
    UNEXPECTED_PACKET_FROM_CLIENT,
    UNKNOWN_EXCEPTION,
    UNKNOWN_PACKET_FROM_CLIENT,
    ProtocolError,
    ServerError,
)
from sinks.embedded.clickhouse.packets import Block
from sinks.embedded.clickhouse.sessions import Session
from sinks.embedded.clickhouse.spool import Spool
from sinks.embedded.clickhouse.statements import InsertData, Kind, Statement, parse
from sinks.embedded.clickhouse.wire import WireReader

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 10.0
FAREWELL_SECONDS: Final = 5.0
Columns = list[tuple[str, str]]
_UNREADABLE: Final[Columns] = []


@dataclass(frozen=True)
class Services:
    """What every connection works with."""

    engine: Engine
    credentials: Credentials
    watch: Watch


class Connection:
    """One client: `serve` it until it leaves."""

    def __init__(self, client: socket.socket, services: Services) -> None:
        self._socket = client
        self._services = services
        self._reader = WireReader(self._receive)
        self._revision = 0
        self._compressed = False
        self._turn = threading.Lock()
        self._waiting = False
        self._leaving = False

    def serve(self) -> None:
        """Answer packets until the client leaves or sends what the protocol does not allow."""
        try:
            session = self._handshake()
        except ServerError as error:
            self._farewell(error)
            return
        try:
            self._loop(session)
        except ProtocolError as error:
            self._farewell(error)
        finally:
            session.close()

    def leave(self) -> None:
        """End the connection, at once when it is idle, else after its statement."""
        with self._turn:
            self._leaving = True
            if self._waiting:
                self.cut()

    def cut(self) -> None:
        """End the connection whatever it does."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the client had left already")

    def refuse(self, error: ServerError) -> None:
        """Tell a client why it is not served."""
        self._farewell(error)

    def _receive(self) -> bytes:
        chunk = self._socket.recv(1 << 18)
        if not chunk:
            raise EOFError("the client left")
        return chunk

    def _send(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def _handshake(self) -> Session:
        reader = self._reader
        self._socket.settimeout(HANDSHAKE_SECONDS)
        hello = packets.read_hello(reader)
        self._revision = min(hello.revision, packets.REVISION)
        self._services.credentials.admit(hello.user, hello.password)
        session = Session(self._services.engine, hello.database)
        self._send(packets.hello(self._revision))
        self._socket.settimeout(None)
        return session

    def _loop(self, session: Session) -> None:
        reader = self._reader
        while True:
            with self._turn:
                if self._leaving:
                    return
                self._waiting = True
            packet = reader.varint()
            self._waiting = False
            if packet == packets.PING:
                self._send(packets.PONG)
            elif packet == packets.QUERY:
                self._answer(session)
            elif packet == packets.DATA:
                self._block()  # what remains of an insert that was refused
            elif packet != packets.CANCEL:
                raise ProtocolError(UNKNOWN_PACKET_FROM_CLIENT, f"Unknown packet {packet} from client")

    def _answer(self, session: Session) -> None:
        query = packets.read_query(self._reader, self._revision)
        self._compressed = query.compressed
        try:
            with ExitStack() as scope:
                self._external_tables(session, scope)
                scope.enter_context(session.settings(query.settings))
                self._run(session, parse(query.sql))
        except ProtocolError:
            raise
        except ServerError as error:
            self._exception(error)
            return
        self._send(packets.END)

    def _external_tables(self, session: Session, scope: ExitStack) -> None:
        """Take the tables that come with a query; the empty block ends them."""
        spools: dict[str, tuple[list[tuple[str, str]], Spool]] = {}
        while True:
            self._expect_data()
            block = self._block()
            if not block.columns:
                break
            if block.table not in spools:
                spools[block.table] = (
                    block.columns,
                    scope.enter_context(Spool(self._services.engine.spool_directory)),
                )
            if block.rows:
                spools[block.table][1].write(block.raw)
        for name, (columns, spool) in spools.items():
            scope.enter_context(session.external_table(name, columns, spool))

    def _expect_data(self) -> None:
        while (packet := self._reader.varint()) != packets.DATA:
            if packet == packets.CANCEL:
                raise ProtocolError(QUERY_WAS_CANCELLED, "Query was cancelled. (QUERY_WAS_CANCELLED)")
            raise ProtocolError(
                UNEXPECTED_PACKET_FROM_CLIENT, f"Expected a block of data, got packet {packet}"
            )

    def _run(self, session: Session, statement: Statement) -> None:
        if statement.insert is not None:
            self._insert(session, statement.insert, statement.text)
        elif statement.kind is Kind.SELECT:
            self._select(session, statement.without_format)
        else:
            with self._cancellable(session):
                result = session.run(statement, "Native")
            for index, (columns, block) in enumerate(split_blocks(result.data)):
                if index == 0:
                    self._data(header(columns))
                self._data(bytes(block))

    def _select(self, session: Session, sql: str) -> None:
        with self._cancellable(session) as cancelled:
            columns = self._stream(session, sql, cancelled, known=None)
            if columns is _UNREADABLE:
                # A type without a layout, such as the state of an aggregate function: ask the engine.
                self._stream(session, sql, cancelled, known=session.result_columns(sql))
            elif not columns and not cancelled.is_set():
                self._data(header(session.result_columns(sql)))

    def _stream(
        self, session: Session, sql: str, cancelled: threading.Event, known: Columns | None
    ) -> Columns:
        """Send the blocks of a SELECT behind their header; returns its columns, none for an empty result."""
        columns = known or []
        if known:
            self._data(header(known))
        with closing(session.stream(sql)) as blocks:
            for raw in blocks:
                if not columns:
                    try:
                        columns = next(split_blocks(raw))[0]
                    except ServerError:
                        return _UNREADABLE
                    self._data(header(columns))
                self._data(raw)
                if cancelled.is_set():
                    break
        return columns

    @contextmanager
    def _cancellable(self, session: Session) -> Iterator[threading.Event]:
        """Stop the statement inside when the client cancels or leaves; what was cancelled is no error."""
        with self._services.watch.during(
            self._socket, lambda: self._services.engine.kill(session.tag)
        ) as running:
            try:
                yield running.cancelled
            except ServerError as error:
                if not (running.cancelled.is_set() and error.code == QUERY_WAS_CANCELLED):
                    raise

    def _insert(self, session: Session, insert: InsertData, sql: str) -> None:
        inline = sql[insert.data_at :]
        with Spool(self._services.engine.spool_directory) as spool:
            if inline.strip(" \t\r\n;"):
                spool.write(inline.encode())
                session.insert(insert, spool, insert.format or "Values")
                return
            columns = session.columns(insert)
            for _, type_text in columns:
                layout(type_text)
            self._data(header(columns))
            while True:
                self._expect_data()
                block = self._block()
                if not block.columns:
                    break
                if block.rows:
                    spool.write(block.raw)
            if spool.size:
                session.insert(insert, spool, "Native")

    def _block(self) -> Block:
        return packets.read_data(self._reader, self._compressed)

    def _data(self, raw: bytes) -> None:
        self._send(packets.data(raw, self._compressed))

    def _exception(self, error: ServerError) -> None:
        self._send(packets.exception(error))

    def _farewell(self, error: ServerError) -> None:
        """Send the error, then read what the client still sends, so that the error is not lost with it."""
        self._exception(error)
        self._socket.shutdown(socket.SHUT_WR)
        self._socket.settimeout(FAREWELL_SECONDS)
        while self._socket.recv(1 << 18):
            continue


def serve_connection(connection: Connection) -> None:
    """Serve one client; a client that breaks off is normal, anything else that fails is logged and told."""
    try:
        connection.serve()
    except (EOFError, OSError) as error:
        log.debug("a native client left: %s", error)
    except Exception as error:
        log.exception("a native connection failed; the server goes on")
        try:
            connection.refuse(
                ServerError(UNKNOWN_EXCEPTION, f"{type(error).__name__} in the embedded server: {error}")
            )
        except OSError:
            log.debug("the client had left already")
