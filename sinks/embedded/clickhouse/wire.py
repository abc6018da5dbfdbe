"""The primitives of ClickHouse's native protocol: varints, strings, little-endian numbers.

The reader stands on clickhouse-driver's compiled one, and can keep a copy of the bytes that pass: client
blocks carry no length, so where one ends is only known after walking it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from clickhouse_driver.bufferedreader import CompressedBufferedReader
from clickhouse_driver.varint import make_varint, read_varint

from sinks.embedded.clickhouse.errors import UNEXPECTED_PACKET_FROM_CLIENT, ProtocolError

MAX_BLOCK: Final = 2 << 30
"""Bytes of the longest block, string or query that is taken; ClickHouse's own clients stay far below."""

varint: Callable[[int], bytes] = make_varint


def text(value: str) -> bytes:
    """A string as the protocol writes it: its length in bytes as a varint, then UTF-8."""
    raw = value.encode()
    return varint(len(raw)) + raw


class WireReader:
    """A buffered reader over `pull`, which returns the next bytes or raises `EOFError` at their end."""

    def __init__(self, pull: Callable[[], bytes]) -> None:
        self._pull = pull
        self._kept: bytearray | None = None
        self._start = 0
        self._buffered = CompressedBufferedReader(self._next, 1 << 20)

    def _next(self) -> bytes:
        chunk = self._pull()
        if self._kept is not None:
            self._kept += chunk
            if len(self._kept) > MAX_BLOCK:
                raise _too_long(len(self._kept))
        return chunk

    @property
    def pending(self) -> int:
        """How many bytes have been received and not yet been read."""
        return int(self._buffered.current_buffer_size - self._buffered.position)

    def keep(self) -> None:
        """Remember the bytes from here on; `kept` returns them."""
        b = self._buffered
        self._kept = bytearray(memoryview(b.buffer)[b.position : b.current_buffer_size])

    def kept(self) -> memoryview:
        """The bytes read since `keep`, which stops remembering."""
        if self._kept is None:
            raise RuntimeError("kept() needs keep() before it")
        bytes_kept, self._kept = self._kept, None
        return memoryview(bytes_kept)[: len(bytes_kept) - self.pending]

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        if count > MAX_BLOCK:
            raise _too_long(count)
        return bytes(self._buffered.read(count))

    def varint(self) -> int:
        """An unsigned LEB128 number."""
        return int(read_varint(self._buffered))

    def uint8(self) -> int:
        return self.take(1)[0]

    def uint64(self) -> int:
        return int(struct.unpack("<Q", self.take(8))[0])

    def text(self, limit: int = MAX_BLOCK) -> str:
        """A string of at most `limit` bytes; bytes that are not UTF-8 are replaced."""
        length = self.varint()
        if not 0 <= length <= limit:
            raise _too_long(length)
        return self.take(length).decode(errors="replace")

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings in compiled code, one temporary bytes object each."""
        try:
            self._buffered.read_strings(count)
        except (SystemError, OverflowError, MemoryError) as error:
            raise ProtocolError(UNEXPECTED_PACKET_FROM_CLIENT, "A string's length is not a number") from error


def _too_long(size: int) -> ProtocolError:
    return ProtocolError(
        UNEXPECTED_PACKET_FROM_CLIENT,
        f"A block, string or query of {size} bytes is longer than the {MAX_BLOCK} that are taken; "
        "send smaller blocks",
    )
