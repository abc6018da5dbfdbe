"""One teller a destination: a few attempts side by side, and only what waits for it waits when it is down.

Where things wait is a set of places; what is said is read when its turn comes, so it is always the newest.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from schemas.notices import Outcome, Passing
from streams.agents.lanes import EXIT_BUG, end_process

log = logging.getLogger(__name__)

PARALLEL: Final = 4
"""Attempts at one destination at the same time, while it is well."""


class Place(NamedTuple):
    """Where a notice waits: partition, key of the book, finding."""

    partition: int
    key: bytes
    finding_id: str


class Teller:
    """Attempts for one destination.

    A `Passing` outcome pauses the whole destination, for as long as it asks or with doubled pauses, and puts the
    place at the end; while it is not well, one attempt is made at a time. `tell` gives None when nothing waited.
    """

    def __init__(
        self,
        name: str,
        tell: Callable[[Place], Awaitable[Outcome | None]],
        *,
        first_pause: float = 0.5,
        longest_pause: float = 60.0,
    ) -> None:
        self._name = name
        self._tell = tell
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._queue: asyncio.Queue[Place] = asyncio.Queue()
        self._queued: set[Place] = set()
        self._flying: set[Place] = set()
        self._again: set[Place] = set()
        self._probing = asyncio.Lock()
        self._failures = 0
        self._resume_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def backlog(self) -> int:
        """How many places wait or are being tried."""
        return len(self._queued) + len(self._flying)

    @property
    def failures(self) -> int:
        """Attempts since the destination last took something; 0 while it is well."""
        return self._failures

    def put(self, place: Place) -> None:
        """Something waits there; any number of times is once."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._run(), name=f"teller {self._name}/{n}") for n in range(PARALLEL)
            ]
        if place in self._flying:
            self._again.add(place)
        elif place not in self._queued:
            self._queued.add(place)
            self._queue.put_nowait(place)

    async def close(self) -> None:
        """Stop; what waits stays in the books."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self) -> None:
        try:
            while True:
                place = await self._queue.get()
                self._queued.discard(place)
                self._flying.add(place)
                try:
                    await self._attempt(place)
                finally:
                    self._flying.discard(place)
                if place in self._again:
                    self._again.discard(place)
                    self.put(place)
        except asyncio.CancelledError:
            raise
        except BaseException:
            log.critical("unforeseen error in the teller of %s", self._name, exc_info=True)
            end_process(EXIT_BUG)

    async def _attempt(self, place: Place) -> None:
        if self._failures or self._resume_at > time.monotonic():
            async with self._probing:
                await self._pause()
                outcome = await self._tell(place)
                self._learn(place, outcome)
        else:
            outcome = await self._tell(place)
            self._learn(place, outcome)

    async def _pause(self) -> None:
        while (left := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(left)

    def _learn(self, place: Place, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if not isinstance(outcome, Passing):
            if self._failures:
                log.info("destination %s answers again", self._name)
            self._failures = 0
            return
        pause = min(self._first_pause * 2 ** min(self._failures, 16), self._longest_pause)
        if outcome.retry_after is not None:
            pause = max(outcome.retry_after, self._first_pause)
        self._again.add(place)
        now = time.monotonic()
        if self._resume_at > now and outcome.retry_after is None:
            return  # an attempt beside it has said so already
        self._failures += 1
        self._resume_at = max(self._resume_at, now + pause)
        log.warning("destination %s: next attempt in %.1f s: %s", self._name, pause, outcome.reason)
