"""The bodies of HTTP: decoding what a client sends, encoding what it gets."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

from lz4 import frame as lz4

from sinks.embedded.clickhouse.blocks import iter_once
from sinks.embedded.clickhouse.errors import (
    CANNOT_DECOMPRESS,
    UNEXPECTED_PACKET_FROM_CLIENT,
    UNKNOWN_COMPRESSION_METHOD,
    ServerError,
)
from sinks.embedded.clickhouse.frames import frames, read_frame
from sinks.embedded.clickhouse.wire import WireReader

zstd: Any
try:
    from backports import zstd
except ImportError:  # it comes with aiohttp's extras; without it clients use another of the encodings
    zstd = None

COMPRESS_FROM: Final = 4096
"""Bytes from which an answer is worth compressing."""


class Decoder(Protocol):
    """A streaming decompressor. `eof` is true at the end of a frame; clients may send several in a row."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _decoders() -> dict[str, Callable[[], Decoder]]:
    known: dict[str, Callable[[], Decoder]] = {
        "gzip": lambda: zlib.decompressobj(31),
        "deflate": lambda: zlib.decompressobj(15),
        "lz4": lz4.LZ4FrameDecompressor,
    }
    if zstd is not None:
        known["zstd"] = zstd.ZstdDecompressor
    return known


def _encoders() -> dict[str, Callable[[bytes], bytes]]:
    known: dict[str, Callable[[bytes], bytes]] = {
        "lz4": lz4.compress,
        "gzip": lambda data: gzip.compress(data, 3),
        "deflate": lambda data: zlib.compress(data, 3),
    }
    if zstd is not None:
        known["zstd"] = zstd.compress
    return known


DECODERS: Final = _decoders()
ENCODERS: Final = _encoders()


async def decoded(chunks: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The bytes behind a Content-Encoding; a body that is cut short is error 271, never a shorter body."""
    if encoding in ("", "identity"):
        async for chunk in chunks:
            yield chunk
        return
    if encoding not in DECODERS:
        raise ServerError(
            UNKNOWN_COMPRESSION_METHOD,
            f"Content-Encoding {encoding} is not supported; use one of {', '.join(DECODERS)}. "
            "(UNKNOWN_COMPRESSION_METHOD)",
        )
    decoder, begun = DECODERS[encoding](), False
    async for chunk in chunks:
        rest = chunk
        while rest:
            if decoder.eof:
                decoder, begun = DECODERS[encoding](), False
            begun = True
            try:
                out = decoder.decompress(rest)
            except Exception as error:
                raise ServerError(
                    CANNOT_DECOMPRESS, f"The body is not {encoding}: {error}. (CANNOT_DECOMPRESS)"
                ) from error
            if out:
                yield out
            rest = (decoder.unused_data or b"") if decoder.eof else b""
    if begun and not decoder.eof:
        raise ServerError(CANNOT_DECOMPRESS, f"The {encoding} body ends too early. (CANNOT_DECOMPRESS)")


def from_frames(raw: bytes) -> bytes:
    """The payload of a body that was sent with `decompress=1`: ClickHouse's own compressed frames."""
    reader, out, done = WireReader(iter_once(raw)), bytearray(), 0
    while done < len(raw):
        reader.keep()
        try:
            out += read_frame(reader)
        except EOFError as error:
            raise ServerError(
                UNEXPECTED_PACKET_FROM_CLIENT, "The body ends within a compressed frame. (CANNOT_DECOMPRESS)"
            ) from error
        done += len(reader.kept())
    return bytes(out)


def to_frames(data: bytes) -> bytes:
    """An answer for `compress=1`."""
    return frames(data)


def encoded(data: bytes, accepted: str) -> tuple[bytes, str]:
    """`data` in the first encoding that the client names and we have, and its name; else as it is and ``."""
    if len(data) < COMPRESS_FROM:
        return data, ""
    for offered in accepted.split(","):
        name, _, quality = offered.strip().partition(";")
        if name in ENCODERS and quality.replace(" ", "") not in ("q=0", "q=0.0"):
            return ENCODERS[name](data), name
    return data, ""
