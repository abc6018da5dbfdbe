"""ClickHouse's HTTP interface in front of sessions: one for each request, or one kept by `session_id`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from sinks.embedded.clickhouse.answers import failure, success
from sinks.embedded.clickhouse.blocks import header
from sinks.embedded.clickhouse.bodies import decoded, from_frames
from sinks.embedded.clickhouse.errors import (
    TOO_MANY_SIMULTANEOUS_QUERIES,
    UNKNOWN_EXCEPTION,
    ServerError,
)
from sinks.embedded.clickhouse.native import Services
from sinks.embedded.clickhouse.requests import Asked, authenticate, read
from sinks.embedded.clickhouse.retained import RetainedSessions
from sinks.embedded.clickhouse.sessions import Result, Session
from sinks.embedded.clickhouse.spool import Spool
from sinks.embedded.clickhouse.statements import InsertData, Kind, Statement, parse
from sinks.embedded.clickhouse.visitors import admit_visitor

log = logging.getLogger(__name__)

HEAD: Final = 256 << 10
"""Bytes at the beginning of a body within which an INSERT must say where its rows begin."""
MAX_QUERY: Final = 64 << 20


class HttpFront:
    """The handlers. At most `limit` requests at once; one more is answered with error 202."""

    def __init__(self, services: Services, limit: int) -> None:
        self._services = services
        self._limit = limit
        self._running = 0
        self._executing = 0
        self._drained = asyncio.Event()
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="clickhouse-http")
        self._retained = RetainedSessions(lambda: Session(services.engine))

    def application(self) -> web.Application:
        """The routes: `/` for queries, `/ping` and `/replicas_status` for probes."""
        app = web.Application()
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_get("/", self._handle)
        app.router.add_post("/", self._handle)
        return app

    @property
    def busy(self) -> bool:
        """Whether a statement of a request still runs in the engine."""
        return self._executing > 0

    async def drained(self, seconds: float) -> None:
        """Wait until no statement runs, at most `seconds`."""
        if self.busy:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), seconds)

    def expire(self) -> None:
        """Close retained sessions whose time is over."""
        self._retained.expire()

    def close(self) -> None:
        """Close all sessions; requests must have ended."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._retained.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        query_id = str(uuid.uuid4())
        if self._running >= self._limit:
            return failure(
                ServerError(
                    TOO_MANY_SIMULTANEOUS_QUERIES,
                    f"Too many simultaneous queries. Maximum: {self._limit}. (TOO_MANY_SIMULTANEOUS_QUERIES)",
                ),
                query_id,
            )
        self._running += 1
        try:
            if not self._services.credentials.password:
                admit_visitor(request.headers)
            authenticate(request.query, request.headers, self._services.credentials)
            asked = read(request.method, request.query, request.headers, query_id)
            query_id = asked.query_id
            if not asked.sql and request.method != "POST":
                return await _ok(request)
            return await self._answer(request, asked)
        except ServerError as error:
            return failure(error, query_id)
        except OSError as error:
            log.info("an HTTP client left before its request had come; nothing of it was executed: %s", error)
            return web.Response(status=400)
        except Exception as error:
            log.exception("an HTTP request failed; the server goes on")
            return failure(
                ServerError(UNKNOWN_EXCEPTION, f"{type(error).__name__} in the embedded server: {error}"),
                query_id,
            )
        finally:
            self._running -= 1

    async def _answer(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        if request.content_type.startswith("multipart/"):
            raise ServerError(
                48, "External tables over HTTP are not supported by this server. (NOT_IMPLEMENTED)"
            )
        chunks = decoded(
            request.content.iter_any(), request.headers.get("Content-Encoding", "").strip().lower()
        )
        if asked.framed_body:
            chunks = _whole(from_frames(await _read(chunks, bytearray(), MAX_QUERY)))
        spool = Spool(self._services.engine.spool_directory)
        try:
            statement, insert = await _take(asked.sql, chunks, spool)
        except BaseException:
            spool.close()
            raise
        result, answer_format = await asyncio.shield(self._begin(asked, statement, insert, spool))
        return success(asked, result, answer_format)

    def _begin(
        self, asked: Asked, statement: Statement, insert: InsertData | None, spool: Spool
    ) -> asyncio.Future[tuple[Result, str]]:
        """Start the statement; it ends, and then its spool is closed, even when the client leaves before."""
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._execute, asked, statement, insert, spool
        )
        self._executing += 1

        def ended(_: asyncio.Future[tuple[Result, str]]) -> None:
            spool.close()
            self._executing -= 1
            if not self._executing:
                self._drained.set()

        work.add_done_callback(ended)
        return work

    def _execute(
        self, asked: Asked, statement: Statement, insert: InsertData | None, spool: Spool
    ) -> tuple[Result, str]:
        settings = asked.settings
        if not asked.may_write and statement.kind in (Kind.INSERT_DATA, Kind.WRITE):
            settings = settings | {"readonly": "2"}  # the engine refuses what writes, with error 164
        with self._session(asked) as session, session.settings(settings):
            if insert is not None:
                return session.insert(insert, spool, insert.format or "Values", asked.params), ""
            answer_format = statement.format or asked.default_format
            result = session.run(statement, answer_format, asked.params)
            if (
                answer_format == "Native"
                and statement.kind is Kind.SELECT
                and not result.data
                and not asked.params
            ):
                result = Result(header(session.result_columns(statement.without_format)))
            return result, answer_format

    @contextmanager
    def _session(self, asked: Asked) -> Iterator[Session]:
        if asked.session is None:
            session = Session(self._services.engine, asked.database)
            try:
                yield session
            finally:
                session.close()
            return
        with self._retained.borrow(
            asked.session.name, asked.session.seconds, asked.session.must_exist
        ) as session:
            if asked.database:
                session.use(asked.database)
            yield session


async def _take(sql: str, chunks: AsyncIterator[bytes], spool: Spool) -> tuple[Statement, InsertData | None]:
    """Read the statement, from the address and the body; the rows of an insert go to `spool`."""
    if sql:
        statement = parse(sql)
        if statement.insert is not None:
            inline = sql[statement.insert.data_at :]
            if inline.strip(" \t\r\n;"):
                spool.write(inline.encode())
            async for chunk in chunks:
                spool.write(chunk)
            return statement, statement.insert
        body = await _read(chunks, bytearray(), MAX_QUERY)
        return (parse(f"{sql}\n{_text(body)}") if body else statement), None
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    # One character for each byte, because the rows need not be text.
    beginning = head[:HEAD].decode("latin-1")
    insert = parse(beginning).insert if beginning.lstrip("( \t\r\n").startswith(tuple("Ii/-#")) else None
    if insert is None:
        return parse(_text(await _read(chunks, head, MAX_QUERY))), None
    statement = parse(_text(head[: insert.data_at]))
    rows = memoryview(head)[insert.data_at :]
    if statement.insert is not None and not bytes(rows[:8]).strip(b" \t\r\n;") and len(rows) <= 8:
        rows = rows[len(rows) :]
    spool.write(rows)
    async for chunk in chunks:
        spool.write(chunk)
    return statement, statement.insert


async def _read(chunks: AsyncIterator[bytes], begun: bytearray, limit: int) -> bytes:
    async for chunk in chunks:
        begun += chunk
        if len(begun) > limit:
            raise ServerError(
                223,
                f"The query is longer than {limit} bytes; send rows as data of an INSERT. "
                "(QUERY_IS_TOO_LARGE)",
            )
    return bytes(begun)


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _text(raw: bytes | bytearray) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ServerError(62, f"The query is not UTF-8: {error}. (SYNTAX_ERROR)") from error


async def _ok(_: web.Request) -> web.StreamResponse:
    return web.Response(text="Ok.\n")
