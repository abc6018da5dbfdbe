"""A worker's sign of life: a file that its own event loop touches, for whoever asks from outside whether it lives.

A worker whose servers answer may stand still all the same, and one that goes on may wait for servers that are down: the
file tells the first from the second. It stands in the worker's home, named by host and process, since containers that
share a home may have one number of process.
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from sinks.embedded.home import Home, RunningProcess, replace_file
from streams.agents.outages import OUTAGES

BEAT_SECONDS: Final = 5.0
"""Between two beats."""

LONGEST_SILENCE: Final = 30.0
"""Seconds without a beat after which a worker counts as stuck."""


@dataclass(frozen=True)
class _Record:
    """What the file holds; when it was touched last is when the worker beat last."""

    process: RunningProcess
    ready: bool


_RECORD: Final = TypeAdapter(_Record)


@dataclass(frozen=True)
class Beat:
    """The sign of life of a worker that runs. `ready`: it has its partitions; else it starts."""

    pid: int
    ready: bool
    silent_seconds: float

    @property
    def stuck(self) -> bool:
        """Whether the last beat is longer ago than any pause that is normal."""
        return self.silent_seconds > LONGEST_SILENCE


class Heartbeat:
    """The heart of this process. `beat` runs beside the worker; the file goes with `end`, or once another worker of
    the home starts.
    """

    def __init__(self, home: Home) -> None:
        """Writes nothing yet."""
        self._directory = home.heartbeats
        self._process = RunningProcess.of("worker", os.getpid())
        self._file = self._directory / f"{_host()}-{self._process.pid}.json"
        self._ready = False

    async def beat(self) -> None:
        """Beat for ever. A disk that takes no file is told in the log, and stops no worker."""
        outage = OUTAGES.of(f"the heartbeat file {self._file}")
        self._sweep()
        while True:
            try:
                self._touch()
            except OSError as error:
                outage.failed(self, str(error))
            else:
                outage.answered(self)
            await asyncio.sleep(BEAT_SECONDS)

    def ready(self) -> None:
        """Say that the worker has its partitions, at the next beat at the latest."""
        self._ready = True
        with suppress(OSError):
            self._write()

    def end(self) -> None:
        """Take the file away."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _touch(self) -> None:
        try:
            os.utime(self._file)
        except FileNotFoundError:
            self._write()

    def _write(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._file, _RECORD.dump_json(_Record(self._process, self._ready)))

    def _sweep(self) -> None:
        """Take away what workers have left that could not do it themselves."""
        for file, record in _files(self._directory):
            if not record.process.alive():
                with suppress(OSError):
                    file.unlink(missing_ok=True)


def read_beats(home: Home, now: float | None = None) -> list[Beat]:
    """The workers of this home that run on this host; `now` is in seconds since the epoch, by default the clock's."""
    at = time.time() if now is None else now
    beats = []
    for file, record in _files(home.heartbeats):
        if record.process.alive():
            with suppress(OSError):
                beats.append(Beat(record.process.pid, record.ready, max(0.0, at - file.stat().st_mtime)))
    return beats


def _files(directory: Path) -> Iterator[tuple[Path, _Record]]:
    for file in sorted(directory.glob(f"{_host()}-*.json")):
        with suppress(OSError, ValidationError):
            yield file, _RECORD.validate_json(file.read_bytes())


def _host() -> str:
    return socket.gethostname()
