"""Names as they are stored: the same everywhere, and not to be found by trying."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import CUSTOMER_PREFIX
from sinks.clickhouse import pseudonyms as module
from sinks.clickhouse.pseudonyms import CLEAR, WEAK, Pseudonyms

NUMBER = "+359888123456"
NAME = f"phone:{NUMBER}"
KEY = b"k" * 32


def test_the_hash_is_the_documented_one() -> None:
    digest = hashlib.blake2b(NAME.encode(), key=KEY, digest_size=16).hexdigest()
    assert Pseudonyms(KEY).customers[NAME] == f"phone:{digest}"


@given(st.sampled_from(WEAK), st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_column_holds_what_stands_behind_the_prefix_of_the_customer(kind: str, value: str) -> None:
    pseudonyms, name = Pseudonyms(KEY), f"{CUSTOMER_PREFIX[kind]}:{value}"  # type: ignore[index]
    assert pseudonyms.customers[name] == f"{CUSTOMER_PREFIX[kind]}:{pseudonyms.bare[kind][value]}"  # type: ignore[index]
    assert pseudonyms.stored_customer(pseudonyms.customers[name]) == pseudonyms.customers[name]
    assert Pseudonyms(KEY).customers[name] == pseudonyms.customers[name]
    assert Pseudonyms(KEY + b"x").customers[name] != pseudonyms.customers[name]
    assert CLEAR.customers[name] == name
    assert CLEAR.bare[kind][value] == value


@pytest.mark.parametrize("name", ["crm:A1", "contract:+359888123456", "loyalty:L", "", "anonymous"])
def test_what_is_strong_or_no_identifier_stays(name: str) -> None:
    assert Pseudonyms(KEY).customers[name] == name


def test_nobody_stays_nobody() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.customers[None] is None
    assert pseudonyms.bare["phone"][None] is None


def test_kinds_do_not_share_hashes() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert len({pseudonyms.bare[kind]["same"] for kind in WEAK}) == len(WEAK)


def test_what_was_hashed_is_told_until_it_is_recorded() -> None:
    pseudonyms = Pseudonyms(KEY)
    stored = pseudonyms.customers[NAME]
    assert pseudonyms.bare["phone"][NUMBER] == stored[6:]
    first = pseudonyms.unrecorded()
    assert first == ((stored, NAME),)
    later = pseudonyms.customers["device:d1"]
    pseudonyms.recorded(first)
    assert pseudonyms.unrecorded() == ((later, "device:d1"),)
    assert CLEAR.unrecorded() == ()


def test_a_full_memory_begins_anew_and_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_SIZE", 10)
    pseudonyms, fresh = Pseudonyms(KEY), Pseudonyms(KEY)
    names = [f"phone:+35988800{n:04d}" for n in range(35)]
    assert [pseudonyms.customers[name] for name in names * 2] == [fresh.hashed(name) for name in names * 2]
    assert pseudonyms.customers[None] is None
    assert len(pseudonyms.customers) <= 10  # type: ignore[arg-type]


def test_a_name_read_back_is_not_hashed_again() -> None:
    writer, reader = Pseudonyms(KEY), Pseudonyms(KEY)
    stored = writer.customers[NAME]
    reader.accept_stored(stored)
    assert reader.customers[stored] == stored


@pytest.mark.parametrize(
    ("text", "veiled"),
    [
        ("{phone}", "Call +359888123456 back."),
        ("{email}", "Write to Ann@Example.com."),
        ("{device}", "Seen on d1, twice."),
    ],
)
def test_a_text_shows_the_stored_form(text: str, veiled: str) -> None:
    pseudonyms = Pseudonyms(KEY)
    bare = {"phone": NUMBER, "email": "ann@example.com", "device": "d1"}
    shown = pseudonyms.veiled(veiled, ["device:d1", "crm:twice"])
    kind = text.strip("{}")
    assert pseudonyms.bare[kind][bare[kind]] in shown
    assert bare[kind] not in shown.lower()
    assert CLEAR.veiled(veiled, ["device:d1"]) == veiled


def test_an_identifier_that_is_part_of_another_ones_text_or_hash_changes_neither() -> None:
    pseudonyms = Pseudonyms(KEY)
    names = ["device:a", "device:b1", "device:kiosk b1"]
    one, two, three = (pseudonyms.customers[name].partition(":")[2] for name in names)
    assert pseudonyms.veiled("kiosk b1, b1, +", names) == f"{three}, {two}, +"
    assert pseudonyms.veiled("b1 and c", [*names, "device:c"]).startswith(f"{two} ")
    assert pseudonyms.veiled("x: a.", names) == f"x: {one}."


def test_the_key_of_ids_is_none_of_the_others() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.id_key == hashlib.blake2b(key=KEY, digest_size=32, person=b"ids").digest()
    assert pseudonyms.id_key == Pseudonyms(KEY).id_key != Pseudonyms(KEY + b"x").id_key
    assert CLEAR.id_key == b""


def test_a_text_without_identifiers_is_left_alone() -> None:
    text = "3 contacts about order 12345678 in 2 d, at 10:00+02:00; 5 @ 3.50"
    assert Pseudonyms(KEY).veiled(text, ["crm:A1"]) == text


def test_the_fingerprint_tells_keys_apart_and_does_not_give_them_away() -> None:
    prints = {Pseudonyms(key).fingerprint for key in (KEY, KEY + b"x", None)}
    assert len(prints) == 3
    assert KEY.hex() not in prints
    assert "clear" in prints


@pytest.mark.parametrize("key", [b"", b"k" * 65])
def test_a_key_of_no_use_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        Pseudonyms(key)


def test_who_is_forgotten_is_named_by_hashes_of_their_own() -> None:
    pseudonyms = Pseudonyms(KEY)
    digest = hashlib.blake2b(NAME.encode(), key=KEY, digest_size=16, person=b"customer").digest()
    assert pseudonyms.erased_customer(NAME) == digest
    assert digest.hex() not in pseudonyms.customers[NAME]
    told_apart = [pseudonyms.erased_identity("a", "bc"), pseudonyms.erased_identity("ab", "c")]
    told_apart += [pseudonyms.erased_fact("a", "bc"), CLEAR.erased_identity("a", "bc")]
    assert len({digest, *told_apart}) == 5
    assert {len(one) for one in told_apart} == {16}


def test_a_name_that_was_forgotten_is_told_again_when_it_comes_again() -> None:
    pseudonyms = Pseudonyms(KEY)
    stored = pseudonyms.customers[NAME]
    pseudonyms.recorded(pseudonyms.unrecorded())
    assert pseudonyms.customers[NAME] == stored
    assert pseudonyms.unrecorded() == ()
    pseudonyms.forget()
    assert pseudonyms.bare["phone"][NUMBER] == stored[6:]
    assert pseudonyms.customers[None] is None
    assert pseudonyms.unrecorded() == ((stored, NAME),)


def test_a_value_that_is_a_part_of_another_does_not_cut_it() -> None:
    pseudonyms = Pseudonyms(KEY)
    short, long = (pseudonyms.bare["device"][value] for value in ("tab", "tablet"))
    assert pseudonyms.veiled("tablet, tab", ["device:tab", "device:tablet"]) == f"{long}, {short}"
