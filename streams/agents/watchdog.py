"""Ends a worker that has stopped working without noticing.

Consumers are known to go silent after a broker outage: they rejoin, seek, and fetch nothing more. A process that
ends is started again by its supervisor; one that lives and does nothing is not noticed by anyone.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from faust.types import TP, AppT

from streams.agents.lanes import end_process
from streams.agents.sink import Persister

log = logging.getLogger(__name__)

EXIT_STUCK: Final = 75
"""Exit status of a worker that ended itself (sysexits.h: EX_TEMPFAIL)."""


class Watchdog:
    """Judges progress; `check` is called every few seconds."""

    def __init__(
        self,
        app: AppT,
        persister: Persister,
        patience: timedelta,
        identity_silent: Callable[[], float],
        idle: Callable[[TP], bool],
        topics: Iterable[str],
    ) -> None:
        """`identity_silent`: for how many seconds the reader of the logs of identity has not heard of them. `idle`:
        whether no agent has anything of a partition. Of `topics` every assigned partition must be fetched, whatever
        happens to the others.
        """
        self._identity_silent = identity_silent
        self._idle = idle
        self._app = app
        self._persister = persister
        self._patience = patience.total_seconds()
        self._progress: tuple[object, ...] = ()
        self._since = time.monotonic()
        self._topics = frozenset(topics)
        self._fetches: dict[TP, tuple[object, float]] = {}
        self._astray: dict[TP, tuple[object, float]] = {}

    async def check(self, now: float, acknowledged: int) -> None:
        """End the process when there was work, or no answer from the broker, and no progress for too long."""
        reason = self.complaint(now, acknowledged)
        if reason is not None:
            log.critical("%s for %.0f s: ending this worker", reason, self._patience)
            end_process(EXIT_STUCK)

    def complaint(self, now: float, acknowledged: int) -> str | None:
        """What is wrong, once it has been wrong for longer than the patience; None while all is well."""
        if self._identity_silent() > self._patience:
            return "the logs of identity are not read"
        reason = self._stuck()
        progress = (acknowledged, self._app.consumer_generation_id, self._app.in_recovery, reason)
        if reason is None or self._persister.blocked or progress != self._progress:
            self._progress, self._since = progress, now
            reason = self._unfetched(now) if reason is None else None
            return reason or self._lost(now)
        return reason if now - self._since > self._patience else None

    def _unfetched(self, now: float) -> str | None:
        """A partition of which all is done that was known, and that is not asked for more, though others are.

        To be asked while nothing lags: what lags may wait for its turn for longer.
        """
        app, consumer = self._app, self._app.consumer
        fetched: dict[TP, object] = {}
        if not (app.in_recovery or self._persister.blocked):
            fetched = {
                tp: (app.consumer_generation_id, consumer.fetched_at(tp))
                for tp in consumer.assignment()
                if tp.topic in self._topics and not consumer.is_held_back(tp)
            }
        self._fetches = _since(fetched, self._fetches, now)
        tp = self._overdue(self._fetches, now)
        return tp and f"{tp.topic}/{tp.partition} is not fetched"

    def _lost(self, now: float) -> str | None:
        """A partition of which something was delivered that no agent has: it would be read no further."""
        app, consumer = self._app, self._app.consumer
        delivered: dict[TP, object] = {}
        if not app.in_recovery:
            delivered = {
                tp: (app.consumer_generation_id, last)
                for tp in consumer.assignment()
                if (last := consumer.under_way(tp)) is not None and self._idle(tp)
            }
        self._astray = _since(delivered, self._astray, now)
        tp = self._overdue(self._astray, now)
        return tp and f"what was delivered of {tp.topic}/{tp.partition} is with nobody"

    def _overdue(self, since: dict[TP, tuple[object, float]], now: float) -> TP | None:
        return next((tp for tp, (_, begun) in since.items() if now - begun > self._patience), None)

    def _stuck(self) -> str | None:
        consumer = self._app.consumer
        if self._app.rebalancing:
            return "a rebalance does not end"
        if self._app.in_recovery:
            return None
        assigned = consumer.assignment()
        if not assigned:
            return None
        fetched = consumer.fetched_at()
        if fetched is None or time.time() * 1000 - fetched > self._patience * 500:
            return "the broker does not answer fetches"
        if any(consumer.lag(tp) for tp in assigned if not consumer._is_changelog_tp(tp)):
            return "records are waiting and none is acknowledged"
        return None


def _since(
    seen: dict[TP, object], before: dict[TP, tuple[object, float]], now: float
) -> dict[TP, tuple[object, float]]:
    """What is seen now, each with when it began to be as it is."""
    return {
        tp: known if (known := before.get(tp)) is not None and known[0] == state else (state, now)
        for tp, state in seen.items()
    }
