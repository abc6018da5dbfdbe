"""The engine and its data directory: one process holds it, opens it once, and gives out connections to it.

The engine is chDB. It does what a single ClickHouse server does except transactions, users and grants, the
query log, KeeperMap and replication. It reads files of this machine for whoever may connect (`file()`), so
bind it to loopback. After the engine has been opened this process must not fork.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from chdb import session

from sinks.embedded.clickhouse.errors import DirectoryInUse, from_engine

LOCK_FILE: Final = ".touchline-clickhouse.lock"
SPOOL: Final = ".touchline-spool"


def half_of_memory() -> int:
    """Half of this machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@dataclass(frozen=True)
class Limits:
    """What one statement may use unless it asks for other settings itself: bytes of memory, seconds."""

    max_memory_usage: int
    max_execution_time: int = 300


class DirectoryLock:
    """A lock on the data directory that the kernel releases when the process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._fd, 32).strip()
            os.close(self._fd)
            raise DirectoryInUse(directory, int(holder) if holder.isdigit() else None) from error
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another process have the directory."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


class Engine:
    """The opened data directory. Raises `DirectoryInUse` when another process has it open."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.directory = directory
        self.limits = limits
        self._lock = DirectoryLock(directory)
        try:
            self._control = session.Session(str(directory))
            self._control.query("SELECT 1")
        except Exception as error:
            self._lock.release()
            if "lock" in str(error).lower():
                raise DirectoryInUse(directory, None) from error
            raise
        self._control_lock = threading.Lock()
        self._tags: Iterator[int] = count(1)
        self.spool_directory = directory / SPOOL
        self.spool_directory.mkdir(exist_ok=True)

    def connect(self) -> tuple[Any, dict[str, str]]:
        """A new connection, and the settings it has from us as SQL literals.

        `log_comment` tags its statements, so that `kill` finds them. `async_insert` is off: an insert that is
        acknowledged is in a part. `implicit_select` is off, as on a server.
        """
        connection = session.Session(str(self.directory))
        baseline = {
            "log_comment": f"'touchline-{next(self._tags)}'",
            "max_memory_usage": str(self.limits.max_memory_usage),
            "max_execution_time": str(self.limits.max_execution_time),
            "async_insert": "0",
            "implicit_select": "0",
        }
        connection.query("SET " + ", ".join(f"{name} = {value}" for name, value in baseline.items()))
        return connection, baseline

    def kill(self, tag: str | None = None) -> None:
        """Stop the statements with this `log_comment` (an SQL literal); without one, stop them all."""
        where = f"Settings['log_comment'] = {tag}" if tag else "Settings['log_comment'] LIKE 'touchline-%'"
        with self._control_lock:
            try:
                self._control.query(f"KILL QUERY WHERE {where} ASYNC")
            except Exception as error:
                raise from_engine(error) from error

    def close(self) -> None:
        """Close the engine; every connection must have been closed before."""
        with self._control_lock:
            self._control.close()
        self._lock.release()
