"""ClickHouse's HTTP interface against a server that behaves, and one that does not."""

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import pytest

from streams.commands.failures import CommandFailed
from streams.commands.http import HttpTarget, answer, message
from streams.commands.query import copy

Reply = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A server that answers as `reply` says and remembers what it was asked."""

    def __init__(self) -> None:
        self.reply: Reply = chunked(b"1\n")
        self.sql = b""
        self.parameters: dict[str, list[str]] = {}
        self.authorization = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.sql = self.rfile.read(int(self.headers["Content-Length"]))
                outer.parameters = parse_qs(urlsplit(self.path).query)
                outer.authorization = self.headers["Authorization"]
                outer.reply(self)

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def target(self) -> HttpTarget:
        return HttpTarget(
            f"http://127.0.0.1:{self._server.server_address[1]}",
            user="анна",
            password="пароль:1",
            database="d",
        )

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def chunked(*chunks: bytes, complete: bool = True, tag: str = "") -> Reply:
    """Answer in chunks; an answer that is not complete breaks off without the last, empty one."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        if tag:
            handler.send_header("X-ClickHouse-Exception-Tag", tag)
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        if complete:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.close_connection = True

    return reply


def refused(status: int, body: bytes) -> Reply:
    """Answer with an error."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def test_a_statement_goes_with_its_database_settings_and_login(server: Server) -> None:
    assert b"".join(answer(server.target, "SELECT 'é'", {"readonly": "2"})) == b"1\n"
    assert server.sql.decode() == "SELECT 'é'"
    assert server.parameters == {"database": ["d"], "readonly": ["2"]}
    assert base64.b64decode(server.authorization.removeprefix("Basic ")).decode() == "анна:пароль:1"


def test_chunks_are_given_out_as_they_come(server: Server) -> None:
    gate = threading.Event()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"2\r\n1\n\r\n")
        # The second chunk comes only after the first one was handed over.
        gate.wait(10)
        handler.wfile.write(b"2\r\n2\n\r\n0\r\n\r\n")

    server.reply = reply
    chunks = answer(server.target, "SELECT", {})
    assert next(chunks) == b"1\n"
    gate.set()
    assert next(chunks) == b"2\n"


def test_an_error_is_clickhouses_own_message_without_version_and_stack_trace(server: Server) -> None:
    body = b"Code: 60. DB::Exception: Table d.x does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)\nStack trace:\n0."
    server.reply = refused(404, body)
    with pytest.raises(CommandFailed) as caught:
        list(answer(server.target, "SELECT", {}))
    assert caught.value.reason == "Code: 60. DB::Exception: Table d.x does not exist. (UNKNOWN_TABLE)"


def test_an_answer_that_breaks_off_is_a_failure_with_the_reason_in_its_tail(server: Server) -> None:
    server.reply = chunked(
        b"1\n", b"Code: 241. DB::Exception: Memory limit exceeded (version 26.9)\n", complete=False
    )
    output = BytesIO()
    with pytest.raises(CommandFailed, match=r"Code: 241\. DB::Exception: Memory limit exceeded$") as caught:
        copy(server.target, "SELECT", "CSV", output)
    assert caught.value.what_to_do == "what was printed is not complete"
    assert output.getvalue().startswith(b"1\n")


def test_an_answer_that_breaks_off_without_a_word_is_a_failure(server: Server) -> None:
    server.reply = chunked(b"1\n", complete=False)
    with pytest.raises(CommandFailed, match="broke off"):
        list(answer(server.target, "SELECT", {}))


def test_a_tagged_exception_at_the_end_of_a_complete_answer_is_a_failure(server: Server) -> None:
    trailer = b"\r\n__exception__\r\nabc\r\nCode: 395. DB::Exception: thrown\r\n33 abc\r\n__exception__\r\n"
    server.reply = chunked(b"1\n", trailer, tag="abc")
    with pytest.raises(CommandFailed, match=r"^Code: 395\. DB::Exception: thrown$"):
        list(answer(server.target, "SELECT", {}))


def test_data_that_looks_like_an_exception_is_data(server: Server) -> None:
    data = b"Code: 1. DB::Exception: a row of system.errors\n__exception__\r\n"
    server.reply = chunked(data, tag="abc")
    assert b"".join(answer(server.target, "SELECT", {})) == data


def test_nobody_listening_is_told_with_the_setting_that_says_where() -> None:
    running = Server()
    target = running.target
    running.close()
    with pytest.raises(CommandFailed, match=r"does not answer over HTTP at http://127") as caught:
        list(answer(target, "SELECT 1", {}))
    assert "TOUCHLINE_CLICKHOUSE__HTTP_URL" in caught.value.what_to_do


def test_a_query_may_only_read_unless_told_otherwise(server: Server) -> None:
    copy(server.target, "SELECT", "CSV", BytesIO())
    assert server.parameters["readonly"] == ["2"]
    assert server.parameters["default_format"] == ["CSV"]
    copy(server.target, "INSERT", "CSV", BytesIO(), write=True)
    assert "readonly" not in server.parameters


def test_a_write_that_was_refused_says_how_to_allow_it(server: Server) -> None:
    server.reply = refused(
        500, b"Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY)"
    )
    with pytest.raises(CommandFailed) as caught:
        copy(server.target, "INSERT", "CSV", BytesIO())
    assert caught.value.what_to_do == "add --write to change data"


def test_a_syntax_error_keeps_its_place_and_loses_its_two_hundred_alternatives() -> None:
    words = ", ".join(f"WORD{number}" for number in range(200))
    text = f"Code: 62. DB::Exception: Syntax error at 1 (SELEC). Expected one of: {words}. (SYNTAX_ERROR)"
    shown = message(text.encode())
    assert shown.startswith("Code: 62. DB::Exception: Syntax error at 1 (SELEC). Expected one of: WORD0, ")
    assert shown.endswith("WORD7, ... (SYNTAX_ERROR)")


def test_the_password_shows_in_no_repr(server: Server) -> None:
    assert "пароль" not in repr(server.target)


def test_a_refused_password_names_its_setting(server: Server) -> None:
    server.reply = refused(
        403, b"Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)"
    )
    with pytest.raises(CommandFailed) as failed:
        list(answer(server.target, "SELECT 1", {}))
    assert "TOUCHLINE_CLICKHOUSE__PASSWORD" in failed.value.what_to_do
