"""Which records take the fast road: bare JSON, whatever harmless header says so, and what was in an envelope."""

import json
from typing import Any
from unittest.mock import patch

import pytest

from schemas import codec, wire
from schemas.cloudevents import is_bare
from schemas.codec import Decoder, Rejected
from schemas.interaction import SECOND, Interaction
from schemas.wire import decode_document, decode_fast

NOW = 1_800_000_000 * SECOND
DECODER = Decoder(region="BG", future_micros=60 * SECOND, customer_of=lambda known, _: known.crm_id)
VISIT: dict[str, Any] = {
    "id": "v1",
    "source": "offices",
    "channel": "visit",
    "type": "visit",
    "occurred_at": "2026-03-01T10:00:00.250Z",
    "customer": {"crm_id": "A1"},
    "wait_seconds": 12.5,
}
JSON = ("content-type", b"application/json")


def decode(value: bytes, *headers: tuple[str, bytes]) -> Interaction | Rejected:
    return DECODER.decode(value, headers, "touchline.visit", 0, 1, NOW, NOW)


@pytest.mark.parametrize(
    ("headers", "bare"),
    [
        ([], True),
        ([JSON], True),
        ([("traceparent", b"00-1")], True),
        ([("content-type", b"application/json; charset=utf-8")], True),
        ([("content-type", b"application/cloudevents+json")], False),
        ([("content-type", b"text/xml")], False),
        ([("Content-Type", b"application/json")], False),
        ([JSON, ("ce_id", b"1")], False),
        ([("CE_ID", b"1")], False),
    ],
)
def test_headers_that_say_no_more_than_json_are_bare(headers: list[tuple[str, bytes]], bare: bool) -> None:
    assert is_bare(headers) is bare


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (VISIT, [JSON]),
        ({"specversion": "1.0", "data": VISIT}, []),
        (VISIT, [JSON, ("ce_specversion", b"1.0"), ("ce_id", b"v1")]),
    ],
    ids=["bare", "structured", "binary"],
)
def test_none_of_the_usual_forms_needs_the_models(
    value: dict[str, Any], headers: list[tuple[str, bytes]]
) -> None:
    with patch.object(codec, "EVENT", None):
        result = decode(json.dumps(value).encode(), *headers)
    assert isinstance(result, Interaction)
    assert (result.id, result.customer, result.wait_seconds) == ("v1", "A1", 12.5)
    assert result.occurred_at % SECOND == 250_000


def test_an_event_in_binary_mode_is_read_once() -> None:
    body = {name: value for name, value in VISIT.items() if name not in ("id", "occurred_at", "channel")}
    headers = {"specversion": "1.0", "id": "v1", "type": "x.visit.visit", "time": VISIT["occurred_at"]}
    with patch.object(codec, "unwrap", None):
        result = decode(json.dumps(body).encode(), *((f"ce_{k}", v.encode()) for k, v in headers.items()))
    assert result == decode(json.dumps(VISIT).encode())


def test_line_ends_in_the_text_need_no_second_look_and_others_do() -> None:
    with patch.object(wire, "_decode_careful_event", side_effect=AssertionError):
        assert isinstance(decode(json.dumps({**VISIT, "text": "one\ntwo\x7f"}).encode()), Interaction)
        with pytest.raises(AssertionError):
            decode_fast(json.dumps({**VISIT, "text": "one\n", "ticket": "two\n"}).encode())


def test_an_infinity_in_an_envelope_does_not_become_unknown() -> None:
    event = json.dumps(VISIT).replace("12.5", "1e400")
    result = decode(f'{{"specversion": "1.0", "data": {event}}}'.encode())
    assert isinstance(result, Rejected)
    assert "wait_seconds" in result.message


@pytest.mark.parametrize("value", [float("inf"), 2**70, None])
def test_a_document_that_json_would_not_keep_is_left_to_the_models(value: object) -> None:
    with pytest.raises(ValueError):
        decode_document({**VISIT, "wait_seconds": value, "revision": value})
