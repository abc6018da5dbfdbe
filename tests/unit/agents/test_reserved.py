"""What a partition stores beside its timelines."""

import pytest
from msgspec import DecodeError

from schemas.rule_sets import RULES_KEY
from streams.agents.clocks import CLOCK_KEY
from streams.agents.owed import OWED_KEYS
from streams.agents.reserved import (
    IDENTITIES_KEY,
    INTENT_KEY,
    dump_intent,
    dump_position,
    dump_written,
    is_customers,
    load_intent,
    load_limits,
    load_position,
)


def test_no_key_of_its_own_is_a_customers() -> None:
    reserved = [CLOCK_KEY, RULES_KEY, INTENT_KEY, IDENTITIES_KEY, *OWED_KEYS]
    assert len(set(reserved)) == len(reserved)
    assert not any(map(is_customers, reserved))
    assert is_customers(b"crm:ann")
    assert is_customers(b"anonymous:pbx\x1f1")


def test_an_intent_and_a_position_come_back_as_they_were() -> None:
    assert load_intent(dump_intent({b"crm:b", b"crm:a"})) == [b"crm:a", b"crm:b"]
    assert dump_intent([]) is None
    assert load_intent(None) == []
    assert load_position(dump_position(2**40)) == 2**40
    assert load_position(None) == 0
    assert load_position(dump_written(2**40, 7)) == 2**40
    assert [load_limits(stored) for stored in (dump_written(3, 7), dump_position(3), None)] == [7, None, None]
    with pytest.raises(DecodeError):
        load_intent(b"\xc1")
