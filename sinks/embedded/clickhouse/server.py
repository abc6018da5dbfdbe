"""The server: both protocols over one engine, from the first listening port to a clean stop."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from sinks.embedded.clickhouse.cancellation import Watch
from sinks.embedded.clickhouse.credentials import Credentials
from sinks.embedded.clickhouse.engine import Engine, Limits
from sinks.embedded.clickhouse.http import HttpFront
from sinks.embedded.clickhouse.listener import NativeServer, listening_socket
from sinks.embedded.clickhouse.native import Services

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 3.0
"""How long running statements may go on after the server was asked to stop."""


@dataclass(frozen=True)
class ServerOptions:
    """Where the server listens and what it serves; port 0 takes a free one."""

    data: Path
    host: str
    native_port: int
    http_port: int
    credentials: Credentials
    limits: Limits
    max_connections: int


class PortTaken(Exception):
    """A port cannot be listened on; the message says which, why, and what to do."""

    def __init__(self, option: str, host: str, port: int, error: OSError) -> None:
        why = (
            "is taken by another process"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used ({error.strerror})"
        )
        super().__init__(f"Port {port} on {host} {why}. Stop that process, or choose another with {option}.")


def open_ports(options: ServerOptions) -> tuple[socket.socket, socket.socket]:
    """Listen on both ports, before the engine is opened; raises `PortTaken`."""
    listening: list[socket.socket] = []
    for option, port in (("--native-port", options.native_port), ("--http-port", options.http_port)):
        try:
            listening.append(listening_socket(options.host, port))
        except OSError as error:
            for one in listening:
                one.close()
            raise PortTaken(option, options.host, port, error) from error
    return listening[0], listening[1]


async def serve(options: ServerOptions) -> bool:
    """Serve until SIGTERM or SIGINT; returns whether every statement has ended and the engine is closed.

    Raises `PortTaken` and `DirectoryInUse` before anything is served.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    native_socket, http_socket = open_ports(options)
    try:
        engine = Engine(options.data, options.limits)
    except BaseException:
        native_socket.close()
        http_socket.close()
        raise
    services = Services(engine, options.credentials, Watch())
    native = NativeServer(native_socket, services, options.max_connections)
    front = HttpFront(services, options.max_connections)
    runner = web.AppRunner(
        front.application(), access_log=None, auto_decompress=False, shutdown_timeout=GRACE_SECONDS
    )
    await runner.setup()
    await web.SockSite(runner, http_socket).start()
    native.start()
    ready = {
        "ready": True,
        "native_port": native_socket.getsockname()[1],
        "http_port": http_socket.getsockname()[1],
    }
    print(json.dumps(ready), flush=True)
    expiring = asyncio.create_task(_expire(front))
    await stop.wait()
    log.info("stopping")
    expiring.cancel()
    await asyncio.gather(asyncio.to_thread(native.stop, GRACE_SECONDS), runner.cleanup())
    if not native.all_left or front.busy:
        await asyncio.to_thread(engine.kill)
        await front.drained(GRACE_SECONDS)
    services.watch.close()
    front.close()
    if not native.all_left or front.busy:
        return False
    engine.close()
    return True


async def _expire(front: HttpFront) -> None:
    while True:
        await asyncio.sleep(5)
        await asyncio.to_thread(front.expire)
