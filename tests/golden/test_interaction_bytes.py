"""The bytes of an interaction on its topic, pinned: old ones must stay readable, fields keep their positions.

A field may only be appended, with a default. Then its value joins `FULL`, and the pinned bytes grow at their end only.
"""

from decimal import Decimal

import msgspec
import pytest

from schemas.interaction import (
    Interaction,
    WatermarkReport,
    decode_interaction,
    decode_watermarks,
    encode_interaction,
    encode_watermarks,
)

FULL = Interaction(
    source="pbx",
    id="1001",
    revision=2**64 - 1,
    channel="phone",
    type="call",
    occurred_at=1_772_366_400_123_456,
    customer="crm:C-1",
    direction="inbound",
    crm_id="C-1",
    contract="K",
    loyalty="L",
    phone="+359888123456",
    email="ann@пример.бг",
    device="d",
    unnormalised=("phone",),
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
    promise_due_at=1_772_366_400_000_000,
    promise_due_on="2026-03-05",
    promise_kept_ref="K1",
    promise_cancelled_ref="X1",
    rating_scale="nps10",
    rating_value=9.5,
    rating_resolved=True,
    treatment="rude",
    sentiment=-0.5,
    complaint_remedy_sought="refund",
    complaint_stage="received",
    transfers=2,
    follows="1000",
    staff_id="s",
    text="текст",
    attributes={"k": "v"},
    wait_seconds=1.0,
    talk_seconds=2.5,
    hold_seconds=0.0,
    wrap_up_seconds=4.0,
    ivr_path="1>2",
    thread_id="t",
    in_reply_to="r",
    office_id="o",
    ticket="B1",
    service_seconds=5.0,
    session_id="se",
    action="a",
    target="/x",
    success=False,
    duration_seconds=6.0,
    topic="touchline.phone",
    partition=3,
    offset=42,
    received_at=1_772_366_401_000_000,
)
SMALL = Interaction("s", "1", 0, "online", "page_view", 0)

FULL_HEX = (
    "dc003da3706278a431303031cfffffffffffffffffa570686f6e65a463616c6ccf00064bf535b0f240a763726d3a432d31a7"
    "696e626f756e64a3432d31a14ba14cad2b333539383838313233343536b5616e6e40d0bfd180d0b8d0bcd0b5d1802ed0b1d0"
    "b3a16491a570686f6e65b262696c6c696e672e6f766572636861726765a154a14fa150a77061796d656e74a870726f6d6973"
    "6564a4312e3130a92d322e303030303030a3455552a152a963616c6c5f6261636bcf00064bf535af1000aa323032362d3033"
    "2d3035a24b31a25831a56e70733130cb4023000000000000c3a472756465cbbfe0000000000000a6726566756e64a8726563"
    "656976656402a431303030a173aad182d0b5d0bad181d18281a16ba176cb3ff0000000000000cb4004000000000000cb0000"
    "000000000000cb4010000000000000a3313e32a174a172a16fa24231cb4014000000000000a27365a161a22f78c2cb401800"
    "0000000000af746f7563686c696e652e70686f6e65032acf00064bf535be5240"
)
SMALL_HEX = (
    "dc003da173a13100a66f6e6c696e65a9706167655f7669657700c0c0c0c0c0c0c0c090c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"
    "c0c0c0c0c0c0c0c0c0c0c080c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0a00000c0"
)


@pytest.mark.parametrize(("interaction", "pinned"), [(FULL, FULL_HEX), (SMALL, SMALL_HEX)])
def test_encoding_and_decoding_are_pinned(interaction: Interaction, pinned: str) -> None:
    assert decode_interaction(bytes.fromhex(pinned)) == interaction
    assert encode_interaction(interaction).hex() == pinned


def test_every_field_is_pinned_with_a_value_of_its_own() -> None:
    defaults = Interaction.__struct_defaults__
    optional = Interaction.__struct_fields__[-len(defaults) :]
    assert [
        name for name, default in zip(optional, defaults, strict=True) if getattr(FULL, name) == default
    ] == []


def test_bytes_from_before_the_optional_fields_still_decode() -> None:
    old = msgspec.msgpack.encode(["s", "1", 0, "online", "page_view", 0])
    assert decode_interaction(old) == SMALL


def test_bytes_with_fields_from_the_future_still_decode() -> None:
    newer = [*msgspec.msgpack.decode(encode_interaction(SMALL)), "a field that is not known yet"]
    assert decode_interaction(msgspec.msgpack.encode(newer)) == SMALL


@pytest.mark.parametrize("foreign", [b"", b"\xc1", b"{}", b"\x93\x01\x02\x03"])
def test_foreign_bytes_are_refused(foreign: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_interaction(foreign)


def test_watermarks_are_pinned() -> None:
    report = WatermarkReport({"touchline.phone/0": 1_772_366_400_000_000}, 7)
    pinned = "9281b1746f7563686c696e652e70686f6e652f30cf00064bf535af100007"
    assert encode_watermarks(report).hex() == pinned
    assert decode_watermarks(bytes.fromhex(pinned)) == report


def test_a_watermark_of_before_identity_is_still_read() -> None:
    pinned = "9181b1746f7563686c696e652e70686f6e652f30cf00064bf535af1000"
    assert decode_watermarks(bytes.fromhex(pinned)) == WatermarkReport(
        {"touchline.phone/0": 1_772_366_400_000_000}, 0
    )
