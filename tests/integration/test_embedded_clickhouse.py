"""The embedded ClickHouse as its clients see it: real sockets, a real process, the drivers that people use."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_driver import Client, errors

from sinks.embedded.clickhouse.blocks import iter_once, read_block
from sinks.embedded.clickhouse.wire import WireReader, text, varint

ROOT = Path(__file__).parents[2]
PASSWORD_VARIABLE = "TOUCHLINE_CLICKHOUSE__PASSWORD"


class Server:
    """A server process on free ports."""

    def __init__(self, data: Path, *options: str, password: str = "") -> None:
        self.data = data
        self.password = password
        self.process = start(data, *options, password=password)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, complaint = self.process.communicate()
            pytest.fail(f"the server did not start: {complaint}")
        ready = json.loads(line)
        assert ready["ready"] is True
        self.native_port: int = ready["native_port"]
        self.http_port: int = ready["http_port"]

    def client(self, **options: Any) -> Client:
        given = {"password": self.password, "send_receive_timeout": 30, **options}
        return Client("127.0.0.1", port=self.native_port, **given)

    def http(
        self, sql: str = "", body: bytes | None = None, headers: dict[str, str] | None = None, **params: str
    ) -> tuple[int, str]:
        """The status and text of an answer; a POST when there is a body."""
        query = urllib.parse.urlencode({"query": sql, **params} if sql else params)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/?{query}", data=body, headers=headers or {}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit status and what stood on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, complaint = self.process.communicate(timeout=30)
        return self.process.returncode, complaint

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


def start(data: Path, *options: str, password: str = "") -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != PASSWORD_VARIABLE}
    if password:
        environment[PASSWORD_VARIABLE] = password
    ports = () if "--native-port" in options else ("--native-port", "0", "--http-port", "0")
    command = [sys.executable, "-m", "sinks.embedded.clickhouse", "--data", str(data), *ports, *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("clickhouse"))
    yield running
    running.kill()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start further servers; all are gone after the test."""
    started: list[Server] = []

    def another(*options: str, data: Path = tmp_path / "data", password: str = "") -> Server:
        started.append(Server(data, *options, password=password))
        return started[-1]

    yield another
    for one in started:
        one.kill()


@pytest.fixture
def table(server: Server) -> Iterator[str]:
    """A table of small numbers, each below 100."""
    name = f"t{uuid.uuid4().hex[:8]}"
    client = server.client()
    client.execute(
        f"CREATE TABLE {name} (a UInt64, s String DEFAULT 'none', double UInt64 MATERIALIZED a * 2, "
        "CONSTRAINT small CHECK a < 100) ENGINE = MergeTree ORDER BY a"
    )
    yield name
    client.execute(f"DROP TABLE {name}")


def count(server: Server, table: str) -> int:
    return int(server.client().execute(f"SELECT count() FROM {table}")[0][0])


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not (done := holds()) and time.monotonic() < until:
        threading.Event().wait(0.02)
    return done


COLUMNS = {
    "n": "Nullable(Int32)",
    "lc": "LowCardinality(String)",
    "ln": "LowCardinality(Nullable(String))",
    "ar": "Array(String)",
    "al": "Array(LowCardinality(Nullable(String)))",
    "m": "Map(String, String)",
    "t6": "DateTime64(6, 'UTC')",
    "d": "Date",
    "dec": "Decimal(18, 4)",
    "u": "UInt128",
    "id": "UUID",
    "b": "Bool",
    "e": "Enum8('it\\'s, (' = 1, 'y' = 2)",
    "tu": "Tuple(x UInt8, y Nullable(String))",
    "fs": "FixedString(3)",
    "s": "String",
}


def row(i: int) -> tuple[Any, ...]:
    return (
        None if i % 3 else i,
        f"канал{i % 5}",
        None if i % 2 else "q",
        ["a", ""] * (i % 4),
        [None, "z"] * (i % 3),
        {"k": str(i)} if i % 2 else {},
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=i),
        date(2026, 1, 1),
        Decimal(i) / 4,
        i << 70,
        uuid.UUID(int=i),
        bool(i % 2),
        "it's, (" if i % 2 else "y",
        (i % 200, "z" * (i % 300) or None),
        "abc",
        "ж" * (i % 100),
    )


class TestNative:
    @pytest.mark.parametrize("compression", [False, "lz4"])
    def test_every_type_comes_back_from_an_insert_of_many_blocks(
        self, server: Server, compression: Any
    ) -> None:
        client = server.client(compression=compression)
        declared = ", ".join(f"{name} {type_text}" for name, type_text in COLUMNS.items())
        client.execute("DROP TABLE IF EXISTS types")
        client.execute(f"CREATE TABLE types ({declared}) ENGINE = MergeTree ORDER BY id")
        rows = [row(i) for i in range(1500)]
        assert client.execute("INSERT INTO types VALUES", rows, settings={"insert_block_size": 400}) == 1500
        assert client.execute("SELECT * FROM types ORDER BY id") == rows

    def test_columns_go_in_by_name_and_the_rest_takes_defaults(self, server: Server, table: str) -> None:
        client = server.client()
        client.execute(f"INSERT INTO {table} (s, a) VALUES", [["x", "y"], [1, 2]], columnar=True)
        client.execute(f"INSERT INTO {table} (`a`) VALUES", [(3,)])
        client.execute(f"INSERT INTO {table} (* EXCEPT s) VALUES", [(4,)])
        assert client.execute(f"SELECT a, s, double FROM {table} ORDER BY a") == [
            (1, "x", 2),
            (2, "y", 4),
            (3, "none", 6),
            (4, "none", 8),
        ]

    def test_a_violated_check_raises_and_stores_nothing_and_the_connection_goes_on(
        self, server: Server, table: str
    ) -> None:
        client = server.client()
        with pytest.raises(errors.ServerException, match="small") as raised:
            client.execute(f"INSERT INTO {table} (a) VALUES", [(1,), (100,)])
        assert raised.value.code == 469
        assert client.execute(f"SELECT count() FROM {table}") == [(0,)]

    def test_rows_in_the_text_and_rows_from_a_query_are_inserted(self, server: Server, table: str) -> None:
        client = server.client()
        client.execute(f"INSERT INTO {table} VALUES (1, 'a;\n\nb'), (2, 'c'); ")
        client.execute(f"INSERT INTO {table} (a) SELECT number + 3 FROM numbers(2)")
        assert client.execute(f"SELECT groupArray(a) FROM (SELECT a FROM {table} ORDER BY a)") == [
            ([1, 2, 3, 4],)
        ]

    @pytest.mark.parametrize(
        ("sql", "code"),
        [
            ("SELECT * FROM nosuch", 60),
            ("SELECT nosuch", 47),
            ("SELEC 1", 62),
            ("SELECT 1; SELECT 2", 62),
            ("", 62),
            ("SELECT throwIf(number = 100000) FROM numbers(200000)", 395),
            ("SELECT 1 INTO OUTFILE 'x'", 48),
            ("USE nosuch", 81),
        ],
    )
    def test_an_error_has_the_code_of_the_engine(self, server: Server, sql: str, code: int) -> None:
        client = server.client()
        with pytest.raises(errors.ServerException) as raised:
            client.execute(sql)
        assert raised.value.code == code
        assert client.execute("SELECT 1") == [(1,)]

    def test_an_insert_into_a_missing_table_or_column_fails_before_the_rows(
        self, server: Server, table: str
    ) -> None:
        client = server.client()
        for sql, code in ((f"INSERT INTO {table} (b) VALUES", 16), ("INSERT INTO nosuch VALUES", 60)):
            with pytest.raises(errors.ServerException) as raised:
                client.execute(sql, [(1,)])
            assert raised.value.code == code
            assert client.execute("SELECT 1") == [(1,)]

    def test_a_column_that_cannot_be_walked_is_refused_instead_of_hanging(self, server: Server) -> None:
        client = server.client()
        client.execute("DROP TABLE IF EXISTS states")
        client.execute("CREATE TABLE states (s AggregateFunction(uniq, UInt64)) ENGINE = Memory")
        with pytest.raises(errors.ServerException, match="cast them to String") as raised:
            client.execute("INSERT INTO states VALUES", [("x",)])
        assert raised.value.code == 50
        assert client.execute("SELECT 1") == [(1,)]

    @pytest.mark.parametrize(
        ("sql", "names"),
        [
            ("SELECT 1 AS x WHERE 0", ["x"]),
            ("/* why */ WITH 2 AS x SELECT x; -- done", ["x"]),
            ("(SELECT 1 AS x) UNION ALL (SELECT 2)", ["x"]),
            ("SELECT 1 AS x FORMAT JSON", ["x"]),
            ("EXISTS TABLE system.one", ["result"]),
            ("SHOW DATABASES", ["name"]),
            ("EXPLAIN SELECT 1", ["explain"]),
            ("SYSTEM FLUSH LOGS", []),
            ("DESCRIBE system.one", None),
        ],
    )
    def test_every_kind_of_statement_answers_with_its_columns(
        self, server: Server, sql: str, names: list[str] | None
    ) -> None:
        _, columns = server.client().execute(sql, with_column_types=True)
        assert names is None or [name for name, _ in columns] == names

    def test_tables_are_altered_and_optimized(self, server: Server, table: str) -> None:
        client = server.client()
        client.execute(f"ALTER TABLE {table} ADD COLUMN extra UInt8")
        client.execute(f"INSERT INTO {table} VALUES", [(1, "x", 7)])
        client.execute(f"OPTIMIZE TABLE {table} FINAL")
        assert client.execute(f"SELECT extra FROM {table}") == [(7,)]

    def test_settings_of_a_query_are_gone_after_it(self, server: Server) -> None:
        client = server.client()
        read = "SELECT getSetting('max_block_size'), getSetting('readonly'), currentDatabase()"
        client.execute("SET max_block_size = 77")
        client.execute("USE system")
        assert client.execute(read, settings={"max_block_size": 5})[0][0] == 5
        assert client.execute("SELECT 1", settings={"readonly": 1}) == [(1,)]
        assert client.execute(read) == [(77, 0, "system")]
        assert server.client().execute(read) == [(65409, 0, "default")]

    def test_an_unknown_setting_is_error_115(self, server: Server) -> None:
        client = server.client()
        with pytest.raises(errors.ServerException) as raised:
            client.execute("SELECT 1", settings={"nosuch": 1})
        assert raised.value.code == 115
        assert client.execute("SELECT 1") == [(1,)]

    def test_limits_are_set_and_can_be_lifted(self, server: Server) -> None:
        client = server.client()
        read = "SELECT getSetting('max_memory_usage') > 0, getSetting('max_execution_time') > 0"
        assert client.execute(read) == [(1, 1)]
        with pytest.raises(errors.ServerException) as raised:
            client.execute(
                "SELECT max(sipHash64(number)) FROM numbers(1000000000000)",
                settings={"max_execution_time": 1},
            )
        assert raised.value.code == 159

    def test_tables_sent_along_with_a_query_are_gone_after_it(self, server: Server) -> None:
        client = server.client()
        external = [
            {"name": "ext", "structure": [("x", "Int32"), ("s", "String")], "data": [{"x": 1, "s": "a"}]}
        ]
        assert client.execute("SELECT x, s FROM ext", external_tables=external) == [(1, "a")]
        assert client.execute("EXISTS TEMPORARY TABLE ext") == [(0,)]

    def test_a_cancelled_query_stops_in_the_engine(self, server: Server) -> None:
        client = server.client()
        blocks = client.execute_iter("SELECT number, 'marked' FROM numbers(1000000000000)")
        next(blocks)
        client.cancel()
        assert client.execute("SELECT 1") == [(1,)]
        assert not running(server, "marked")

    def test_a_query_whose_client_left_stops_in_the_engine(self, server: Server) -> None:
        client = server.client()
        sql = "SELECT max(sipHash64(number, 'deserted')) FROM numbers(1000000000000)"
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                client.execute(sql)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert eventually(lambda: running(server, "deserted"))
        client.connection.socket.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert failed
        assert eventually(lambda: not running(server, "deserted"))

    def test_an_insert_whose_client_dies_stores_nothing(self, server: Server, table: str) -> None:
        client = server.client()
        client.connection.connect()
        connection = client.connection
        connection.send_query(f"INSERT INTO {table} (a) VALUES")
        connection.send_external_tables([])
        sample = client.receive_sample_block()
        assert sample.columns_with_types == [("a", "UInt64")]
        complete = (
            text("")
            + b"\x01\x00\x02\xff\xff\xff\xff\x00"
            + varint(1)
            + varint(2)
            + text("a")
            + text("UInt64")
        )
        connection.socket.sendall(varint(2) + complete + struct.pack("<QQ", 1, 2))  # a whole block
        connection.socket.sendall(
            varint(2) + complete + struct.pack("<Q", 3)
        )  # and half of one, without an end
        before = threads(server)
        connection.socket.close()
        assert eventually(lambda: threads(server) < before)
        assert count(server, table) == 0

    def test_bytes_that_are_no_protocol_are_answered_and_the_server_goes_on(self, server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.native_port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert b"HTTP has a port of its own" in answer
        assert server.client().execute("SELECT 1") == [(1,)]

    def test_many_small_inserts_and_selects_at_once(self, server: Server, table: str) -> None:
        def work(worker: int) -> int:
            client = server.client()
            for i in range(8):
                client.execute(f"INSERT INTO {table} VALUES", [(worker, f"{worker}-{i}")])
                seen = client.execute(f"SELECT count() FROM {table} WHERE a = {worker}")[0][0]
                assert seen == i + 1
            client.disconnect()
            return worker

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(work, range(8))) == list(range(8))
        assert count(server, table) == 64


def running(server: Server, mark: str) -> bool:
    """Whether a statement with this mark runs."""
    sql = f"SELECT count() FROM system.processes WHERE position(query, '{mark}') AND NOT position(query, 'processes')"
    return bool(server.client().execute(sql)[0][0])


def threads(server: Server) -> int:
    """Connections that are served now."""
    tasks = Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()
    port = f":{server.native_port:04X}"
    return sum(1 for line in tasks if line.split()[1].endswith(port) and line.split()[3] == "01")


class TestHttp:
    def test_get_post_and_formats(self, server: Server) -> None:
        assert server.http("SELECT 1") == (200, "1\n")
        assert server.http("", b"SELECT 2 FORMAT CSV") == (200, "2\n")
        assert server.http("SELECT", b"3") == (200, "3\n")
        status, text_ = server.http("SELECT 1 AS x", default_format="JSON")
        assert (status, json.loads(text_)["data"]) == (200, [{"x": 1}])
        assert server.http("SELECT 1 AS x WHERE 0", default_format="CSVWithNames") == (200, '"x"\n')

    def test_parameters_settings_and_database(self, server: Server) -> None:
        assert server.http("SELECT {x:Array(String)}, {y:UInt8} + 1", param_x="['a']", param_y="4") == (
            200,
            "['a']\t5\n",
        )
        assert server.http("SELECT getSetting('max_threads')", max_threads="1") == (200, "1\n")
        assert server.http("SELECT currentDatabase()", database="system") == (200, "system\n")
        assert server.http("SELECT currentDatabase()") == (200, "default\n")
        assert server.http("SELECT 1", nosuch="1")[1].startswith("Code: 115.")

    @pytest.mark.parametrize(
        ("in_address", "body"),
        [
            ("INSERT INTO {} FORMAT CSV", b"1,a\n2,b\n"),
            ("", b'INSERT INTO {} FORMAT JSONEachRow\n{"a": 1}\n\n{"a": 2}'),
            ("", b"INSERT INTO {} VALUES (1, 'a;\n\n'), (2, 'b');"),
            ("INSERT INTO {} VALUES", b"(1, 'a'), (2, 'b')"),
            ("", b"INSERT INTO {} (a) FORMAT RowBinary\n" + struct.pack("<QQ", 1, 2)),
            ("INSERT INTO {} (a) SELECT number + 1 FROM numbers(2)", b""),
        ],
    )
    def test_rows_come_in_the_body_or_the_text(
        self, server: Server, table: str, in_address: str, body: bytes
    ) -> None:
        answer = server.http(in_address.replace("{}", table), body.replace(b"{}", table.encode()))
        assert answer == (200, "")
        assert server.client().execute(
            f"SELECT groupUniqArray(a) = [1, 2] OR groupUniqArray(a) = [2, 1] FROM {table}"
        ) == [(1,)]

    def test_a_violated_check_is_an_error_and_stores_nothing(self, server: Server, table: str) -> None:
        status, answer = server.http(f"INSERT INTO {table} (a) FORMAT CSV", b"1\n100\n")
        assert status == 500
        assert answer.startswith("Code: 469.")
        assert count(server, table) == 0

    def test_get_does_not_write(self, server: Server, table: str) -> None:
        status, answer = server.http(f"INSERT INTO {table} (a) VALUES (1)")
        assert answer.startswith("Code: 164.")
        assert status == 500
        assert count(server, table) == 0

    def test_errors_have_the_status_of_their_kind(self, server: Server) -> None:
        assert server.http("SELECT * FROM nosuch")[0] == 404
        assert server.http("SELEC 1")[0] == 400

    def test_all_frames_of_a_compressed_body_are_inserted(self, server: Server, table: str) -> None:
        body = lz4.frame.compress(b"1,a\n") + lz4.frame.compress(b"2,b\n")
        assert server.http(f"INSERT INTO {table} FORMAT CSV", body, {"Content-Encoding": "lz4"}) == (200, "")
        assert count(server, table) == 2

    @pytest.mark.parametrize(
        "rest",
        [b"Content-Length: 8\r\n\r\n1\n2\n", b"Transfer-Encoding: chunked\r\n\r\n4\r\n1\n2\n\r\n"],
        ids=["length", "chunked"],
    )
    def test_a_body_that_is_cut_short_stores_nothing(self, run: Callable[..., Server], rest: bytes) -> None:
        server = run()
        server.client().execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        query = urllib.parse.urlencode({"query": "INSERT INTO t FORMAT CSV"})
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as client:
            client.sendall(f"POST /?{query} HTTP/1.1\r\nHost: localhost\r\n".encode() + rest)
            assert server.http("SELECT 1") == (200, "1\n")  # by now the first request has been begun
        status, complaint = server.stop()  # which waits for all requests
        assert status == 0
        assert "nothing of it was executed" in complaint
        assert "Traceback" not in complaint
        assert count(run(), "t") == 0

    def test_a_session_keeps_its_settings_and_a_request_without_one_does_not(self, server: Server) -> None:
        read = "SELECT getSetting('max_block_size')"
        assert server.http("SET max_block_size = 77", session_id="s") == (200, "")
        assert server.http(read, session_id="s") == (200, "77\n")
        assert server.http(read) == (200, "65409\n")
        assert server.http(read, session_id="other", session_check="1")[0] == 404

    @pytest.mark.parametrize("compress", [False, "lz4", "gzip"])
    def test_clickhouse_connect_inserts_and_reads(self, server: Server, table: str, compress: Any) -> None:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=server.http_port, compress=compress)
        client.insert(table, [[i % 100, f"s{i}"] for i in range(20000)], column_names=["a", "s"])
        assert client.query(f"SELECT count(), uniqExact(s) FROM {table}").result_rows == [(20000, 20000)]
        assert client.query(f"SELECT * FROM {table} WHERE 0").column_names == ("a", "s")
        assert client.query("SELECT {x:Int32}", parameters={"x": 5}).result_rows == [(5,)]
        client.close()

    def test_the_walk_agrees_with_the_engine_on_every_type(self, server: Server) -> None:
        TestNative().test_every_type_comes_back_from_an_insert_of_many_blocks(server, False)
        query = urllib.parse.urlencode({"query": "SELECT * FROM types LIMIT 500 FORMAT Native"})
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/?{query}", timeout=30) as answer:
            raw = answer.read()
        reader = WireReader(iter_once(raw))
        columns, rows = read_block(reader)
        assert ([name for name, _ in columns], rows) == (list(COLUMNS), 500)
        assert reader.pending == 0


class TestAdmission:
    def test_the_password_is_asked_for_on_both_protocols(self, run: Callable[..., Server]) -> None:
        server = run("--user", "ann", password="geheim:ж")
        assert server.client(user="ann").execute("SELECT 1") == [(1,)]
        basic = base64.b64encode("ann:geheim:ж".encode()).decode()
        assert server.http("SELECT 1", headers={"Authorization": f"Basic {basic}"}) == (200, "1\n")
        assert server.http("SELECT 1", user="ann", password="geheim:ж") == (200, "1\n")
        for wrong in (
            {"user": "ann", "password": "no"},
            {"user": "default"},
            {"user": "ann", "password": ""},
        ):
            with pytest.raises(errors.ServerException, match="Authentication failed") as raised:
                server.client(**wrong).execute("SELECT 1")
            assert raised.value.code == 516
            status, answer = server.http("SELECT 1", **wrong)
            assert status == 403
            assert answer.startswith("Code: 516.")
        environment = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        assert b"geheim" not in environment

    def test_one_connection_too_many_is_told_so(self, run: Callable[..., Server]) -> None:
        server = run("--max-connections", "2")
        kept = [server.client(), server.client()]
        for client in kept:
            client.execute("SELECT 1")
        with pytest.raises(errors.ServerException, match="--max-connections") as raised:
            server.client().execute("SELECT 1")
        assert raised.value.code == 202
        kept[0].disconnect()
        assert eventually(lambda: threads(server) < 2)
        assert kept[1].execute("SELECT 1") == [(1,)]


class TestLife:
    def test_a_taken_port_is_status_3_and_names_it(self, server: Server, tmp_path: Path) -> None:
        for option, port in (("--native-port", server.native_port), ("--http-port", server.http_port)):
            other = "--http-port" if option == "--native-port" else "--native-port"
            process = start(tmp_path / "data", option, str(port), other, "0")
            _, complaint = process.communicate(timeout=30)
            assert process.returncode == 3
            assert complaint.count("\n") == 1
            assert f"Port {port}" in complaint
            assert option in complaint

    def test_a_directory_in_use_is_status_4_and_names_the_holder(self, server: Server) -> None:
        process = start(server.data)
        _, complaint = process.communicate(timeout=30)
        assert process.returncode == 4
        assert complaint.count("\n") == 1
        assert f"process {server.process.pid}" in complaint
        assert server.client().execute("SELECT 1") == [(1,)]

    def test_what_was_acknowledged_survives_kill_9(self, run: Callable[..., Server]) -> None:
        server = run()
        server.client().execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        acknowledged: list[int] = []
        enough = threading.Event()

        def write() -> None:
            client = server.client()
            for batch in range(10000):
                try:
                    client.execute("INSERT INTO t VALUES", [[batch] * 50], columnar=True)
                except (errors.Error, EOFError, OSError):
                    return
                acknowledged.append(batch)
                if batch == 20:
                    enough.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert enough.wait(30)
        server.kill()
        writer.join(30)
        again = run()
        stored = dict(again.client().execute("SELECT a, count() FROM t GROUP BY a"))
        assert set(acknowledged) <= set(stored)
        assert set(stored.values()) == {50}
        assert len(stored) - len(acknowledged) in (0, 1)

    def test_sigterm_stops_a_running_statement_and_leaves_with_0(self, run: Callable[..., Server]) -> None:
        server = run()
        idle, busy = server.client(), server.client()
        idle.execute("SELECT 1")
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                busy.execute("SELECT max(sipHash64(number, 'endless')) FROM numbers(1000000000000)")
            except (errors.Error, EOFError, OSError) as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert eventually(lambda: running(server, "endless"))
        status, complaint = server.stop()
        thread.join(10)
        assert (status, len(failed)) == (0, 1)
        assert "Traceback" not in complaint
        assert run().client().execute("SELECT 1") == [(1,)]
