"""A worker that is killed at one place of the first batch in which interactions change hands.

The place is the first argument: `intent`, `states`, `rows` (right behind that effect, durable as it is) or `telling`
(the states are in the changelog, nothing has been told of findings).
"""

import os
import signal
import sys
from collections.abc import Iterable
from typing import NoReturn

from faust.types import TP

from schemas.records import SinkBatch
from streams import cli
from streams.agents.effects import Effects, Step
from streams.agents.lanes import Batch
from streams.agents.owed import Telling
from streams.agents.partition import PartitionState
from streams.agents.reserved import INTENT_KEY
from streams.agents.sink import Persister
from streams.core.watermarks import PartitionClock
from streams.kafka.delivery import Item

_perform, _persist = Effects.perform, Persister.persist
_write_changelog, _send_alerts = Effects._write_changelog, Effects._send_alerts
_departing: set[tuple[TP, int]] = set()
"""The batches in whose steps somebody loses interactions: partition and last offset."""


def _is_departing(batch: Batch) -> bool:
    return (batch.tp, batch.last_offset) in _departing


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def arm(place: str) -> None:
    """From now on the process dies there."""

    async def perform(
        self: Effects, batch: Batch, partition: PartitionState, clock: PartitionClock, step: Step
    ) -> object:
        if step.departing:
            _departing.add((batch.tp, batch.last_offset))
        return await _perform(self, batch, partition, clock, step)

    async def persist(self: Persister, rows: SinkBatch, batch: Batch) -> None:
        await _persist(self, rows, batch)
        if _is_departing(batch) and place == "rows":
            _die()

    async def write_changelog(self: Effects, batch: Batch, items: Iterable[Item]) -> int | None:
        written = await _write_changelog(self, batch, items)
        if _is_departing(batch):
            has_intent = any(key == INTENT_KEY and value is not None for key, value in items)
            if place == ("intent" if has_intent else "states"):
                _die()
        return written

    async def send_alerts(self: Effects, batch: Batch, partition: PartitionState, telling: Telling) -> None:
        if _is_departing(batch) and place == "telling" and telling.changes:
            _die()
        await _send_alerts(self, batch, partition, telling)

    Effects.perform = perform  # type: ignore[method-assign,assignment]
    Persister.persist = persist  # type: ignore[method-assign]
    Effects._write_changelog = write_changelog  # type: ignore[method-assign]
    Effects._send_alerts = send_alerts  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(cli.run(["worker"]))
