"""What is quoted from a destination's answer: one line, and none of its secrets in any notation."""

import base64
import html
import json
from urllib.parse import quote

import pytest

from sinks.notifications.quoting import NO_SECRETS, Secrets

SECRET = 'tok/en+7 "quoted" <ш>'


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        html.escape(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_the_notations_of_answers(echo: str) -> None:
    assert Secrets(SECRET).quoted(f"you said ({echo})", 200).replace('"', "").rstrip("=)") == "you said (***"


def test_a_secret_that_is_written_with_percent_signs_is_masked_as_it_is_meant_too() -> None:
    assert Secrets("a%3Abc").quoted("a:bc, a%3abc", 200) == "***, ***"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Secrets("abcd", "abcd-efgh").quoted("abcd-efgh abcd", 200) == "*** ***"


def test_a_very_short_secret_does_not_tear_other_words() -> None:
    assert Secrets("pw").quoted("pwned by pw.", 200) == "pwned by ***."


@pytest.mark.parametrize("length", range(1, 9))
def test_of_a_text_that_was_cut_the_beginning_of_a_secret_is_left_out(length: int) -> None:
    quoted = Secrets("abcdefgh").quoted("denied: " + "abcdefgh"[:length], 200, cut=True)
    assert "a" not in quoted.replace("***", "")


def test_what_is_cut_to_the_length_asked_for_is_masked_before() -> None:
    assert Secrets("abcdefgh").quoted("x abcdefgh y", 6) == "x ***…"


def test_without_secrets_a_text_becomes_one_line() -> None:
    assert NO_SECRETS.quoted(" slow\n  down\t", 200) == "slow down"
    assert Secrets("").quoted("slow down", 200) == "slow down"


def test_no_secret_shows_in_a_repr() -> None:
    assert "abcd" not in repr(Secrets("abcd"))
