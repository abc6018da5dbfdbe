"""Walking Native blocks, here on bytes written by hand; the integration test walks the engine's own."""

from __future__ import annotations

import struct

import pytest

from sinks.embedded.clickhouse.blocks import arguments, header, iter_once, layout, read_block, split_blocks
from sinks.embedded.clickhouse.errors import ProtocolError, ServerError
from sinks.embedded.clickhouse.wire import WireReader, text, varint


def block(*columns: tuple[str, str, bytes], rows: int) -> bytes:
    body = b"".join(text(name) + text(type_text) + data for name, type_text, data in columns)
    return varint(len(columns)) + varint(rows) + body


def walked(raw: bytes) -> int:
    """How many of the bytes, with a tail that is not the block's, one block takes."""
    reader = WireReader(iter_once(raw + b"TAIL"))
    reader.keep()
    read_block(reader)
    return len(reader.kept())


STRINGS = text("ж") + text("") + text("x" * 300)
LOW_CARDINALITY = (
    struct.pack("<Q", 1) + struct.pack("<QQ", 0x600, 2) + text("") + text("ab") + struct.pack("<Q", 3)
)


@pytest.mark.parametrize(
    ("type_text", "data"),
    [
        ("UInt8", bytes(3)),
        ("Int256", bytes(96)),
        ("Bool", bytes(3)),
        ("UUID", bytes(48)),
        ("Date", bytes(6)),
        ("DateTime('Europe/Sofia')", bytes(12)),
        ("DateTime64(6, 'UTC')", bytes(24)),
        ("Decimal(9, 2)", bytes(12)),
        ("Decimal(18, 4)", bytes(24)),
        ("Decimal(38, 4)", bytes(48)),
        ("Decimal(76, 4)", bytes(96)),
        ("Enum8('it\\'s, (' = 1, 'b' = 2)", bytes(3)),
        ("Enum16('a' = 1)", bytes(6)),
        ("FixedString(7)", bytes(21)),
        ("String", STRINGS),
        ("Nullable(String)", bytes(3) + STRINGS),
        ("LowCardinality(String)", LOW_CARDINALITY + bytes(3)),
        ("LowCardinality(Nullable(String))", LOW_CARDINALITY + bytes(3)),
        ("Array(UInt16)", struct.pack("<QQQ", 1, 1, 3) + bytes(6)),
        ("Array(LowCardinality(String))", struct.pack("<Q", 1) + bytes(24)),
        ("Map(String, UInt8)", struct.pack("<QQQ", 0, 2, 3) + STRINGS + bytes(3)),
        ("Tuple(`a b` UInt8, c String)", bytes(3) + STRINGS),
        ("Tuple(UInt8, Nullable(UInt8))", bytes(3) + bytes(6)),
        ("Nested(a UInt8, b UInt16)", struct.pack("<QQQ", 1, 2, 2) + bytes(2) + bytes(4)),
        ("SimpleAggregateFunction(max, UInt64)", bytes(24)),
        ("Point", bytes(48)),
        ("IntervalDay", bytes(24)),
    ],
)
def test_a_column_ends_where_its_type_says(type_text: str, data: bytes) -> None:
    raw = block(("first", type_text, data), ("last", "UInt8", bytes(3)), rows=3)
    assert walked(raw) == len(raw)


def test_a_block_without_rows_holds_only_names_and_types() -> None:
    raw = header([("a", "LowCardinality(String)"), ("b", "Array(String)")])
    assert walked(raw) == len(raw)


@pytest.mark.parametrize(
    "type_text", ["AggregateFunction(uniq, UInt64)", "JSON", "Variant(UInt8)", "", "Array("]
)
def test_an_unknown_type_is_error_50_and_says_what_to_do(type_text: str) -> None:
    with pytest.raises(ServerError, match="cast them to String") as raised:
        layout(type_text)
    assert raised.value.code == 50


@pytest.mark.parametrize("length", [b"\xff" * 9 + b"\x01", varint(1 << 62), varint(1 << 40)])
def test_a_string_longer_than_the_data_ends_with_an_error(length: bytes) -> None:
    with pytest.raises((ProtocolError, EOFError)):
        walked(block(("a", "String", length), rows=1))


def test_an_array_offset_beyond_reason_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(ProtocolError, match="smaller blocks"):
        walked(block(("a", "Array(UInt64)", struct.pack("<Q", 1 << 60)), rows=1))


def test_more_rows_than_possible_are_refused() -> None:
    with pytest.raises(ProtocolError, match="not possible"):
        walked(varint(1) + varint(1 << 60))


def test_blocks_that_follow_each_other_are_split() -> None:
    one = block(("a", "String", text("x")), rows=1)
    two = block(("a", "String", text("y" * 200)), rows=1)
    assert [bytes(raw) for _, raw in split_blocks(one + two)] == [one, two]


def test_arguments_heed_brackets_and_quotes() -> None:
    assert arguments("a Tuple(b UInt8, c Enum8('),' = 1)), `d,` String") == [
        "a Tuple(b UInt8, c Enum8('),' = 1))",
        "`d,` String",
    ]
