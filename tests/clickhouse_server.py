"""The embedded ClickHouse as a process of a test: started on free ports, killed or stopped, started again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sinks.clickhouse.client import ClickHouseTarget, InsertingClient, connect
from sinks.clickhouse.migrate import private_database

START_SECONDS = 60

WRITTEN = (
    "placed_interactions_raw",
    "journeys_raw",
    "dead_letters_raw",
    "ledger_raw",
    "epochs_raw",
    "findings_raw",
    "findings_history_raw",
    "lights_raw",
    "alerts_raw",
    "alerts_history_raw",
    "identity_raw",
    "identity_history_raw",
    "renamed_customers_raw",
    "hash_keys_raw",
    "erasures_raw",
    "erased_interactions_raw",
    "erasures_done_raw",
)
"""The tables that the pipeline writes."""


class EmbeddedClickHouse:
    """One data directory; `start` may be called again after `kill` or `stop`, and keeps the port."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.http_port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and return when both ports listen."""
        command = [sys.executable, "-m", "sinks.embedded.clickhouse", "--data", str(self.directory / "data")]
        command += ["--native-port", str(self.port), "--http-port", str(self.http_port)]
        log = (self.directory / "server.log").open("a")
        environment = os.environ | {"TOUCHLINE_CLICKHOUSE__PASSWORD": ""}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        log.close()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError((self.directory / "server.log").read_text()[-2000:])
        ready = json.loads(line)
        self.port, self.http_port = ready["native_port"], ready["http_port"]

    def target(self, database: str = "touchline", **more: object) -> ClickHouseTarget:
        """How to reach it."""
        return ClickHouseTarget("127.0.0.1", self.port, database=database, **more)  # type: ignore[arg-type]

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as a supervisor does."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()


class Database:
    """One fresh database of a running server, as a test sees it."""

    def __init__(self, target: ClickHouseTarget) -> None:
        self.target = target
        self._client = connect(target)

    def rows(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        found: list[tuple[Any, ...]] = self._client.execute(sql, parameters or None)
        return found

    def row(self, sql: str, **parameters: object) -> tuple[Any, ...]:
        """The only row of a query."""
        (found,) = self.rows(sql, **parameters)
        return found

    def client(self) -> InsertingClient:
        """Another connection."""
        return connect(self.target)

    def empty(self) -> None:
        """Remove every row that the pipeline has written."""
        for table in (*WRITTEN, f"`{private_database(self.target.database)}`.identifiers_raw"):
            self._client.execute(f"TRUNCATE TABLE {table}")

    def drop(self) -> None:
        """Remove the database and disconnect."""
        self._client.disconnect()
        server = connect(self.target, database="")
        for database in (self.target.database, private_database(self.target.database)):
            server.execute(f"DROP DATABASE IF EXISTS `{database}` SYNC")
        server.disconnect()
