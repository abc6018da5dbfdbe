"""The listening socket of the native protocol, and the threads of its connections."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Final

from sinks.embedded.clickhouse.errors import TOO_MANY_SIMULTANEOUS_QUERIES, ServerError
from sinks.embedded.clickhouse.native import Connection, Services, serve_connection

log = logging.getLogger(__name__)

KILLED_SECONDS: Final = 5.0


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound, listening socket; raises `OSError` when the port is taken. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class NativeServer:
    """Accepts native clients, up to `limit` at once; one more is told so with error 202."""

    def __init__(self, listener: socket.socket, services: Services, limit: int) -> None:
        self._listener = listener
        self._services = services
        self._limit = limit
        self._connections: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, name="clickhouse-accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._accepting.start()

    def stop(self, grace: float) -> None:
        """Accept no more, let running statements end for `grace` seconds, then stop them."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        with self._lock:
            open_now = dict(self._connections)
        for connection in open_now:
            connection.leave()
        _join(open_now, grace)
        if any(thread.is_alive() for thread in open_now.values()):
            log.warning("stopping statements that still run")
            self._services.engine.kill()
            for connection in open_now:
                connection.cut()
            _join(open_now, KILLED_SECONDS)

    @property
    def all_left(self) -> bool:
        """Whether no connection is being served any more."""
        with self._lock:
            return not self._connections

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection = Connection(client, self._services)
            thread = threading.Thread(
                target=self._serve, args=(client, connection), name="clickhouse-client", daemon=True
            )
            with self._lock:
                full = len(self._connections) >= self._limit
                if not full:
                    self._connections[connection] = thread
            if full:
                threading.Thread(
                    target=self._refuse, args=(client, connection), name="clickhouse-full", daemon=True
                ).start()
            else:
                thread.start()

    def _serve(self, client: socket.socket, connection: Connection) -> None:
        try:
            serve_connection(connection)
        finally:
            client.close()
            with self._lock:
                self._connections.pop(connection, None)

    def _refuse(self, client: socket.socket, connection: Connection) -> None:
        try:
            connection.refuse(
                ServerError(
                    TOO_MANY_SIMULTANEOUS_QUERIES,
                    f"Too many connections. Maximum: {self._limit}; close some, or start the server with a "
                    "higher --max-connections. (TOO_MANY_SIMULTANEOUS_QUERIES)",
                )
            )
        except OSError as error:
            log.debug("a refused client left: %s", error)
        finally:
            client.close()


def _join(connections: dict[Connection, threading.Thread], seconds: float) -> None:
    until = time.monotonic() + seconds
    for thread in connections.values():
        thread.join(max(0.0, until - time.monotonic()))
