"""(a) The client alone: poll, and throw away."""

import uvloop
from aiokafka import AIOKafkaConsumer

from bench.roads.stopwatch import Stopwatch, Task, task


async def poll(work: Task) -> None:
    """Read the topic to its end, in a group like the others."""
    consumer = AIOKafkaConsumer(
        work.topic,
        bootstrap_servers=work.bootstrap,
        group_id=work.group,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 2**20,
    )
    watch = Stopwatch(work.records)
    await consumer.start()
    while True:
        polled = await consumer.getmany(timeout_ms=500, max_records=5_000)
        if polled and watch.saw(sum(map(len, polled.values()))):
            watch.stop()


if __name__ == "__main__":
    uvloop.run(poll(task()))
