"""From bytes to an interaction, or to the reason why not."""

import json
from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import MAX_BYTES, Decoder, Rejected
from schemas.identifiers import Identifiers
from schemas.interaction import SECOND, Interaction
from schemas.timestamps import parse_timestamp
from schemas.vocabulary import IDENTIFIER_KINDS

NOW = parse_timestamp("2026-03-02T00:00:00Z")
FUTURE = 300 * SECOND

CALL: dict[str, Any] = {
    "id": "1001",
    "source": "pbx",
    "channel": "phone",
    "type": "call",
    "occurred_at": "2026-03-01T10:00:00+02:00",
    "direction": "inbound",
    "customer": {"phone": "0888 123 456", "crm_id": "C-1"},
}


def _customer(identifiers: Identifiers, _unnormalised: tuple[str, ...]) -> str | None:
    return f"crm:{identifiers.crm_id}" if identifiers.crm_id else None


DECODER = Decoder("BG", FUTURE, _customer)


def decode(event: object, headers: tuple[tuple[str, bytes], ...] = ()) -> Interaction | Rejected:
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    return DECODER.decode(value, headers, "touchline.phone", 3, 42, NOW - SECOND, NOW)


def accepted(event: object, headers: tuple[tuple[str, bytes], ...] = ()) -> Interaction:
    result = decode(event, headers)
    assert isinstance(result, Interaction), result
    return result


def rejected(event: object, headers: tuple[tuple[str, bytes], ...] = ()) -> Rejected:
    result = decode(event, headers)
    assert isinstance(result, Rejected), result
    return result


def test_every_field_of_a_call_reaches_its_place() -> None:
    interaction = accepted(
        CALL
        | {
            "revision": 7,
            "subject": {
                "reason": "billing.overcharge",
                "case_id": "T",
                "order_id": "O",
                "product": "P",
                "stage": "payment",
            },
            "outcome": "promised",
            "price": {"agreed": "1.10", "charged": "-2.000000", "currency": "EUR", "ref": "R"},
            "promise": {
                "what": "call_back",
                "due_at": "2026-03-03T00:00:00Z",
                "kept_ref": "K",
                "cancelled_ref": "X",
            },
            "rating": {"scale": "nps10", "value": 0, "resolved": False},
            "treatment": "rude",
            "sentiment": -1,
            "complaint": {"remedy_sought": "refund", "stage": "received"},
            "transfers": 0,
            "follows": "1000",
            "staff_id": "s",
            "text": "текст",
            "attributes": {"k": "v", "gone": None},
            "wait_seconds": 1,
            "talk_seconds": 2.5,
            "hold_seconds": 0,
            "wrap_up_seconds": 4,
            "ivr_path": "1>2",
        }
    )
    assert interaction == Interaction(
        source="pbx",
        id="1001",
        revision=7,
        channel="phone",
        type="call",
        occurred_at=parse_timestamp("2026-03-01T08:00:00Z"),
        customer="crm:C-1",
        direction="inbound",
        crm_id="C-1",
        phone="+359888123456",
        reason="billing.overcharge",
        case_id="T",
        order_id="O",
        product="P",
        stage="payment",
        outcome="promised",
        price_agreed=Decimal("1.10"),
        price_charged=Decimal("-2.000000"),
        price_currency="EUR",
        price_ref="R",
        promise_what="call_back",
        promise_due_at=parse_timestamp("2026-03-03T00:00:00Z"),
        promise_kept_ref="K",
        promise_cancelled_ref="X",
        rating_scale="nps10",
        rating_value=0.0,
        rating_resolved=False,
        treatment="rude",
        sentiment=-1.0,
        complaint_remedy_sought="refund",
        complaint_stage="received",
        transfers=0,
        follows="1000",
        staff_id="s",
        text="текст",
        attributes={"k": "v"},
        wait_seconds=1.0,
        talk_seconds=2.5,
        hold_seconds=0.0,
        wrap_up_seconds=4.0,
        ivr_path="1>2",
        topic="touchline.phone",
        partition=3,
        offset=42,
        received_at=NOW - SECOND,
    )


def _on(channel: str, kind: str, **more: Any) -> dict[str, Any]:
    common = {name: CALL[name] for name in ("id", "source", "occurred_at", "customer")}
    return {**common, "channel": channel, "type": kind, **more}


@pytest.mark.parametrize(
    "event",
    [
        _on("email", "message", direction="outbound", thread_id="t", in_reply_to="r"),
        _on("visit", "visit", office_id="o", ticket="B1", wait_seconds=3, service_seconds=4),
        _on("online", "chat", session_id="s", action="a", target="/x", success=False, duration_seconds=5),
        _on("online", "case_update", session_id="s", action="closed", target="x", success=True),
    ],
)
def test_the_fields_of_each_channel_reach_their_places(event: dict[str, Any]) -> None:
    interaction = accepted(event)
    own = {name: value for name, value in event.items() if name not in ("occurred_at", "customer")}
    assert {name: getattr(interaction, name) for name in own} == own
    others = {"wait_seconds", "talk_seconds", "thread_id", "in_reply_to", "office_id", "session_id", "action"}
    assert [name for name in others - set(own) if getattr(interaction, name) is not None] == []


def test_absent_is_unknown_and_zero_is_known() -> None:
    interaction = accepted(CALL | {"transfers": 0})
    assert interaction.transfers == 0
    assert interaction.wait_seconds is None


def test_a_due_date_keeps_its_day() -> None:
    interaction = accepted(CALL | {"promise": {"what": "refund", "due_at": "2026-03-05"}})
    assert (interaction.promise_due_at, interaction.promise_due_on) == (None, "2026-03-05")


def test_an_identifier_that_cannot_be_normalised_is_no_reason_for_a_dead_letter() -> None:
    interaction = accepted(CALL | {"customer": {"phone": "withheld", "email": "none"}})
    assert (interaction.phone, interaction.email) == ("withheld", "none")
    assert interaction.unnormalised == ("phone", "email")


def test_who_names_the_customer_learns_what_was_not_normalised() -> None:
    asked: list[tuple[Identifiers, tuple[str, ...]]] = []

    def customer_of(known: Identifiers, unnormalised: tuple[str, ...]) -> str:
        asked.append((known, unnormalised))
        return "crm:A1"

    event = CALL | {"customer": {"phone": " withheld ", "device": "d"}}
    result = Decoder("BG", FUTURE, customer_of).decode(json.dumps(event).encode(), (), "t", 0, 0, None, NOW)
    assert isinstance(result, Interaction)
    assert result.customer == "crm:A1"
    assert asked == [(Identifiers(phone="withheld", device="d"), ("phone",))]
    assert isinstance(asked[0][0], Identifiers)


def test_an_empty_customer_is_anonymous() -> None:
    assert accepted(CALL | {"customer": {}}).customer is None


def test_exactly_the_allowed_lead_over_the_clock_is_accepted() -> None:
    assert accepted(CALL | {"occurred_at": "2026-03-02T00:05:00Z"}).occurred_at == NOW + FUTURE
    late = rejected(CALL | {"occurred_at": "2026-03-02T00:05:00.000001Z"})
    assert late[:2] == ("validate", "from_the_future")
    assert "2026-03-02T00:05:00.000001Z" in late.message
    assert "2026-03-02T00:00:00Z" in late.message


@pytest.mark.parametrize(
    ("value", "stage", "error"),
    [
        (b"", "decode", "empty"),
        (b" " * (MAX_BYTES + 1), "decode", "too_large"),
        (b"{", "decode", "not_json"),
        (b'{"a":1}x', "decode", "not_json"),
        (b'{"a":"\\ud800"}', "decode", "not_json"),
        (b"[" * 5_000, "decode", "not_json"),
        (b'{"a":' + b"1" * 9_000 + b"}", "decode", "not_json"),
        (b'{"a":"\xff"}', "decode", "not_utf8"),
        (b"\xff\xfe{\x00}\x00", "decode", "not_utf8"),
        (b"[]", "decode", "not_an_object"),
        (b"null", "decode", "not_an_object"),
        (b"{}", "validate", "invalid"),
    ],
)
def test_bytes_that_are_no_event_are_told_apart(value: bytes, stage: str, error: str) -> None:
    assert rejected(value)[:2] == (stage, error)


def test_a_tombstone_is_empty() -> None:
    assert DECODER.decode(None, (), "t", 0, 0, None, NOW) == Rejected(
        "decode", "empty", "the record has no value"
    )


def test_a_byte_order_mark_is_passed_over() -> None:
    assert accepted(b"\xef\xbb\xbf" + json.dumps(CALL).encode()) == accepted(CALL)


def test_headers_that_are_no_cloudevent_change_nothing() -> None:
    assert accepted(CALL, (("traceparent", b"00-1"), ("content-type", b"application/json"))) == accepted(CALL)


def test_all_problems_are_named_at_once() -> None:
    message = rejected({**CALL, "wait_seconds": -1, "outcome": "fine", "price": {"charged": 5}}).message
    assert message.startswith("outcome: expected 'resolved'")
    assert "; price.charged: expected a decimal string" in message
    assert message.endswith("; wait_seconds: must be 0 or more")


def test_problems_beyond_the_eighth_are_counted() -> None:
    message = rejected({**CALL, **{f"extra_{n}": 1 for n in "abcdefghijk"}}).message
    assert message.endswith("; and 3 more")


@pytest.mark.parametrize(
    "event",
    [
        CALL | {"customer": {"phone": 359888123456}},
        CALL | {"customer": {"phone": "secret\x00secret"}},
        CALL | {"customer": {"secret@example.com": "x"}},
        CALL | {"secret0888123456": "x"},
        CALL | {"attributes": {"secret@example.com": 5}},
        CALL | {"text": ["secret"]},
        CALL | {"outcome": "secret"},
        CALL | {"type": "secret"},
        CALL | {"channel": "secret"},
        CALL | {"occurred_at": "secret"},
        CALL | {"id": "secret\n"},
    ],
)
def test_a_message_repeats_no_value(event: dict[str, Any]) -> None:
    message = rejected(event).message
    assert "secret" not in message
    assert "359888" not in message


@pytest.mark.parametrize("name", ["id", "source", "follows", "staff_id"])
@pytest.mark.parametrize("character", ["\x00", "\n", "\x1f", "\x7f"])
def test_names_hold_no_control_characters(name: str, character: str) -> None:
    assert rejected({**CALL, name: f"a{character}"}).message == f"{name}: contains a control character"


def test_text_may_hold_line_breaks_and_any_script() -> None:
    text = "Здравей,\n\tкак си? 🙂\x00"
    assert accepted(CALL | {"text": text}).text == text


def test_revisions_use_all_64_bits() -> None:
    assert accepted(CALL | {"revision": 2**64 - 1}).revision == 2**64 - 1
    assert rejected(CALL | {"revision": 2**64}).message == "revision: must be 18446744073709551615 or less"
    assert rejected(CALL | {"revision": -1}).message == "revision: must be 0 or more"
    assert rejected(CALL | {"revision": True}).message == "revision: expected a whole number"


LIMITS: list[tuple[str, int]] = [
    *((name, 256) for name in ("id", "source", "follows", "staff_id")),
    *((f"subject.{name}", 256) for name in ("reason", "case_id", "order_id", "product")),
    *((f"customer.{kind}", 320) for kind in IDENTIFIER_KINDS),
    ("complaint.remedy_sought", 4_096),
    ("ivr_path", 1_024),
    ("text", 65_536),
    ("attributes.k", 8_192),
]


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_strings_are_as_long_as_allowed_and_no_longer(path: str, limit: int) -> None:
    def event(length: int) -> dict[str, Any]:
        outer, _, inner = path.partition(".")
        return CALL | {outer: {inner: "я" * length} if inner else "я" * length}

    accepted(event(limit))
    assert rejected(event(limit + 1)).message == f"{path}: must have at most {limit} characters"


def test_an_attribute_has_a_name_of_at_most_256_characters() -> None:
    assert accepted(CALL | {"attributes": {"я" * 256: ""}}).attributes == {"я" * 256: ""}
    assert "must have at most 256 characters" in rejected(CALL | {"attributes": {"я" * 257: ""}}).message


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_nesting_without_an_end_is_refused_and_raises_nothing(depth: int) -> None:
    assert rejected(b'{"a":' * depth).error == "not_json"
    closed = b'{"channel":"online","a":' + b"[" * depth + b"]" * depth + b"}"
    assert rejected(closed).stage == "decode"


@pytest.mark.parametrize("extra", [{}, {"channel": ""}, {"channel": None}])
def test_a_case_update_needs_its_channel_as_every_event_does(extra: dict[str, Any]) -> None:
    event = {key: value for key, value in CALL.items() if key not in ("channel", "direction")}
    refusal = rejected(event | {"type": "case_update"} | extra)
    assert (refusal.error, refusal.message.partition(":")[0]) == ("invalid", "channel")


def test_a_bug_in_the_decoder_costs_one_record_only() -> None:
    def fails(_identifiers: Identifiers, _unnormalised: tuple[str, ...]) -> str | None:
        raise RuntimeError("personal@example.com")

    result = Decoder("BG", FUTURE, fails).decode(json.dumps(CALL).encode(), (), "t", 0, 0, None, NOW)
    assert result == Rejected("decode", "unforeseen", "the decoder failed with RuntimeError")
