"""The packets of ClickHouse's native protocol: reading a client's, writing a server's.

The revision that we announce is the last one before secrets between servers and per-column serialization: a
block on the wire is then a block of the Native format behind eight bytes of block information. What the
packets hold is defined by `TCPHandler.cpp` and `ProtocolDefines.h` of the server.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from sinks.embedded.clickhouse import frames
from sinks.embedded.clickhouse.blocks import read_block
from sinks.embedded.clickhouse.errors import UNEXPECTED_PACKET_FROM_CLIENT, ProtocolError, ServerError
from sinks.embedded.clickhouse.wire import WireReader, text, varint

REVISION: Final = 54440
VERSION: Final = (26, 9, 2)

HELLO, QUERY, DATA, CANCEL, PING = range(5)
_S_HELLO, _S_DATA, _S_EXCEPTION, _S_PROGRESS, _S_PONG, _S_END = range(6)
PONG: Final = varint(_S_PONG)
END: Final = varint(_S_END)

_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_SHORT: Final = 1 << 16
"""Bytes of the longest string that a client may send before it has named itself."""


@dataclass(frozen=True)
class Hello:
    """How a client introduces itself."""

    revision: int
    database: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Query:
    """A query packet: its text, its settings, and whether blocks are compressed."""

    sql: str
    settings: dict[str, str]
    compressed: bool


@dataclass(frozen=True)
class Block:
    """A block of data: its table, columns (name, type), number of rows, and its bytes in the Native format."""

    table: str
    columns: list[tuple[str, str]]
    rows: int
    raw: memoryview


def read_hello(reader: WireReader) -> Hello:
    """The first packet of a connection."""
    if (packet := reader.varint()) != HELLO:
        hint = "; HTTP has a port of its own" if packet in b"GHPOD" else ""
        raise ProtocolError(
            UNEXPECTED_PACKET_FROM_CLIENT,
            f"Expected Hello, got packet {packet}: is this a ClickHouse client?{hint}",
        )
    reader.text(_SHORT)
    reader.varint(), reader.varint()
    revision = reader.varint()
    return Hello(revision, reader.text(_SHORT), reader.text(_SHORT), reader.text(_SHORT))


def read_query(reader: WireReader, revision: int) -> Query:
    """The rest of a query packet; the tables sent along with it follow as blocks."""
    reader.text()
    if reader.uint8():
        _skip_client_info(reader, revision)
    settings = {}
    while name := reader.text():
        if revision < 54429:
            raise ProtocolError(
                UNEXPECTED_PACKET_FROM_CLIENT,
                "Settings of clients before ClickHouse 20.3 are not understood; "
                "use a newer client, or send none",
            )
        reader.varint()
        settings[name] = reader.text()
    reader.varint()
    compressed = bool(reader.varint())
    return Query(reader.text(), settings, compressed)


def read_data(reader: WireReader, compressed: bool) -> Block:
    """The rest of a data packet. After an error in it nothing says where the next packet begins."""
    table = reader.text()
    source = WireReader(lambda: frames.read_frame(reader)) if compressed else reader
    while info := source.varint():
        if info not in (1, 2):
            raise ProtocolError(UNEXPECTED_PACKET_FROM_CLIENT, f"Unknown block information {info}")
        source.take(1 if info == 1 else 4)
    source.keep()
    try:
        columns, rows = read_block(source)
    except ServerError as error:
        raise ProtocolError(error.code, error.message) from error
    return Block(table, columns, rows, source.kept())


def hello(revision: int) -> bytes:
    """The answer to a client of that revision whose Hello was accepted."""
    return b"".join(
        (
            varint(_S_HELLO)
            + text("ClickHouse")
            + varint(VERSION[0])
            + varint(VERSION[1])
            + varint(REVISION),
            text("UTC") if revision >= 54058 else b"",
            text("touchline") if revision >= 54372 else b"",
            varint(VERSION[2]) if revision >= 54401 else b"",
        )
    )


def data(raw: bytes, compressed: bool) -> bytes:
    """A packet with one block of the Native format."""
    body = _BLOCK_INFO + raw
    return varint(_S_DATA) + text("") + (frames.frames(body) if compressed else body)


def exception(error: ServerError) -> bytes:
    """A packet with an error; no stack trace, nothing nested."""
    return b"".join(
        (
            varint(_S_EXCEPTION),
            struct.pack("<i", error.code),
            text("DB::Exception"),
            text(f"DB::Exception: {error.message}"),
            text(""),
            b"\x00",
        )
    )


def _skip_client_info(reader: WireReader, revision: int) -> None:
    for _ in range(3):
        reader.text()
    if reader.uint8() != 1:  # HTTP has no more to say
        return
    for _ in range(3):
        reader.text()
    for _ in range(3):
        reader.varint()
    if revision >= 54060:
        reader.text()
    if revision >= 54401:
        reader.varint()
