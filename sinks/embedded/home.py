"""What Touchline keeps on disk between runs: its home, the lock on it, and which servers run in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from sinks.embedded.errors import HomeInUseError, HomeUnusableError

# Process start times are derived from the boot time, which a clock correction may shift by a little.
START_TIME_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True)
class RunningProcess:
    """A process, told apart from a later one with the same pid by its start (seconds since the epoch)."""

    name: str
    pid: int
    started: float

    @classmethod
    def of(cls, name: str, pid: int) -> RunningProcess:
        """Describe the running process `pid`. Raises `psutil.NoSuchProcess` when there is none."""
        return cls(name, pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Tell whether this very process still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= START_TIME_TOLERANCE_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(frozen=True)
class RunState:
    """The embedded servers that run now, for other commands to find them.

    `processes` are those that serve: one of them gone means that the whole state is stale. Fields of a server
    that is not embedded are None. No password belongs in a URL here, though only the owner can read the file.
    """

    broker: Literal["kafka", "mock", "external"]
    bootstrap: str
    started_at: AwareDatetime
    processes: tuple[RunningProcess, ...]
    clickhouse_native: str | None = None
    clickhouse_http: str | None = None
    mock_control: str | None = None

    def alive(self) -> bool:
        """Tell whether every process of this state still runs."""
        return all(process.alive() for process in self.processes)


_STATE = TypeAdapter(RunState)


@dataclass(frozen=True)
class Home:
    """The layout under `TOUCHLINE_HOME`. All of it belongs to one user (mode 0700)."""

    path: Path

    @property
    def kafka(self) -> Path:
        """Data and configuration of the embedded Kafka."""
        return self.path / "kafka"

    @property
    def clickhouse(self) -> Path:
        """Data of the embedded ClickHouse."""
        return self.path / "clickhouse"

    @property
    def run(self) -> Path:
        """The lock, the run state, and workers' scratch: nothing that matters once the processes are gone."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """One log file a child process."""
        return self.path / "logs"

    @property
    def heartbeats(self) -> Path:
        """One file a running worker, its sign of life."""
        return self.run / "workers"

    @property
    def state_file(self) -> Path:
        """The JSON file behind `write_state` and `read_state`."""
        return self.run / "state.json"

    def create(self) -> Home:
        """Make the directories that are missing and return self. Raises `HomeUnusableError` when one cannot be made."""
        self._make(self.path, self.kafka, self.clickhouse, self.run, self.logs)
        return self

    def scratch(self) -> Path:
        """Make the directory that a worker gives to Faust, and return it. Raises `HomeUnusableError` when it cannot be.

        Faust insists on one; with tables in memory it puts nothing into it but empty directories. So all
        workers of a home share it, and one that is killed leaves nothing behind.
        """
        directory = self.run / "faust"
        self._make(self.path, self.run, directory)
        return directory

    def _make(self, *directories: Path) -> None:
        with self._usable():
            for directory in directories:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HomeUnusableError(
                f"{self.path} cannot be used: {error.strerror}: {error.filename}. "
                "Set TOUCHLINE_HOME to a directory of your own."
            ) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this home for the length of the `with` block.

        Raises `HomeInUseError` at once when another process has it, and `HomeUnusableError`.
        The kernel drops the lock when the holder dies, however it dies. Child processes do not inherit it.
        """
        self.create()
        with self._usable():
            descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HomeInUseError(
                    f"{self.path} is in use by {_describe(handle.read().strip())}. "
                    "Stop it, or set TOUCHLINE_HOME to another directory."
                ) from None
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            # The file stays: removing it would let two processes lock two files of one name.
            yield

    def write_state(self, state: RunState) -> None:
        """Replace the run state in one step, so that a reader sees the old one or the new one, whole."""
        self.create()
        replace_file(self.state_file, _STATE.dump_json(state, indent=2))

    def read_state(self) -> RunState | None:
        """Return the servers that run in this home, or None when there are none.

        A file that a crash left behind (a process gone, or its pid now another's) or that another version of
        Touchline wrote counts as none. Raises `HomeUnusableError` where no home can be, or this user may not read it.
        """
        with self._usable():
            try:
                state = _STATE.validate_json(self.state_file.read_bytes())
            except (FileNotFoundError, ValidationError):
                return None
        return state if state.alive() else None

    def clear_state(self) -> None:
        """Forget the run state; the last step of a clean stop."""
        self.state_file.unlink(missing_ok=True)


def replace_file(file: Path, content: bytes) -> None:
    """Write the file in one step, so that a reader sees the old one or the new one, whole. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=".", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _describe(pid: str) -> str:
    try:
        process = psutil.Process(int(pid))
        since = datetime.fromtimestamp(process.create_time()).astimezone()
        return f"process {pid} ({process.name()}, since {since:%Y-%m-%d %H:%M:%S})"
    except (ValueError, psutil.Error):
        return "another process"
