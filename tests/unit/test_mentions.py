"""Dead letters that name a customer are found in any notation, and those of others are left alone."""

import json

import pytest

from schemas.identifiers import Normaliser
from streams.mentions import Mentions

MENTIONS = Mentions(
    ("crm:A1", "contract:K-4411-X", "phone:+359888123456", "email:ann@example.com", "device:cookie-4711"),
    {("desk", "c-1"), ("web", "w-1")},
    Normaliser("BG"),
)


def names_her(value: str, key: bytes = b"", *headers: bytes) -> bool:
    return MENTIONS.in_record(key, value.encode(), headers)


@pytest.mark.parametrize(
    "value",
    [
        '{"phone": "0888 123 456"}',
        '{"caller": "+359 (888) 123-456", "broken',
        '{"to": "Ann <ANN@Example.com>"}',
        json.dumps({"mail": "ann\u0040example.com"}).replace("@", "\\u0040"),
        "contract K-4411-X ends",
        '{"customer": {"crm_id": "A1"}}',
        "customer=crm:A1;",
        '{"seen": ["x", "cookie-4711"]}',
        '{"source": "desk", "id": "c-1"}',
        '{"source": "desk", "data": {"id": "c-1"}}',
    ],
)
def test_every_notation_names_her(value: str) -> None:
    assert names_her(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not json",
        '{"room": "A1", "wait_seconds": 95}',
        "contract K-4411-X2 or XK-4411-X",
        '{"phone": "+359888123457", "email": "joann@example.com"}',
        '{"source": "web", "id": "c-1"}',
        '{"id": "c-1"}',
        '{"customer": {"crm_id": "A12"}}',
    ],
)
def test_others_are_not_taken_for_her(value: str) -> None:
    assert not names_her(value)


def test_key_and_headers_are_looked_at() -> None:
    assert names_her("{", b"crm:A1")
    assert names_her("{}", b"", b"ann@example.com")
    assert names_her("{}", b"", b"desk", b"c-1")
    assert not names_her("{}", b"", b"desk", b"w-1")


def test_bytes_that_are_no_text_are_searched_all_the_same() -> None:
    assert MENTIONS.in_record(b"", b"\xff\xfe ann@example.com \xff", ())


def test_a_document_too_deep_to_be_read_is_searched_as_text() -> None:
    assert names_her("[" * 100_000 + '"0888123456"')
