"""Shortcuts that must answer as the long way does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.links import Link, Statement, forgotten, record_key
from streams.core.identification.catch_all import (
    _MAILBOX_OF_NOBODY,
    _NO_VALUE,
    _NOBODY,
    _may_be_mailbox_of_nobody,
    _may_be_nobody,
)

texts = st.text(max_size=12)


@settings(max_examples=2_000, deadline=None)
@given(
    st.sampled_from(("phone", "device", "email", "crm", "contract")),
    st.from_regex(r"(\+?[0-9]{0,4})?([0-9a-f_.-])\2{0,9}-?[\w.@-]?", fullmatch=True) | texts,
)
def test_a_value_that_stands_for_nobody_passes_the_first_look(kind: str, value: str) -> None:
    if _NOBODY.get(kind, _NO_VALUE).fullmatch(value) is not None:
        assert _may_be_nobody(kind, value)


@settings(max_examples=500, deadline=None)
@given(st.from_regex(_MAILBOX_OF_NOBODY, fullmatch=True))
def test_a_mailbox_of_nobody_passes_the_first_look(local: str) -> None:
    assert _may_be_mailbox_of_nobody(local)


@given(texts, texts)
def test_a_key_without_a_value_says_which_record_is_forgotten(one: str, other: str) -> None:
    assert forgotten(record_key(Link(one, other, 0, 0, ""))) == (one, other)
    assert forgotten(record_key(Statement(one, other, 0, 0, True, ()))) == (one, other, None)
