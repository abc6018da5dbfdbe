"""Where the columns of a Native block end.

A block says how many columns and rows it has, and each column its name and type, but not its length. So its
columns are walked, by arithmetic for what has a fixed width and in compiled code for strings: no Python runs
per row. The layout is that of https://clickhouse.com/docs/interfaces/formats/Native.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sinks.embedded.clickhouse.errors import (
    UNEXPECTED_PACKET_FROM_CLIENT,
    UNKNOWN_TYPE,
    ProtocolError,
    ServerError,
)
from sinks.embedded.clickhouse.wire import MAX_BLOCK, WireReader, text, varint

_UNITS: Final = (
    *("Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"),
    *("Day", "Week", "Month", "Quarter", "Year"),
)
_WIDTHS: Final = {
    "Bool": 1,
    "Nothing": 1,
    "Enum8": 1,
    "Enum16": 2,
    "Date": 2,
    "Date32": 4,
    "DateTime": 4,
    "DateTime32": 4,
    "DateTime64": 8,
    "Time": 4,
    "Time64": 8,
    "BFloat16": 2,
    "Float32": 4,
    "Float64": 8,
    "UUID": 16,
    "IPv4": 4,
    "IPv6": 16,
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    **{f"Decimal{bits}": bits // 8 for bits in (32, 64, 128, 256)},
    **{f"Interval{unit}": 8 for unit in _UNITS},
}
_ALIASES: Final = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
_TYPE = re.compile(r"^(\w+)\s*(?:\((.*)\))?$", re.S)
_ELEMENT_NAME = re.compile(r"^(?:`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*)\s+(?=\S)", re.S)

Walk = Callable[[WireReader, int], None]
Prefix = Callable[[WireReader], None]


@dataclass(frozen=True)
class Layout:
    """How one column lies in a block: `prefix` once a block, then `body` for its rows (never for zero)."""

    prefix: Prefix
    body: Walk

    def rows(self, reader: WireReader, count: int) -> None:
        """Pass over `count` rows; of zero rows nothing is written."""
        if count:
            self.body(reader, count)


def arguments(inside: str) -> list[str]:
    """Split the text between a type's brackets at its commas, heeding brackets and quotes."""
    parts, depth, start, quote, at = [], 0, 0, "", 0
    while at < len(inside):
        char = inside[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'`\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and depth == 0:
            parts.append(inside[start:at].strip())
            start = at + 1
        at += 1
    parts.append(inside[start:].strip())
    return [part for part in parts if part]


@lru_cache(maxsize=4096)
def layout(type_text: str) -> Layout:
    """The layout of a type; error 50 names a type whose columns cannot be walked."""
    found = _TYPE.match(type_text.strip())
    base = found[1] if found else ""
    args = arguments(found[2]) if found and found[2] else []
    if base in _ALIASES:
        return layout(_ALIASES[base])
    if base in _WIDTHS:
        return _fixed(_WIDTHS[base])
    match base, args:
        case "String", []:
            return Layout(_no_prefix, lambda reader, count: reader.skip_strings(count))
        case "FixedString", [width]:
            return _fixed(int(width))
        case "Decimal", [precision, *_]:
            digits = int(precision)
            return _fixed(4 if digits < 10 else 8 if digits < 19 else 16 if digits < 39 else 32)
        case "Nullable", [inner]:
            return _nullable(layout(inner))
        case "Array", [inner]:
            return _array(layout(inner))
        case "Map", [key, value]:
            return _array(_tuple([layout(key), layout(value)]))
        case "Nested", [_, *_]:
            return _array(_tuple([layout(_unnamed(arg)) for arg in args]))
        case "Tuple", []:
            return _fixed(1)
        case "Tuple", _:
            return _tuple([layout(_unnamed(arg)) for arg in args])
        case "SimpleAggregateFunction", [_, inner, *_]:
            return layout(inner)
        case "LowCardinality", [inner]:
            held = _TYPE.match(inner)
            return _low_cardinality(layout(held[2] if held and held[1] == "Nullable" else inner))
    raise ServerError(
        UNKNOWN_TYPE,
        f"Columns of type {type_text} cannot be inserted through the native protocol of this server; "
        "cast them to String on the way, or use HTTP with a text format. (UNKNOWN_TYPE)",
    )


def read_block(reader: WireReader) -> tuple[list[tuple[str, str]], int]:
    """Walk one Native block; returns its columns (name, type) and its number of rows."""
    columns, rows = reader.varint(), reader.varint()
    if columns > 100_000 or rows > MAX_BLOCK:
        raise ProtocolError(
            UNEXPECTED_PACKET_FROM_CLIENT, f"A block of {columns} columns, {rows} rows is not possible"
        )
    seen = []
    for _ in range(columns):
        name, type_text = reader.text(), reader.text()
        seen.append((name, type_text))
        if rows:
            column = layout(type_text)
            column.prefix(reader)
            column.rows(reader, rows)
    return seen, rows


def header(columns: list[tuple[str, str]]) -> bytes:
    """A block of no rows, which tells a client the names and types to come."""
    return (
        varint(len(columns))
        + varint(0)
        + b"".join(text(name) + text(type_text) for name, type_text in columns)
    )


def split_blocks(raw: bytes) -> Iterator[tuple[list[tuple[str, str]], memoryview]]:
    """The blocks of a Native file, one by one: columns and the block's own bytes."""
    reader = WireReader(iter_once(raw))
    remaining = len(raw)
    while remaining:
        reader.keep()
        columns, _ = read_block(reader)
        block = reader.kept()
        remaining -= len(block)
        yield columns, block


def iter_once(raw: bytes) -> Callable[[], bytes]:
    """A `pull` for `WireReader` that gives `raw` and then the end."""
    left = [raw]

    def pull() -> bytes:
        if not left:
            raise EOFError("the block ends before its columns do")
        return left.pop()

    return pull


def _no_prefix(_: WireReader) -> None:
    return


def _unnamed(element: str) -> str:
    """The type of a tuple's element, `name Type` or `Type`."""
    return _ELEMENT_NAME.sub("", element, count=1)


def _fixed(width: int) -> Layout:
    def body(reader: WireReader, count: int) -> None:
        reader.take(width * count)

    return Layout(_no_prefix, body)


def _nullable(inner: Layout) -> Layout:
    def body(reader: WireReader, count: int) -> None:
        reader.take(count)
        inner.rows(reader, count)

    return Layout(inner.prefix, body)


def _array(inner: Layout) -> Layout:
    def body(reader: WireReader, count: int) -> None:
        offsets = reader.take(8 * count)
        inner.rows(reader, struct.unpack_from("<Q", offsets, 8 * (count - 1))[0])

    return Layout(inner.prefix, body)


def _tuple(inner: list[Layout]) -> Layout:
    def prefix(reader: WireReader) -> None:
        for element in inner:
            element.prefix(reader)

    def body(reader: WireReader, count: int) -> None:
        for element in inner:
            element.rows(reader, count)

    return Layout(prefix, body)


def _low_cardinality(dictionary: Layout) -> Layout:
    def prefix(reader: WireReader) -> None:
        reader.take(8)

    def body(reader: WireReader, count: int) -> None:  # noqa: ARG001 - the indexes carry their own count
        flags, keys = struct.unpack("<QQ", reader.take(16))
        dictionary.rows(reader, keys)
        reader.take(reader.uint64() << (flags & 0xF))

    return Layout(prefix, body)
