"""A process that was told to end ends, whatever holds it, and says what that was."""

import asyncio
import os
import signal
import subprocess
import sys
from typing import Final

import pytest

from streams.ending import StopSignals, stops_under_way, threads_left

SECONDS: Final = 30
"""After which a process counts as held for ever; those below have a tenth of a second."""

BEGIN: Final = """
import asyncio, logging, threading
from streams.ending import LastResort, StopSignals
logging.basicConfig()
last_resort = LastResort(0.1)
def hang():
    threading.Event().wait()
"""


def ended(program: str) -> tuple[int, str]:
    """Run a program to its end; its status and standard error."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stderr


def test_a_thread_that_the_interpreter_waits_for_is_named_and_not_waited_for() -> None:
    status, said = ended("threading.Thread(target=hang, name='consumer').start(); last_resort.arm(75)")
    assert status == 75
    assert "not ended within 0.1 s, ending now with status 75" in said
    assert "consumer in Condition.wait (" in said


def test_a_process_that_ends_by_itself_is_left_alone() -> None:
    assert ended("last_resort.arm(75)") == (0, "")


def test_the_first_status_counts() -> None:
    assert ended("last_resort.arm(70); last_resort.arm(75); hang()")[0] == 70


def test_a_log_that_hangs_does_not_keep_the_process() -> None:
    status, _ = ended(
        "class Stuck(logging.Handler):\n"
        "    def emit(self, record): hang()\n"
        "logging.getLogger().addHandler(Stuck()); last_resort.arm(75); hang()"
    )
    assert status == 75


def test_a_signal_ends_a_process_whose_event_loop_is_blocked() -> None:
    program = (
        BEGIN
        + """
async def blocked():
    print("blocked", flush=True)
    hang()
with StopSignals() as signals:
    signals.begun(lambda: last_resort.arm(75))
    asyncio.run(blocked())
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "blocked\n"
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert process.returncode == 75
    assert "MainThread in " in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_each_stop_signal_is_told_within_the_block_only(number: int) -> None:
    before = signal.getsignal(number)
    calls: list[str] = []
    with StopSignals() as signals:
        signals.begun(lambda: calls.append("told"))
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert calls == ["told", "told"]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_process_that_has_begun_nothing_ends_cleanly_whatever_swallows_exceptions(number: str) -> None:
    assert ended(
        "import os, signal\n"
        "with StopSignals():\n"
        "    try:\n"
        f"        os.kill(os.getpid(), signal.{number})\n"
        "    except BaseException:\n"
        "        pass\n"
        "hang()"
    ) == (0, "")


class Server:
    """Something whose stop waits for something inside it."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def stop(self) -> None:
        await self._drain()

    async def _drain(self) -> None:
        await asyncio.shield(self.free.wait())


async def test_a_stop_under_way_is_told_by_class_and_innermost_method() -> None:
    server = Server()
    stop = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    (place,) = stops_under_way()
    assert place.startswith("Server._drain (unit/test_ending.py:")
    server.free.set()
    await stop
    assert stops_under_way() == []


def test_the_thread_that_asks_is_not_left() -> None:
    assert not any(left.startswith("MainThread") for left in threads_left())
