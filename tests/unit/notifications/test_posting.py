"""What an answer means, and which addresses may be used."""

from email.utils import formatdate

import pytest

from schemas.notices import Delivered, Passing, Refused
from sinks.notifications.addresses import AddressRefused, checked_url, is_loopback
from sinks.notifications.posting import LONGEST_RETRY_AFTER, outcome_of, retry_after

NOW = 1_772_359_200.0


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_is_delivered(status: int) -> None:
    assert outcome_of(status, {}, "", NOW) == Delivered()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_by_itself_is_tried_again(status: int) -> None:
    outcome = outcome_of(status, {"Retry-After": "7"}, "slow down", NOW)
    assert isinstance(outcome, Passing)
    assert (outcome.retry_after, outcome.reason) == (7.0, f"HTTP {status}: slow down")


@pytest.mark.parametrize(
    ("status", "uncertain"), [(500, False), (503, False), (429, False), (502, True), (504, True)]
)
def test_only_a_proxy_leaves_open_whether_it_arrived(status: int, uncertain: bool) -> None:
    outcome = outcome_of(status, {}, "", NOW)
    assert isinstance(outcome, Passing)
    assert outcome.uncertain is uncertain


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410, 413])
def test_what_a_person_must_put_right_is_not_tried_again(status: int) -> None:
    assert isinstance(outcome_of(status, {}, "", NOW), Refused)


def test_a_reason_says_what_to_look_at() -> None:
    assert "secret" in outcome_of(401, {}, "", NOW).reason  # type: ignore[union-attr]
    assert "redirect" in outcome_of(302, {}, "", NOW).reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("999999999", LONGEST_RETRY_AFTER),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "LOCALHOST."])
def test_this_machine_has_many_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0", ""])
def test_another_machine_is_not_this_one(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["https://hooks.example/x", "http://127.0.0.1:9/x", "http://[::1]:9/"])
def test_encrypted_or_on_this_machine_is_fine(url: str) -> None:
    assert checked_url(url) == url


def test_unencrypted_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(AddressRefused, match="plain = true"):
        checked_url("http://alertmanager:9093")
    assert checked_url("http://alertmanager:9093", plain=True)


@pytest.mark.parametrize(
    "url", ["ftp://x/", "hooks.example", "https://", "https://u:p@h.example/", "https://h.example/#a"]
)
def test_what_is_no_usable_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        checked_url(url, plain=True)
    assert "u:p" not in str(caught.value)
