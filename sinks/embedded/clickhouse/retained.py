"""Sessions that HTTP clients keep between requests by a `session_id` of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sinks.embedded.clickhouse.errors import SESSION_IS_LOCKED, SESSION_NOT_FOUND, ServerError
from sinks.embedded.clickhouse.sessions import Session

DEFAULT_SECONDS: Final = 60.0
MAX_SECONDS: Final = 3600.0


@dataclass
class _Kept:
    session: Session
    busy: bool
    expires: float


class RetainedSessions:
    """Sessions by name, each used by one request at a time and closed when idle for its time-out."""

    def __init__(
        self, open_session: Callable[[], Session], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open = open_session
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, name: str, seconds: float, must_exist: bool) -> Iterator[Session]:
        """The session of that name, made when it is new. Error 372: must exist and does not; 373: in use."""
        self.expire()
        with self._lock:
            kept = self._kept.get(name)
            if kept is None and must_exist:
                raise ServerError(SESSION_NOT_FOUND, f"Session {name} not found. (SESSION_NOT_FOUND)")
            if kept is not None and kept.busy:
                raise ServerError(
                    SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client. (SESSION_IS_LOCKED)"
                )
            if kept is None:
                kept = self._kept[name] = _Kept(self._open(), True, 0.0)
            kept.busy = True
        try:
            yield kept.session
        finally:
            with self._lock:
                kept.busy = False
                kept.expires = self._clock() + seconds

    def expire(self) -> None:
        """Close the sessions whose time is over."""
        now = self._clock()
        with self._lock:
            over = [name for name, kept in self._kept.items() if not kept.busy and kept.expires <= now]
            closing = [self._kept.pop(name) for name in over]
        for kept in closing:
            kept.session.close()

    def close(self) -> None:
        """Close every session that no request uses."""
        with self._lock:
            closing = [kept for kept in self._kept.values() if not kept.busy]
            self._kept.clear()
        for kept in closing:
            kept.session.close()
