"""What an answer means, and which addresses may be used."""

import asyncio
from email.utils import formatdate

import pytest
from aiohttp import web

from schemas.notices import Delivered, Outcome, Passing, Refused
from sinks.loopback import is_loopback
from sinks.notifications.addresses import AddressRefused, checked_url
from sinks.notifications.posting import LONGEST_RETRY_AFTER, Poster, outcome_of, retry_after
from tests.receivers import receiving

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


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_about_the_notice_is_not_tried_again(status: int) -> None:
    assert outcome_of(status, {}, "no", NOW) == Refused(f"HTTP {status}: no")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (301, "redirects are not followed"),
        (302, "redirects are not followed"),
        (307, "redirects are not followed"),
        (401, "check the destination's secret"),
        (403, "check the destination's secret"),
        (404, "check the destination's url"),
        (405, "check the destination's url"),
        (407, "check the proxy"),
        (409, "check the destination's url and secret"),
        (410, "check the destination's url"),
    ],
)
def test_what_is_about_the_destination_is_tried_again_and_says_what_to_check(
    status: int, advice: str
) -> None:
    outcome = outcome_of(status, {"Retry-After": "7"}, "", NOW)
    assert isinstance(outcome, Passing)
    assert advice in outcome.reason
    assert (outcome.retry_after, outcome.uncertain) == (7.0, False)


@pytest.mark.parametrize(("status", "outcome"), [(200, Delivered()), (400, Refused("HTTP 400: so"))])
async def test_an_answer_that_breaks_off_still_has_its_status(status: int, outcome: Outcome) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\nso".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    poster = Poster(5.0)
    try:
        port = server.sockets[0].getsockname()[1]
        assert await poster.post(f"http://127.0.0.1:{port}/", b"{}", {}, NOW) == outcome
    finally:
        await poster.close()
        server.close()
        await server.wait_closed()


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
    "url",
    [
        "ftp://x/",
        "hooks.example",
        "https://",
        "https://u:p@h.example/",
        "https://h.example/#a",
        "https://h.example:0/",
        "https://h.example:65536/",
        "https://h.example:https/",
        "https://h example/",
        "https://h.example/a b",
        "https://h.example/a\nb",
        "https://h.example/\x1b",
        "https://[::1",
        "https://u:p@h\u2100.example/",
    ],
)
def test_what_is_no_usable_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        checked_url(url, plain=True)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_notice_goes_nowhere_that_nobody_configured(status: int) -> None:
    poster = Poster()
    async with receiving() as configured, receiving() as elsewhere:
        configured.answer = lambda _: web.Response(status=status, headers={"Location": elsewhere.url})
        outcome = await poster.post(configured.url, b"{}", {"authorization": "Bearer s3cret"}, NOW)
        await poster.close()
    assert isinstance(outcome, Passing)
    assert len(configured.received) == 1
    assert elsewhere.received == []


async def test_a_notice_takes_no_way_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    poster = Poster()
    async with receiving() as configured, receiving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert await poster.post(configured.url, b"{}", {}, NOW) == Delivered()
        await poster.close()
    assert len(configured.received) == 1
    assert proxy.received == []
