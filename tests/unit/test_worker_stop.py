"""How a worker's run ends: the status, and when the end is not waited for."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streams import worker
from streams.agents.lanes import EXIT_BUG
from streams.agents.watchdog import EXIT_STUCK
from streams.ending import LastResort

Act = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    pass


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _crashing() -> None:
    raise ZeroDivisionError


async def _cancelling() -> None:
    """As aiokafka does that waits for a request which it has cancelled itself."""
    raise asyncio.CancelledError


class Ended(BaseException):
    """In the place of the end of the process."""


class App:
    """A Faust app as the worker sees it; its `start` and `stop` are given."""

    def __init__(self, start: Act, stop: Act) -> None:
        self.start, self.stop = start, stop
        self.crash_reason = None
        self.tables = SimpleNamespace(wait_until_recovery_completed=_at_once)
        self.consumer = SimpleNamespace(assignment=set)
        self.wait_until_stopped = _for_ever


async def end_of(
    monkeypatch: pytest.MonkeyPatch, start: Act, stop: Act
) -> "tuple[int | None, list[int], list[int]]":
    """Run, told to stop once it is ready. What the run returned, with what the process was ended, and what the
    last resort was armed with.
    """
    ended: list[int] = []
    armed: list[int] = []

    def end_process(status: int) -> None:
        ended.append(status)
        raise Ended

    monkeypatch.setattr(worker, "end_process", end_process)
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.01)
    told = asyncio.Event()
    knowledge = SimpleNamespace(start=_at_once)
    last_resort = cast(LastResort, SimpleNamespace(arm=armed.append))
    app: Any = App(start, stop)
    try:
        status = await worker._until_stopped(app, cast(Any, knowledge), told, last_resort, told.set)
    except Ended:
        return None, ended, armed
    return status, ended, armed


async def test_a_clean_stop_returns_zero_and_what_comes_after_it_has_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await end_of(monkeypatch, _at_once, _at_once) == (0, [], [EXIT_STUCK])


async def test_a_stop_that_takes_too_long_ends_the_process_and_says_where_it_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging:
        async def stop(self) -> None:
            await _for_ever()

    assert await end_of(monkeypatch, _at_once, Hanging().stop) == (None, [EXIT_STUCK], [EXIT_STUCK])
    assert "not stopped within 0.01 s: it waits in Event.wait" in caplog.text


@pytest.mark.parametrize("stop", [_crashing, _cancelling])
async def test_a_stop_that_breaks_off_ends_the_process(
    stop: Act, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await end_of(monkeypatch, _at_once, stop) == (None, [EXIT_STUCK], [EXIT_STUCK])
    assert "the stop broke off" in caplog.text


async def test_a_stop_in_which_a_thread_dies_is_not_clean(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def die() -> None:
        raise asyncio.CancelledError

    async def leave_a_thread_dead() -> None:
        thread = threading.Thread(target=die, name="consumer")
        thread.start()
        thread.join()

    assert await end_of(monkeypatch, _at_once, leave_a_thread_dead) == (None, [EXIT_STUCK], [EXIT_STUCK])
    assert "the thread consumer died: CancelledError()" in caplog.text


@pytest.mark.parametrize("start", [_crashing, _cancelling])
async def test_a_crash_keeps_its_status_also_when_the_stop_hangs(
    start: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await end_of(monkeypatch, start, _for_ever) == (None, [EXIT_BUG], [EXIT_BUG])
    assert await end_of(monkeypatch, start, _at_once) == (EXIT_BUG, [], [EXIT_BUG])
