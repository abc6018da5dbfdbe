"""Several child processes as one: started in order, watched, stopped in reverse.

A child is either *essential* (a server: when it dies, everything ends) or restarted by a `RestartPolicy`
(a worker).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from sinks.embedded.processes import Child

_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class RestartPolicy:
    """When a worker that ended with a status other than zero comes back. All fields are seconds.

    The delay begins at `first_delay` and doubles with each failure up to `longest_delay`; a run of
    `healthy_after` or longer begins anew. A worker that ends with status zero has finished and stays ended.
    """

    first_delay: float = 0.5
    longest_delay: float = 30.0
    healthy_after: float = 60.0

    def delay(self, failures: int) -> float:
        """Seconds before the restart that follows the `failures`-th failure in a row, counted from 1."""
        return min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 63))


@dataclass
class _Member:
    child: Child
    policy: RestartPolicy | None
    started_at: float
    failures: int = 0
    restart_at: float | None = None
    restarts: int = 0


class Supervisor:
    """The children of one command. As a context manager it stops them all on leaving."""

    def __init__(self, report: Callable[[str], None] = lambda _message: None) -> None:
        """`report` is told of each death and restart of a worker, one message each."""
        self._report = report
        self._members: list[_Member] = []
        self._stop_requested = False

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, child: Child, restart: RestartPolicy | None = None) -> Child:
        """Start `child`, wait until it is ready, and watch it from now on; without `restart` it is essential.

        Raises `ChildError` when it does not start; the children started before stay until `stop`.
        """
        child.start()
        self._members.append(_Member(child, restart, time.monotonic()))
        return child

    def look(self, now: float) -> Child | None:
        """Look at every child once; return an essential one that has ended, else None.

        Workers that have ended are scheduled for a restart; those that are due are launched, not waited for.
        `now` is in seconds of a monotonic clock.
        """
        for member in self._members:
            if member.policy is None:
                if not member.child.running:
                    return member.child
            elif member.restart_at is not None:
                if now >= member.restart_at:
                    self._relaunch(member, now)
            elif member.child.exit_status not in (None, 0):
                self._schedule(member, member.policy, now)
        return None

    def wait(self, timeout: float | None = None) -> Child | None:
        """Watch until an essential child ends (return it), `request_stop` is called or `timeout` passes."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._stop_requested:
            now = time.monotonic()
            if dead := self.look(now):
                return dead
            if deadline is not None and now >= deadline:
                return None
            time.sleep(_LOOK_SECONDS)
        return None

    def request_stop(self) -> None:
        """Make `wait` return soon. Safe in a signal handler: it only sets a flag."""
        self._stop_requested = True

    def restarts(self, child: Child) -> int:
        """How often `child` was restarted."""
        return next(member.restarts for member in self._members if member.child is child)

    def stop(self) -> None:
        """Stop all children in reverse order of their start; neighbouring workers end together."""
        while self._members:
            last = self._members[-1]
            together = [last.child]
            if last.policy is not None:
                workers = itertools.takewhile(lambda other: other.policy is not None, reversed(self._members))
                together = [member.child for member in workers]
            for child in together:
                child.terminate()
            for child in together:
                child.stop()
                self._members.pop()

    def _schedule(self, member: _Member, policy: RestartPolicy, now: float) -> None:
        if now - member.started_at >= policy.healthy_after:
            member.failures = 0
        member.failures += 1
        delay = policy.delay(member.failures)
        member.restart_at = now + delay
        self._report(f"{member.child.account()}\n  restart in {delay:g} s")

    def _relaunch(self, member: _Member, now: float) -> None:
        member.child.launch()
        member.restart_at, member.started_at = None, now
        member.restarts += 1
        self._report(f"{member.child.name} restarted as process {member.child.pid}")
