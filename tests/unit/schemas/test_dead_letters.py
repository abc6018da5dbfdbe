"""How a dead letter travels."""

import pytest

from schemas.dead_letters import (
    HEADERS,
    NotADeadLetter,
    dead_letter_headers,
    original_headers,
    parse_dead_letter,
)
from schemas.records import DeadLetter

LETTER = DeadLetter(
    topic="touchline.phone",
    partition=3,
    offset=9_223_372_036_854_775_807,
    key=b"\x00\xff",
    value=b"{",
    headers=(("trace", b"\x80"), ("ce_id", b"1"), ("trace", b"2")),
    stage="decode",
    error="not_json",
    message="стойността не е JSON",
    occurred_at=1_772_366_400_000_000,
)


def test_the_original_headers_come_first_in_order() -> None:
    headers = dead_letter_headers(LETTER)
    assert tuple(headers[:3]) == LETTER.headers
    assert tuple(name for name, _ in headers[3:]) == HEADERS


def test_parsing_is_the_inverse_of_writing() -> None:
    headers = dead_letter_headers(LETTER)
    assert parse_dead_letter(LETTER.key, LETTER.value, headers, LETTER.occurred_at) == LETTER


def test_a_letter_that_dies_again_carries_only_the_newest_reason() -> None:
    again = LETTER._replace(headers=tuple(dead_letter_headers(LETTER)), message="newer")
    headers = dead_letter_headers(again)
    assert len(headers) == len(LETTER.headers) + len(HEADERS)
    assert original_headers(headers) == LETTER.headers
    assert parse_dead_letter(None, None, headers, 0).message == "newer"


@pytest.mark.parametrize("name", HEADERS)
def test_a_record_without_one_of_the_headers_is_no_dead_letter(name: str) -> None:
    headers = [header for header in dead_letter_headers(LETTER) if header[0] != name]
    with pytest.raises(NotADeadLetter, match=name):
        parse_dead_letter(None, None, headers, 0)


@pytest.mark.parametrize("value", [b"", b"-1", b"1x", b"\xff", b"9" * 20])
def test_a_partition_that_is_no_number_is_refused(value: bytes) -> None:
    headers = [
        (name, value if name.endswith("partition") else old) for name, old in dead_letter_headers(LETTER)
    ]
    with pytest.raises(NotADeadLetter, match="partition"):
        parse_dead_letter(None, None, headers, 0)


def test_a_header_without_a_value_stays_without_one() -> None:
    letter = LETTER._replace(headers=(("trace", None), ("trace", b"")))
    headers = dead_letter_headers(letter)
    assert headers[:2] == [("trace", None), ("trace", b"")]
    assert parse_dead_letter(letter.key, letter.value, headers, letter.occurred_at) == letter


def test_a_reason_without_a_value_is_missing() -> None:
    headers = [(name, None if name == HEADERS[0] else value) for name, value in dead_letter_headers(LETTER)]
    with pytest.raises(NotADeadLetter, match=HEADERS[0]):
        parse_dead_letter(None, None, headers, 0)
