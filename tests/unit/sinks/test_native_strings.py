"""String columns at the lengths where their form changes, in any script, against the rule of the format."""

import pytest

from sinks.clickhouse.native import encoding_of


def by_the_rule(values: list[str]) -> bytes:
    out = bytearray()
    for value in values:
        raw = value.encode()
        size = len(raw)
        while size > 127:
            out.append(size & 127 | 128)
            size >>= 7
        out.append(size)
        out += raw
    return bytes(out)


@pytest.mark.parametrize("letter", ["a", "я", "😀"])
@pytest.mark.parametrize("bytes_long", [0, 127, 128, 129, 4_095, 4_096, 4_097, 16_384, 70_000])
def test_a_string_of_any_length_and_script(letter: str, bytes_long: int) -> None:
    value = letter * (bytes_long // len(letter.encode()))
    value += "a" * (bytes_long - len(value.encode()))
    values = ["", value, "среда", "x"]
    assert encoding_of("String").body(values) == by_the_rule(values)
    assert encoding_of("String").body([value]) == by_the_rule([value])


def test_bytes_stand_beside_text() -> None:
    assert encoding_of("String").body(["я", b"\xff\x00"]) == b"\x02\xd1\x8f\x02\xff\x00"
