"""The bytes of one insert, kept aside until the client has sent them all.

The engine reads them as a file, because that is its only way to insert that reports every error. Nothing is
executed before the end has arrived, so a client that dies half-way commits nothing.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

IN_MEMORY: Final = 256 << 20
"""Bytes that are kept in memory; a longer insert moves to a file without a name in the data directory."""


class Spool:
    """An anonymous file: `write` the bytes, then hand `path` to the engine. A context manager."""

    def __init__(self, directory: Path, in_memory: int = IN_MEMORY) -> None:
        self._directory = directory
        self._in_memory = in_memory
        self.size = 0
        self._on_disk = not hasattr(os, "memfd_create")
        self._fd = self._file() if self._on_disk else os.memfd_create("touchline-insert")

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the bytes."""
        os.close(self._fd)

    @property
    def path(self) -> str:
        """Where this process, and no other, can open the bytes from their beginning."""
        os.lseek(self._fd, 0, os.SEEK_SET)  # where /dev/fd duplicates the descriptor, it shares its position
        return f"/dev/fd/{self._fd}"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`, however long."""
        if not self._on_disk and self.size + len(data) > self._in_memory:
            self._move_to_disk()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest[: 1 << 30]) :]
        self.size += len(data)

    def _file(self) -> int:
        with tempfile.TemporaryFile(dir=self._directory) as unnamed:
            return os.dup(unnamed.fileno())

    def _move_to_disk(self) -> None:
        target = self._file()
        os.lseek(self._fd, 0, os.SEEK_SET)
        while chunk := os.read(self._fd, 1 << 20):
            os.write(target, chunk)
        os.close(self._fd)
        self._fd, self._on_disk = target, True
