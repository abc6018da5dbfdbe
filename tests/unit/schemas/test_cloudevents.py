"""CloudEvents 1.0 around an event: both content modes of the Kafka binding, and bare lines."""

import base64
import json
from typing import Any

import pytest

from schemas.codec import Decoder, Rejected
from schemas.interaction import Interaction
from schemas.timestamps import parse_timestamp

NOW = parse_timestamp("2026-03-02T00:00:00Z")
DECODER = Decoder("BG", 0, lambda *_: None)

WHOLE: dict[str, Any] = {
    "id": "1001",
    "source": "pbx",
    "channel": "phone",
    "type": "call",
    "occurred_at": "2026-03-01T10:00:00+02:00",
    "direction": "inbound",
    "customer": {"crm_id": "C-1"},
}
BARE = {"direction": "inbound", "customer": {"crm_id": "C-1"}}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "1001",
    "source": "pbx",
    "type": "com.example.phone.call",
    "time": "2026-03-01T08:00:00Z",
}
JSON = ("content-type", b"application/json; charset=utf-8")
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")


def binary(**changed: str | None) -> list[tuple[str, bytes]]:
    attributes = {**ATTRIBUTES, **changed}
    return [(f"ce_{name}", value.encode()) for name, value in attributes.items() if value is not None] + [
        JSON
    ]


def decode(event: object, headers: list[tuple[str, bytes]] | None = None) -> Interaction | Rejected:
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    return DECODER.decode(value, headers or (), "t", 0, 0, None, NOW)


PLAIN = decode(WHOLE)


def test_the_plain_event_is_accepted() -> None:
    assert isinstance(PLAIN, Interaction)


@pytest.mark.parametrize("event", [BARE, WHOLE])
def test_binary_mode_fills_what_the_event_lacks(event: dict[str, Any]) -> None:
    assert decode(event, binary()) == PLAIN


@pytest.mark.parametrize("event", [BARE, WHOLE])
def test_structured_mode_fills_what_the_event_lacks(event: dict[str, Any]) -> None:
    assert decode({**ATTRIBUTES, "data": event}, [STRUCTURED]) == PLAIN


def test_a_line_without_headers_is_known_by_its_specversion() -> None:
    assert decode({**ATTRIBUTES, "data": BARE}) == PLAIN


def test_data_may_be_base64() -> None:
    encoded = base64.b64encode(json.dumps(BARE).encode()).decode()
    assert decode({**ATTRIBUTES, "data_base64": encoded}) == PLAIN


def test_extensions_are_ignored() -> None:
    extra = {"traceparent": "00-1", "partitionkey": "7", "subject": "s", "dataschema": "urn:x"}
    assert decode({**ATTRIBUTES, **extra, "data": BARE}) == PLAIN
    assert decode(BARE, binary(**extra)) == PLAIN


def test_header_names_are_compared_without_case() -> None:
    assert decode(BARE, [(name.upper(), value) for name, value in binary()]) == PLAIN


def test_header_values_are_not_percent_decoded() -> None:
    found = decode(BARE, binary(id="100%25"))
    assert isinstance(found, Interaction)
    assert found.id == "100%25"


@pytest.mark.parametrize("attribute", ["id", "source", "time"])
def test_an_attribute_that_contradicts_the_event_is_named(attribute: str) -> None:
    headers = binary(**{attribute: "2026-03-01T08:00:01Z"})
    field = "occurred_at" if attribute == "time" else attribute
    assert decode(WHOLE, headers) == Rejected(
        "validate", "contradiction", f"{field}: differs from the CloudEvents attribute ce_{attribute}"
    )


def test_times_agree_as_instants() -> None:
    assert decode(WHOLE, binary(time="2026-03-01T08:00:00.000Z")) == PLAIN


def test_without_a_time_the_event_needs_its_own() -> None:
    missing = decode(BARE, binary(time=None))
    assert isinstance(missing, Rejected)
    assert missing.message == "occurred_at: is required"
    assert decode(WHOLE, binary(time=None)) == PLAIN


def test_a_type_of_one_word_names_no_channel() -> None:
    missing = decode(BARE, binary(type="call"))
    assert isinstance(missing, Rejected)
    assert missing.message == "channel: is required"


@pytest.mark.parametrize(
    ("event", "headers", "error", "part"),
    [
        (BARE, binary(specversion="0.3"), "unsupported_cloudevents", "ce_specversion"),
        ({**ATTRIBUTES, "specversion": 1, "data": BARE}, [], "unsupported_cloudevents", "specversion"),
        (BARE, [STRUCTURED], "unsupported_cloudevents", "specversion"),
        (ATTRIBUTES, [STRUCTURED], "not_an_object", "data:"),
        ({**ATTRIBUTES, "data": "{}"}, [], "not_an_object", "data:"),
        ({**ATTRIBUTES, "data_base64": "%"}, [], "not_base64", "data_base64:"),
        ({**ATTRIBUTES, "data_base64": 5}, [], "not_base64", "data_base64:"),
        ({**ATTRIBUTES, "data_base64": "e30x"}, [], "not_json", "not JSON"),
        (
            {**ATTRIBUTES, "datacontenttype": "application/xml", "data": BARE},
            [],
            "unsupported_content_type",
            "datacontenttype: application/xml",
        ),
        (
            [BARE],
            [("content-type", b"application/cloudevents-batch+json")],
            "unsupported_content_type",
            "one event a record",
        ),
        (
            BARE,
            [("content-type", b"application/cloudevents+avro")],
            "unsupported_content_type",
            "application/cloudevents+json",
        ),
        (BARE, [("content-type", b"application/avro")], "unsupported_content_type", "send application/json"),
        (BARE, [("ce_id", b"\xff")], "not_utf8", "header ce_id"),
        (b"", binary(), "empty", "no value"),
        (b"\xff", binary(), "not_utf8", "not UTF-8"),
    ],
)
def test_a_broken_envelope_says_what_is_wrong(
    event: object, headers: list[tuple[str, bytes]], error: str, part: str
) -> None:
    found = decode(event, headers)
    assert isinstance(found, Rejected)
    assert (found.stage, found.error) == ("decode", error)
    assert part in found.message


@pytest.mark.parametrize(
    "media", [b"", b"application/octet-stream", b"application/vnd.shop+json", b"text/plain"]
)
def test_content_types_that_say_json_or_nothing_are_read(media: bytes) -> None:
    assert decode(WHOLE, [("content-type", media)]) == PLAIN


def test_what_the_event_says_of_its_kind_itself_counts_in_both_modes() -> None:
    visit = {key: value for key, value in WHOLE.items() if key != "direction"} | {
        "channel": "visit",
        "type": "visit",
    }
    for found in (
        decode(visit, binary(time=None)),
        decode({**ATTRIBUTES, "time": None, "data": visit}, [STRUCTURED]),
    ):
        assert isinstance(found, Interaction)
        assert (found.channel, found.type) == ("visit", "visit"), "the attributes say com.example.phone.call"
