"""The fast encoder against the driver's own writers: the same bytes for every type of the tables."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_driver.bufferedwriter import CompressedBufferedWriter
from clickhouse_driver.columns.service import write_column
from clickhouse_driver.context import Context
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.clickhouse.native import encode_block, encoding_of


class Sink:
    def __init__(self) -> None:
        self.bytes = bytearray()

    def write(self, data: bytes) -> None:
        self.bytes += data


def by_the_driver(type_name: str, values: Sequence[Any]) -> bytes:
    context = Context()
    context.server_info = SimpleNamespace(get_timezone=lambda: "UTC", used_revision=54_440)
    context.client_settings = {
        "strings_as_bytes": False,
        "strings_encoding": "utf-8",
        "input_format_null_as_default": False,
        "namedtuple_as_json": True,
        "use_numpy": False,
        "server_side_params": False,
    }
    context.settings = {}
    sink = Sink()
    buffer = CompressedBufferedWriter(sink, 1 << 16)
    write_column(context, "x", type_name, list(values), buffer)
    buffer.flush()
    return bytes(sink.bytes)


def by_us(type_name: str, values: Sequence[Any]) -> bytes:
    encoding = encoding_of(type_name)
    return encoding.prefix + encoding.body(tuple(values))


LONG = "д" * 200
MONEY = [Decimal("12.50"), Decimal("-0.000001"), Decimal("123456789012345678.123456"), Decimal(0)]


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("String", ["a", "", "Ана", LONG, "x" * 127, "x" * 128, "nul\0inside"]),
        ("String", ["plain", "ascii", ""]),
        ("Nullable(String)", ["a", None, "Ана", None]),
        ("Nullable(String)", [None, None]),
        ("Nullable(String)", ["a", "b"]),
        ("LowCardinality(String)", ["a", "b", "a", "", "Ж"]),
        ("LowCardinality(String)", [str(n) for n in range(300)]),
        ("LowCardinality(Nullable(String))", [None, "b", None, "b", "c"]),
        ("LowCardinality(Nullable(String))", [None, None]),
        ("LowCardinality(Nullable(String))", [str(n % 700) for n in range(70_000)]),
        ("UInt8", [0, 1, 255]),
        ("UInt32", [0, 2**32 - 1]),
        ("UInt64", [0, 2**64 - 1, 5]),
        ("UInt64", [0, 0]),
        ("Nullable(UInt64)", [None, 3, 0]),
        ("Float64", [0.0, -1.5, 1e300]),
        ("Nullable(Float64)", [None, 0.25]),
        ("Nullable(Bool)", [None, True, False]),
        ("Bool", [True, False]),
        ("DateTime64(6, 'UTC')", [0, 1_770_000_000_123_456]),
        ("Nullable(DateTime64(6, 'UTC'))", [None, 1_770_000_000_123_456]),
        ("Nullable(Date32)", [None, date(2026, 3, 1), date(1970, 1, 1), date(2261, 12, 31)]),
        ("Nullable(Decimal(38, 6))", [None, *MONEY]),
        ("Array(String)", [[], ["a", "б"], []]),
        ("Array(String)", [(), ()]),
        ("Array(UInt64)", [[1, 2, 3], [], [2**63]]),
        ("Array(LowCardinality(String))", [("phone",), (), ("email", "phone")]),
        ("Array(LowCardinality(String))", [(), ()]),
        ("Map(String, String)", [{}, {"a": "b", "в": ""}, {}]),
        ("Map(String, String)", [{}, {}]),
        ("Array(Tuple(name String, value String))", [(), (("a", "b"), ("c", "d"))]),
        ("Array(Tuple(name String, value String))", [()]),
    ],
)
def test_bytes_are_the_drivers_own(type_name: str, values: list[Any]) -> None:
    assert by_us(type_name, values) == by_the_driver(type_name, values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=200), min_size=1, max_size=20))
def test_any_text_is_encoded_as_the_driver_does(values: list[str | None]) -> None:
    for type_name in ("Nullable(String)", "LowCardinality(Nullable(String))"):
        assert by_us(type_name, values) == by_the_driver(type_name, values)


def test_raw_bytes_are_kept() -> None:
    assert by_us("Nullable(String)", [b"\xff\x00", None]) == b"\x00\x01\x02\xff\x00\x00"


def test_a_decimal_with_too_many_places_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="more than 6 decimal places"):
        encoding_of("Nullable(Decimal(38, 6))").body((Decimal("0.0000001"),))


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("UInt64", -1),
        ("UInt32", 2**32),
        ("Float64", "1"),
        ("String", None),
        ("Decimal(9, 2)", Decimal(10**8)),
    ],
)
def test_a_value_that_does_not_fit_names_its_column(type_name: str, value: object) -> None:
    with pytest.raises(ValueError, match="column answer"):
        encode_block([("answer", type_name, [value])], 1, 1)


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="column b: expected 2 values, got 1"):
        encode_block([("a", "UInt8", [1, 2]), ("b", "UInt8", [1])], 2, 2)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(TypeError, match="IPv6"):
        encoding_of("Nullable(IPv6)")
