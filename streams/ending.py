"""How a worker process ends: within a stated time after it was told to, whatever hangs, and the log says what did.

Much can hang: a client whose broker is gone, the event loop behind it, a thread that the interpreter waits for at its
end. Ending at once loses nothing: what is acknowledged is durable, and what is not is read again.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final, Self

log = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

TELL_SECONDS: Final = 1.0
"""How long the last words may take: what hangs may be the log itself."""


class LastResort:
    """Ends the process some time after it was armed, if that has not ended by itself.

    A thread of its own does it: what hangs may be the event loop, or the end of the interpreter.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # Its `put` may be called in a signal handler that interrupts another `put`; an Event's `set` may not.
        self._armed: SimpleQueue[int] = SimpleQueue()
        threading.Thread(target=self._wait, name="last-resort", daemon=True).start()

    def arm(self, status: int) -> None:
        """From now on the process has so many seconds left; then, after `TELL_SECONDS` for its last words at the most,
        it ends with `status`. The first call counts.
        """
        self._armed.put(status)

    def _wait(self) -> None:
        status = self._armed.get()
        time.sleep(self._seconds)
        teller = threading.Thread(target=self._tell, args=(status,), name="last-words", daemon=True)
        teller.start()
        teller.join(TELL_SECONDS)
        os._exit(status)

    def _tell(self, status: int) -> None:
        left = "; ".join(threads_left()) or "none"
        log.critical(
            "not ended within %g s, ending now with status %d; threads left: %s", self._seconds, status, left
        )
        logging.shutdown()


class StopSignals:
    """What SIGTERM and SIGINT do within the block: until `begun` they end the process at once, with status 0, since
    nothing is under way that could be lost; from then on each calls what `begun` was given.

    Handled between two bytecodes of the main thread, so also while an event loop there is blocked, and while modules
    are imported: what is raised there may be swallowed, so nothing is.
    """

    def __init__(self) -> None:
        """No signal is caught before the block begins."""
        self._act: Callable[[], None] = _end_unbegun
        self._before: dict[signal.Signals, Any] = {}

    def begun(self, act: Callable[[], None]) -> None:
        """From now on something is under way: `act` is called each time a signal comes, to the end of the block."""
        self._act = act

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._told) for number in SIGNALS}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        self._act()


def _end_unbegun() -> None:
    os._exit(0)


@contextmanager
def deaths_of_threads() -> Iterator[list[str]]:
    """The names of the threads that an exception ends within the block; the log has the exception."""
    died: list[str] = []

    def note(death: threading.ExceptHookArgs) -> None:
        died.append("one without a name" if death.thread is None else death.thread.name)
        log.error("the thread %s died: %r", died[-1], death.exc_value, exc_info=death.exc_value)

    before, threading.excepthook = threading.excepthook, note
    try:
        yield died
    finally:
        threading.excepthook = before


def threads_left() -> list[str]:
    """The threads that the end of the interpreter waits for, but for the one that asks: name, and where it is."""
    frames = sys._current_frames()
    asking = threading.get_ident()
    return [
        f"{thread.name} in {_place(frame.f_code.co_qualname, frame)}"
        for thread in threading.enumerate()
        if not thread.daemon and thread.ident != asking and (frame := frames.get(thread.ident or 0))
    ]


def stops_under_way() -> list[str]:
    """Where each `stop` waits that is a task of the running loop: the app's, and those of what it stops."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return sorted({_waits_at(each) for each in coroutines if getattr(each, "__name__", "") == "stop"} - {""})


def _waits_at(coroutine: Any) -> str:
    """The innermost method in which it waits, by the class of the object; empty when it has ended."""
    place = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and "self" in frame.f_locals:
            owner = type(frame.f_locals["self"]).__name__
            place = f"{owner}.{_place(frame.f_code.co_name, frame)}"
        coroutine = getattr(coroutine, "cr_await", None)
    return place


def _place(name: str, frame: FrameType) -> str:
    file = Path(frame.f_code.co_filename)
    return f"{name} ({file.parent.name}/{file.name}:{frame.f_lineno})"
