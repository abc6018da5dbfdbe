"""Notice, while a statement runs, that its client cancels it or has gone, and stop it."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

log = logging.getLogger(__name__)

CANCEL: Final = b"\x03"


@dataclass
class Running:
    """A statement in the engine; `stop` stops it, `cancelled` tells that this was done."""

    stop: Callable[[], None]
    cancelled: threading.Event = field(default_factory=threading.Event)


class Watch:
    """One thread that looks at the sockets of all clients whose statement runs."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="clickhouse-watch", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def during(self, client: socket.socket, stop: Callable[[], None]) -> Iterator[Running]:
        """Watch `client` for the time of the block; it must not be read meanwhile."""
        running = Running(stop)
        with self._lock:
            self._selector.register(client, selectors.EVENT_READ, running)
        try:
            yield running
        finally:
            self._forget(client)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()
        self._selector.close()

    def _forget(self, client: socket.socket) -> None:
        with self._lock, contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client)

    def _look(self) -> None:
        while not self._closed.is_set():
            for key, _ in self._selector.select(timeout=0.25):
                self._judge(key)

    def _judge(self, key: selectors.SelectorKey) -> None:
        client, running = key.fileobj, key.data
        with self._lock:
            watched = self._selector.get_map().get(client)
            if not isinstance(client, socket.socket) or watched is None or watched.data is not running:
                return  # the statement ended meanwhile; what has come is for the next one
            try:
                peeked = client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                peeked = b""
            self._selector.unregister(client)
            if peeked not in (b"", CANCEL):
                return
            running.cancelled.set()
            try:
                running.stop()
            except Exception:
                log.exception("a statement could not be stopped; it ends by its own limits")
