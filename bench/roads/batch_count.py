"""(c) The same count on Touchline's road: its transport, its table store, its changelog, its acknowledgement."""

import asyncio
from collections import Counter
from pathlib import Path

import faust
import msgspec
import uvloop
from aiokafka import AIOKafkaProducer
from faust.types import StreamT

from bench.roads.stopwatch import Stopwatch, Task, task
from streams.agents.lanes import EXIT_BUG, Batch, Lanes, end_process, insist
from streams.app import faust_app
from streams.garbage import collect_rarely
from streams.kafka.access import KafkaAccess
from streams.kafka.delivery import deliver
from streams.kafka.store import State, TimelineStore
from streams.settings import Settings
from streams.settings.kafka import KafkaSettings


class Event(msgspec.Struct, gc=False):
    """The record that is counted."""

    customer: str
    id: str
    text: str


_decode = msgspec.json.Decoder(Event).decode


def build(work: Task) -> faust.App:
    """The app; its changelog topic is made beforehand."""
    settings = Settings(kafka=KafkaSettings(group=work.group))
    app = faust_app(settings, KafkaAccess(work.bootstrap), Path(work.directory))
    changelog = f"{work.group}-counts-changelog"
    partitions = settings.kafka.partitions

    def topic(name: str, **options: bool) -> faust.TopicT:
        return app.topic(name, key_serializer="raw", value_serializer="raw", partitions=partitions, **options)

    table = app.Table(
        "counts",
        partitions=partitions,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=topic(changelog, acks=False, internal=True, compacting=True, allow_empty=True),
    )
    watch = Stopwatch(work.records)

    async def count(batch: Batch) -> None:
        store: TimelineStore = table.data
        state: State = store.partition(batch.tp.partition)
        more = Counter(_decode(record.value).customer.encode() for record in batch.records)
        changes = {key: b"%d" % (int(state.get(key, b"0")) + number) for key, number in more.items()}
        producer: AIOKafkaProducer = app.producer._ensure_producer()
        await insist(
            lambda: deliver(producer, changelog, batch.tp.partition, changes.items()), batch, "changelog"
        )
        batch.check()
        state.update(changes)
        if watch.saw(len(batch.records)):
            watch.stop()

    lanes = Lanes(app, count, max_records=settings.worker.batch_records)

    async def agent(stream: StreamT) -> None:
        try:
            await lanes.run(stream.noack().events())
        except asyncio.CancelledError:
            raise
        except BaseException:
            end_process(EXIT_BUG)

    app.agent(topic(work.topic), name="count")(agent)
    return app


async def run(work: Task) -> None:
    """Start and wait; the last batch ends the process."""
    app = build(work)
    app.finalize()
    await app.start()
    collect_rarely()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(task()))
