"""HTTP receivers on loopback that fail, stall, limit, die and come back, as a test says."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from aiohttp import web


class Received(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return msgspec.json.decode(self.body)


Answer = Callable[[Received], web.Response]


def ok(_: Received) -> web.Response:
    """202, as PagerDuty answers."""
    return web.json_response({"status": "success"}, status=202)


@dataclass
class Receiver:
    """A server with a fixed port. `answer` may be changed at any time; `stalled` holds requests until it is cleared."""

    port: int = 0
    answer: Answer = ok
    received: list[Received] = field(default_factory=list)
    stalled: bool = False
    _runner: web.AppRunner | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.0, handler_cancellation=True)
        await self._runner.setup()
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, holds: Callable[[list[Received]], bool], seconds: float = 15.0) -> None:
        """Wait until what was received fits; fails with what it is."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(self.received):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            shown = [(item.path, item.body[:200]) for item in self.received]
            raise AssertionError(f"not within {seconds:g} s; received {shown}") from None

    async def _handle(self, request: web.Request) -> web.Response:
        item = Received(request.method, request.path, dict(request.headers), await request.read())
        self.received.append(item)
        self._news.set()
        if self.stalled:
            await asyncio.sleep(3_600)
        return self.answer(item)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver for the length of a test."""
    receiver = Receiver()
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
