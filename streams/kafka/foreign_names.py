"""Batches in which a header's name is no UTF-8, read all the same.

No broker looks at the names of headers, and not every client writes UTF-8. aiokafka's reader stops in the middle of
such a batch and cannot go on behind it, so that its partition would never be read any further. So the bytes of a batch
are remembered while its records are taken, and read once more where that happens, such names escaped (`a\\xff`).
tests/contracts/test_fetched_records.py guards what this leans on.
"""

from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT: Final = 8
_BEHIND_LENGTH: Final = 12
"""A batch begins with its first offset and the length of what follows (of eight bytes and of four)."""


class RememberedBytes:
    """aiokafka's `MemoryRecords`, which also knows the bytes of the batch that was taken last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records = MemoryRecords(data)
        self._end = 0
        self.latest = memoryview(b"")

    def size_in_bytes(self) -> int:
        """Of all batches."""
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        has_next: bool = self._records.has_next()
        return has_next

    def next_batch(self) -> Any:
        """The next batch; raises `CorruptRecordException` where that one does."""
        start = self._end
        length = self._data[start + _LENGTH_AT : start + _BEHIND_LENGTH]
        self._end = start + _BEHIND_LENGTH + int.from_bytes(length, "big")
        self.latest = memoryview(self._data)[start : self._end]
        return self._records.next_batch()


def remember_bytes() -> None:
    """Let aiokafka's fetchers of this process keep what they fetch as `RememberedBytes`."""
    fetcher.MemoryRecords = RememberedBytes


def records_behind(offset: int | None, batch: memoryview) -> Iterator[Any]:
    """aiokafka's records of a batch, those after `offset` if there is one, with header names escaped."""
    return (record for record in _Lenient(batch) if offset is None or record.offset > offset)


class _Lenient(_DefaultRecordBatchPy):  # type: ignore[misc]
    """aiokafka's reader in Python, over bytes whose pieces become text whatever they are."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Pieces(self._buffer)


class _Pieces(bytearray):
    def __getitem__(self, which: Any) -> Any:
        piece = super().__getitem__(which)
        return _Piece(piece) if isinstance(which, slice) else piece


class _Piece(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "") -> str:  # noqa: ARG002
        return super().decode(encoding, "backslashreplace")
