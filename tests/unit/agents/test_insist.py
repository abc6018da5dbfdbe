"""Insisting: what may pass by itself is repeated for as long as the partition is ours, and nothing else is."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)

from streams.agents.lanes import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Fenced,
    Unavailable,
    connection_lost,
    insist,
)
from tests.unit.agents.fakes import App, pauses

RETRIED = (
    Unavailable("ClickHouse: connection refused"),
    KafkaTimeoutError(),
    KafkaUnavailableError(),
    KafkaConnectionError(),
    LeaderNotAvailableError(),
    NotLeaderForPartitionError(),
    RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return pauses(monkeypatch)


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    left = list(errors)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.mark.parametrize("error", RETRIED, ids=lambda error: type(error).__name__)
async def test_what_may_pass_by_itself_is_tried_again(error: Exception, asked: list[float]) -> None:
    assert await insist(failing(error, error), App().batch([]), "it") == "done"
    assert asked == [FIRST_PAUSE, 2 * FIRST_PAUSE]


async def test_pauses_double_up_to_the_longest(asked: list[float]) -> None:
    await insist(failing(*[Unavailable()] * 12), App().batch([]), "it")
    assert asked[:4] == [0.2, 0.4, 0.8, 1.6]
    assert asked[-1] == LONGEST_PAUSE
    assert max(asked) == LONGEST_PAUSE
    assert asked == sorted(asked)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        RuntimeError("a bug"),
        MessageSizeTooLargeError(),
        TopicAuthorizationFailedError(),
        KafkaError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_anything_else_goes_up_at_once(error: Exception, asked: list[float]) -> None:
    with pytest.raises(type(error)):
        await insist(failing(error), App().batch([]), "it")
    assert asked == []


async def test_a_lost_partition_ends_the_attempts(asked: list[float]) -> None:
    app, tries = App(), 0

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            app.consumer_generation_id = 2
        raise Unavailable

    with pytest.raises(Fenced):
        await insist(attempt, app.batch([]), "it")
    assert tries == len(asked) == 3


async def test_nothing_is_attempted_without_the_partition() -> None:
    async def attempt() -> None:
        pytest.fail("a side effect without owning the partition")

    app = App()
    batch = app.batch([])
    app.rebalancing_count += 1
    with pytest.raises(Fenced):
        await insist(attempt, batch, "it")


def test_uvloop_says_of_a_closed_connection_what_we_look_for() -> None:
    async def write_after_the_end() -> RuntimeError | None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        transport.abort()
        try:
            for _ in range(100):
                transport.write(b"x")
                await asyncio.sleep(0)
        except RuntimeError as error:
            return error
        finally:
            server.close()
        return None

    loop = uvloop.new_event_loop()
    try:
        error = loop.run_until_complete(write_after_the_end())
    finally:
        loop.close()
    assert error is not None
    assert connection_lost(error)
