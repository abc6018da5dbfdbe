"""What is kept of what Apprise logs."""

import base64
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from schemas.notices import Outcome, Passing
from sinks.notifications.chat import Chat
from tests.receivers import receiving
from tests.unit.notifications.test_messages import notice


async def told(url: str, logged: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The outcome when Apprise logs this."""

    class Result:
        timeout_count = 0

        def __bool__(self) -> bool:
            return False

        def logs(self) -> Sequence[Any]:
            return [SimpleNamespace(message=logged)]

    async def notify(**_: object) -> Result:
        return Result()

    chat = Chat("team", url)
    monkeypatch.setattr(chat._notify, "async_notify", notify)
    return await chat.send(notice(), 0)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("jsons://ann:pw@h.example/", "pw"),
        ("jsons://ann:p%40ss@h.example/", "p@ss"),
        ("jsons://ann:p%40ss@h.example/", base64.b64encode(b"ann:p@ss").decode()),
        ("jsons://h.example/token-of-team/", "token-of-team"),
        ("jsons://h.example/?+X-Token=token-of-team", "token-of-team"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "abcdefg_hijklmnop"),
    ],
)
async def test_no_part_of_a_url_that_could_be_a_secret_is_quoted(
    url: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = await told(url, f"refused ({secret}), error=401.", monkeypatch)
    assert secret not in outcome.reason  # type: ignore[union-attr]
    assert "refused (***" in outcome.reason  # type: ignore[union-attr]
    assert "check the destination's secret" in outcome.reason  # type: ignore[union-attr]


async def test_a_status_is_read_even_where_it_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await told("jsons://ann:401@h.example/", "error=401.", monkeypatch)
    assert "HTTP 401" in outcome.reason  # type: ignore[union-attr]


async def test_what_a_service_did_not_take_without_a_word_may_have_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = await told("jsons://h.example/", "it broke", monkeypatch)
    assert isinstance(outcome, Passing)
    assert outcome.uncertain


async def test_no_redirect_is_followed() -> None:
    async with receiving() as configured, receiving() as elsewhere:
        configured.answer = lambda _: web.Response(status=307, headers={"Location": elsewhere.url})
        outcome = await Chat("team", f"json://127.0.0.1:{configured.port}/").send(notice(), 0)
    assert isinstance(outcome, Passing)
    assert len(configured.received) == 1
    assert elsewhere.received == []
