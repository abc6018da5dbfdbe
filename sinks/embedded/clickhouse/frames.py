"""ClickHouse's compressed frames: checksum, method, sizes, payload.

16 bytes  CityHash128 1.0.2 of all that follows, high half first
 1 byte   method: 0x82 lz4, 0x02 none
 4 bytes  size of the frame without the checksum
 4 bytes  size of the payload when decompressed
"""

from __future__ import annotations

import struct
from typing import Final

from clickhouse_cityhash.cityhash import CityHash128
from lz4 import block as lz4

from sinks.embedded.clickhouse.errors import CANNOT_DECOMPRESS, UNKNOWN_COMPRESSION_METHOD, ProtocolError
from sinks.embedded.clickhouse.wire import WireReader

LZ4: Final = 0x82
NONE: Final = 0x02
FRAME: Final = 1 << 20
"""Bytes of payload in a frame that we write, as the server does."""
MAX_FRAME: Final = 1 << 30

_HEADER = struct.Struct("<BII")


def read_frame(reader: WireReader) -> bytes:
    """The decompressed payload of the next frame; a wrong checksum or method is a `ProtocolError`."""
    high, low = struct.unpack("<QQ", reader.take(16))
    head = reader.take(_HEADER.size)
    method, size, size_after = _HEADER.unpack(head)
    if not _HEADER.size <= size <= MAX_FRAME or size_after > MAX_FRAME:
        raise ProtocolError(CANNOT_DECOMPRESS, f"A compressed frame of {size} bytes is not possible")
    payload = reader.take(size - _HEADER.size)
    if CityHash128(head + payload) != (high << 64) | low:
        raise ProtocolError(40, "Checksum doesn't match: corrupted data. (CHECKSUM_DOESNT_MATCH)")
    if method == NONE:
        return payload
    if method != LZ4:
        raise ProtocolError(
            UNKNOWN_COMPRESSION_METHOD,
            f"Compression method 0x{method:02x} is not supported here; let the client use lz4 or none",
        )
    try:
        return bytes(lz4.decompress(payload, uncompressed_size=size_after))
    except lz4.LZ4BlockError as error:
        raise ProtocolError(CANNOT_DECOMPRESS, f"Cannot decompress: {error}. (CANNOT_DECOMPRESS)") from error


def frames(data: bytes) -> bytes:
    """`data` as lz4 frames of at most `FRAME` bytes of payload."""
    out = bytearray()
    for at in range(0, len(data), FRAME):
        part = data[at : at + FRAME]
        packed = lz4.compress(part, store_size=False)
        body = _HEADER.pack(LZ4, len(packed) + _HEADER.size, len(part)) + packed
        digest = CityHash128(body)
        out += struct.pack("<QQ", digest >> 64, digest & 0xFFFF_FFFF_FFFF_FFFF) + body
    return bytes(out)
