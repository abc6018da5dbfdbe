"""(b) Faust as its documentation has it: an agent, a Table, one event at a time."""

import asyncio

import faust
import uvloop
from faust.types import StreamT

from bench.roads.stopwatch import Stopwatch, Task, task

PARTITIONS = 8


class Event(faust.Record, serializer="json"):  # type: ignore[misc, call-arg]
    """The record that is counted."""

    customer: str
    id: str
    text: str


def build(work: Task) -> faust.App:
    """The app; its changelog topic is made beforehand."""
    app = faust.App(
        work.group,
        broker=f"kafka://{work.bootstrap}",
        store="memory://",
        datadir=work.directory,
        loop=asyncio.get_event_loop(),
        autodiscover=False,
        web_enabled=False,
        topic_partitions=PARTITIONS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_commit_interval=1.0,
        broker_max_poll_records=5_000,
        consumer_auto_offset_reset="earliest",
    )
    counts = app.Table("counts", default=int, partitions=PARTITIONS)
    watch = Stopwatch(work.records)

    @app.agent(app.topic(work.topic, value_type=Event, partitions=PARTITIONS))  # type: ignore[untyped-decorator]
    async def count(stream: StreamT[Event]) -> None:
        async for event in stream:
            if watch.saw(1):
                watch.stop()
            counts[event.customer] += 1

    return app


async def run(work: Task) -> None:
    """Start and wait; the agent ends the process."""
    app = build(work)
    app.finalize()
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(task()))
