"""A worker that acknowledges before ClickHouse has the rows: the control, so that the tests are known to see it."""

import asyncio
import sys

from schemas.records import SinkBatch
from streams import cli
from streams.agents.lanes import Batch
from streams.agents.sink import Persister

_persist = Persister.persist
_writing: set["asyncio.Task[None]"] = set()


async def _eager(self: Persister, rows: SinkBatch, batch: Batch) -> None:
    task = asyncio.create_task(_persist(self, rows, batch))
    _writing.add(task)
    task.add_done_callback(_writing.discard)


if __name__ == "__main__":
    Persister.persist = _eager  # type: ignore[method-assign]
    sys.exit(cli.run(["worker"]))
