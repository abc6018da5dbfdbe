"""What the agents need of a sink, and writing to it for as long as it takes."""

import logging
from typing import Protocol

from schemas.records import SinkBatch
from streams.agents.lanes import Batch, Unavailable, insist

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where rows go. Writing the same batch again must change nothing that shows."""

    async def write(self, batch: SinkBatch) -> None:
        """Return when every row is durable; raise `Unavailable` when the attempt may be repeated as it is."""

    async def close(self) -> None:
        """Let go of connections."""


class Epochs(Protocol):
    """Which life of the topics this is, and what row versions count from."""

    incarnation: int
    version_base: int


class Persister:
    """Writes rows of batches, repeating while the sink is down."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting: set[object] = set()

    @property
    def blocked(self) -> bool:
        """Whether a write has failed and is being repeated: then no progress is no fault of the worker's."""
        return bool(self._waiting)

    async def persist(self, rows: SinkBatch, batch: Batch) -> None:
        """Write, or raise `Fenced` when the partition is lost first."""
        token = object()

        async def attempt() -> None:
            try:
                await self._sink.write(rows)
            except Unavailable:
                self._waiting.add(token)
                raise

        try:
            await insist(attempt, batch, "ClickHouse")
        finally:
            self._waiting.discard(token)
