"""Columns as ClickHouse's Native format, the fast way: what the driver's own writers do, byte for byte, at about
half of the cost.

A wide table of mostly absent values is where a writer in Python spends its time, so an absent value must
cost next to nothing. Here a column is encoded by a few passes that run inside the interpreter's C code; a
column of nulls only is two constants. tests/unit/sinks/test_native.py holds the bytes against the driver's
for every type that the tables use.

Format: ClickHouse, "Native Format" and "Native protocol: columns"; LowCardinality as the driver writes it, a
dictionary of its own for each block.
"""

import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from itertools import accumulate, chain, repeat
from typing import Any, Final, NamedTuple

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LENGTHS: Final = tuple(map(chr, range(128)))
_LOW_CARDINALITY_PREFIX: Final = struct.pack("<q", 1)
_ADDITIONAL_KEYS_AND_NEW_DICTIONARY: Final = (1 << 9) | (1 << 10)

_FIXED: Final[dict[str, tuple[str, int]]] = {
    "UInt8": ("B", 1),
    "UInt16": ("H", 2),
    "UInt32": ("I", 4),
    "UInt64": ("Q", 8),
    "Int64": ("q", 8),
    "Float64": ("d", 8),
    "DateTime64": ("q", 8),
}


class Encoding(NamedTuple):
    """How values of one ClickHouse type become bytes: `prefix` once before the column, then `body`.

    `body` raises TypeError, ValueError, AttributeError, OverflowError or struct.error for values that do not
    fit. `silence` is what stands in the place of a null.
    """

    prefix: bytes
    body: Callable[[Sequence[Any]], bytes]
    silence: Any


def encode_block(
    columns: Iterable[tuple[str, str, Sequence[Any]]], count: int, rows: int, tail: bytes = b""
) -> bytes:
    """A block of `count` columns (name, type, values), each of `rows` values; `tail` follows each column's
    type.
    """
    parts = [_varint(count), _varint(rows)]
    for name, type_name, values in columns:
        if len(values) != rows:
            raise ValueError(f"column {name}: expected {rows} values, got {len(values)}")
        encoding = encoding_of(type_name)
        try:
            body = encoding.body(values)
        except (TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
            raise ValueError(f"column {name} {type_name}: {error}") from error
        parts += (_string(name), _string(type_name), tail, encoding.prefix, body)
    return b"".join(parts)


@lru_cache(maxsize=512)
def encoding_of(type_name: str) -> Encoding:
    """The encoding of a type as ClickHouse spells it; TypeError when this module does not know it."""
    name, arguments = _parse(type_name)
    match name:
        case "String":
            return Encoding(b"", _some_strings, "")
        case "Bool":
            return Encoding(b"", bytes, False)
        case "Date32":
            return Encoding(b"", _days, date(1970, 1, 1))
        case "Decimal":
            return _decimal(int(arguments[0]), int(arguments[1]))
        case "Nullable":
            inner = encoding_of(arguments[0])
            return Encoding(inner.prefix, _nullable(inner), None)
        case "LowCardinality":
            return _low_cardinality(arguments[0])
        case "Array":
            inner = encoding_of(arguments[0])
            return Encoding(inner.prefix, _array(inner), ())
        case "Map":
            key, value = map(encoding_of, arguments)
            return Encoding(key.prefix + value.prefix, _map(key, value), {})
        case "Tuple":
            members = [encoding_of(argument.rpartition(" ")[2]) for argument in arguments]
            return Encoding(b"".join(member.prefix for member in members), _tuple(members), None)
    if name in _FIXED:
        return Encoding(b"", _fixed(*_FIXED[name]), 0)
    raise TypeError(f"sinks.clickhouse.native cannot encode type {type_name}")


def _parse(type_name: str) -> tuple[str, list[str]]:
    name, bracket, rest = type_name.partition("(")
    if not bracket:
        return name, []
    arguments, depth, start = [], 0, 0
    inside = rest[:-1]
    for position, sign in enumerate(inside):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            arguments.append(inside[start:position].strip())
            start = position + 1
    return name, [*arguments, inside[start:].strip()]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_VARINTS: Final = tuple(map(_varint, range(4_096)))


def _string(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _varint(len(raw)) + raw


def _strings(values: Sequence[Any]) -> bytes:
    """Each value behind its length; a null is empty.

    Short ASCII texts, which most are, become one text and then bytes: its length is a character before each.
    """
    lengths = _LENGTHS
    try:
        text = "".join(["\0" if value is None else lengths[len(value)] + value for value in values])
        if text.isascii():
            return text.encode()
        raws = [b"" if value is None else value.encode() for value in values]
        return b"".join(
            chain.from_iterable(zip(map(_VARINTS.__getitem__, map(len, raws)), raws, strict=True))
        )
    except (IndexError, TypeError, AttributeError):
        # A long value, or bytes.
        return b"".join([b"\0" if value is None else _string(value) for value in values])


def _some_strings(values: Sequence[Any]) -> bytes:
    """The same where a null is an error."""
    if None in values:
        raise TypeError("expected a string, got None")
    return _strings(values)


def _fixed(code: str, size: int) -> Callable[[Sequence[Any]], bytes]:
    def body(values: Sequence[Any]) -> bytes:
        if not any(values):
            return bytes(size * len(values))
        return struct.pack(f"<{len(values)}{code}", *values)

    return body


def _days(values: Sequence[date]) -> bytes:
    return struct.pack(f"<{len(values)}i", *[day.toordinal() - _EPOCH_DAY for day in values])


def _decimal(precision: int, scale: int) -> Encoding:
    size = 4 if precision <= 9 else 8 if precision <= 18 else 16 if precision <= 38 else 32
    nothing = bytes(size)
    number: Callable[[Decimal], bytes] = lru_cache(maxsize=4_096)(partial(_scaled, precision, scale, size))

    def body(values: Sequence[Decimal]) -> bytes:
        return b"".join([number(value) if value else nothing for value in values])

    return Encoding(b"", body, Decimal(0))


def _scaled(precision: int, scale: int, size: int, value: Decimal) -> bytes:
    numerator, denominator = value.as_integer_ratio()
    unit: int = 10**scale
    limit: int = 10**precision
    scaled, rest = divmod(numerator * unit, denominator)
    if rest:
        raise ValueError(f"more than {scale} decimal places")
    if not -limit < scaled < limit:
        raise OverflowError(f"more than {precision} digits")
    return scaled.to_bytes(size, "little", signed=True)


def _nullable(inner: Encoding) -> Callable[[Sequence[Any]], bytes]:
    silence, encode = inner.silence, inner.body
    one_silent = encode((silence,))
    if encode is _some_strings:
        return _nullable_strings

    def body(values: Sequence[Any]) -> bytes:
        rows, nulls = len(values), values.count(None)
        if nulls == rows:
            return b"\x01" * rows + one_silent * rows
        if not nulls:
            return bytes(rows) + encode(values)
        null_map = bytes(map(operator.is_, values, repeat(None)))
        return null_map + encode([silence if value is None else value for value in values])

    return body


def _nullable_strings(values: Sequence[Any]) -> bytes:
    rows, nulls = len(values), values.count(None)
    if nulls == rows:
        return b"\x01" * rows + bytes(rows)
    null_map = bytes(map(operator.is_, values, repeat(None))) if nulls else bytes(rows)
    return null_map + _strings(values)


class _Places(dict[Any, int]):
    """The place of each value in the order of their first appearance."""

    def __missing__(self, value: Any) -> int:
        place = self[value] = len(self)
        return place


def _low_cardinality(inner_type: str) -> Encoding:
    nullable = inner_type.startswith("Nullable(")
    keys_type = encoding_of(_parse(inner_type)[1][0] if nullable else inner_type)

    def body(values: Sequence[Any]) -> bytes:
        if not values:
            return b""
        places = _Places({None: 0} if nullable else {})
        indexes = list(map(places.__getitem__, values))
        keys = list(places)
        if nullable:
            keys[0] = keys_type.silence
        width, code = (0, "B") if len(keys) < 1 << 8 else (1, "H") if len(keys) < 1 << 16 else (2, "I")
        head = struct.pack("<qq", _ADDITIONAL_KEYS_AND_NEW_DICTIONARY | width, len(keys))
        packed = bytes(indexes) if width == 0 else struct.pack(f"<{len(values)}{code}", *indexes)
        return b"".join((head, keys_type.body(keys), struct.pack("<q", len(values)), packed))

    return Encoding(_LOW_CARDINALITY_PREFIX, body, None if nullable else keys_type.silence)


def _array(inner: Encoding) -> Callable[[Sequence[Any]], bytes]:
    def body(values: Sequence[Sequence[Any]]) -> bytes:
        if not any(values):
            return bytes(8 * len(values))
        ends = struct.pack(f"<{len(values)}Q", *accumulate(map(len, values)))
        return ends + inner.body(list(chain.from_iterable(values)))

    return body


def _map(key: Encoding, value: Encoding) -> Callable[[Sequence[Any]], bytes]:
    def body(values: Sequence[dict[Any, Any]]) -> bytes:
        if not any(values):
            return bytes(8 * len(values))
        ends = struct.pack(f"<{len(values)}Q", *accumulate(map(len, values)))
        filled = [entry for entry in values if entry]
        keys = list(chain.from_iterable(filled))
        items = list(chain.from_iterable([entry.values() for entry in filled]))
        return ends + key.body(keys) + value.body(items)

    return body


def _tuple(members: Sequence[Encoding]) -> Callable[[Sequence[Any]], bytes]:
    def body(values: Sequence[Sequence[Any]]) -> bytes:
        columns = zip(*values, strict=True)
        return b"".join(member.body(column) for member, column in zip(members, columns, strict=True))

    return body
