"""One child process: started so that it cannot outlive us, waited for until it is ready, stopped for certain.

A child that its parent leaves behind would hold its port and its data directory against the next start.
So each child

- has a session of its own: Ctrl-C in the terminal reaches only us, and we stop the children in our order;
- asks the kernel to kill it when we die, however we die (Linux: `PR_SET_PDEATHSIG`; elsewhere only a clean
  stop, or an exception that unwinds, ends the children).

The kernel counts the *thread* that forked as the parent, so all children come from one thread that ends only
with the process: a child may be started from any thread.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

from sinks.embedded.errors import ChildError

# A log above this size moves to NAME.1 when the child is next started.
LOG_ROTATION_BYTES = 10 * 2**20

_LAST_LINES = 20
_READY_POLL_SECONDS = 0.02

_Order = tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]

# Runs in the child, then becomes the program: a preexec_fn would run Python in a threaded fork.
_LAUNCHER = """
import ctypes, os, sys
PR_SET_PDEATHSIG = 1
parent, death_signal, *command = sys.argv[1:]
if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0):
    sys.exit("prctl(PR_SET_PDEATHSIG) failed")
if os.getppid() != int(parent):
    sys.exit("the parent died first")
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"cannot run {command[0]}: {error.strerror}")
"""


class Child:
    """A program under our care. `start` and `stop` may be called again and again, each in turn.

    `ready` is asked again and again after the start and answers None until the child serves; what it answers
    then is kept in `announced`. Output of the child, standard and error, is appended to `log_file`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log_file: Path,
        *,
        ready: Callable[[Child], Mapping[str, Any] | None] = lambda _child: {},
        ready_timeout: float = 30.0,
        stop_timeout: float = 10.0,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Describe a child; nothing is started yet.

        `environment` is added to ours. The timeouts are in seconds. `death_signal` is what the kernel sends
        the child when we die.
        """
        self.name = name
        self.log_file = log_file
        self.announced: Mapping[str, Any] = {}
        self._command = [str(part) for part in command]
        self._ready = ready
        self._ready_timeout = ready_timeout
        self._stop_timeout = stop_timeout
        self._environment = environment
        self._directory = directory
        self._death_signal = death_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0
        self._told_to_end = False

    @property
    def pid(self) -> int:
        """The pid of the child started last. Raises `RuntimeError` before the first start."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs or before its first start, else its status, or minus the signal's number."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Child:
        """Start the child, wait until it is ready and return self.

        Raises `ChildError` when it dies first or is not ready in time; then, or interrupted, it is stopped.
        """
        self.launch()
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Start the child without waiting for it. Raises `RuntimeError` when it runs already."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already, as process {self.pid}")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_ROTATION_BYTES:
            self.log_file.replace(self.log_file.with_name(self.log_file.name + ".1"))
        self.announced = {}
        with self.log_file.open("ab") as log:
            self._log_begin = log.tell()
            self._process = _spawn(lambda: self._popen(log))
            self._told_to_end = False

    def terminate(self) -> None:
        """Ask the child to end (SIGTERM) and return at once; `stop` does the waiting.

        It is told once, however often it is asked: a second signal may find nothing any more that catches it.
        """
        if self._process is not None and not self._told_to_end:
            self._told_to_end = True
            self._process.terminate()

    def stop(self) -> int | None:
        """End the child and what is left of its process group; return its exit status (None: never started).

        SIGTERM first, SIGKILL after `stop_timeout` seconds.
        """
        if self._process is None:
            return None
        self.terminate()
        try:
            self._process.wait(self._stop_timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._kill_group()
        return self._process.returncode

    def output(self) -> str:
        """What the child has written since its last start."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(self._log_begin)
            return log.read().decode(errors="replace")

    def account(self) -> str:
        """Say in one line how the child ended, and in the following ones what it wrote last."""
        status = self.exit_status
        if status is None:
            how = "is running"
        elif status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        lines = self.output().splitlines()[-_LAST_LINES:]
        said = "".join(f"\n    {line}" for line in lines) if lines else "\n    (nothing)"
        return f"{self.name} {how}; last lines of {self.log_file}:{said}"

    def _popen(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._launch_command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=self._directory,
            env=None if self._environment is None else {**os.environ, **self._environment},
        )

    def _launch_command(self) -> list[str]:
        if sys.platform != "linux":
            return self._command
        guard = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(int(self._death_signal))]
        return guard + self._command

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self._ready_timeout
        while True:
            announced = self._ready(self)
            # Asked after `ready`: had the child died, another server may have answered on its port.
            if not self.running:
                raise ChildError(f"could not start {self.name}: {self.account()}")
            if announced is not None:
                self.announced = announced
                return
            if time.monotonic() > deadline:
                late = f"{self.name} was not ready within {self._ready_timeout:g} s"
                raise ChildError(f"{late}: {self.account()}")
            time.sleep(_READY_POLL_SECONDS)

    def _kill_group(self) -> None:
        # Grandchildren that outlive our child keep the group's id, which is its pid, from being reused.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def ready_line(child: Child) -> Mapping[str, Any] | None:
    """A `ready` for programs that print one line of JSON with `"ready": true`: answers that object."""
    for line in child.output().splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if said.get("ready") is True:
                return dict(said)
    return None


def ready_when(check: Callable[[], bool]) -> Callable[[Child], Mapping[str, Any] | None]:
    """A `ready` for programs that say nothing: `check` asks the server itself and must not raise."""
    return lambda _child: {} if check() else None


def _spawn(call: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    future: Future[subprocess.Popen[bytes]] = Future()
    _spawner(os.getpid()).put((call, future))
    return future.result()


@functools.cache
def _spawner(_pid: int) -> queue.SimpleQueue[_Order]:
    """The queue of this process's spawning thread; a fork inherits no threads, so it gets one of its own."""
    orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            call, future = orders.get()
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    # A daemon: it must last until the process is gone, past the clean-up that joins other threads.
    threading.Thread(target=serve, name="child-spawner", daemon=True).start()
    return orders
