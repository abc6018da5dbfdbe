"""All wiring, nothing at import time: `build_app(settings, ...)` gives the Faust app of one worker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import faust
from faust.types import TP, EventT, StreamT

from schemas.topics import CORRECTIONS, MAX_RECORD_BYTES
from sinks.notifications.posting import Poster
from streams.agents.knowledge import Knowledge, log_consumer
from streams.agents.lanes import EXIT_BUG, Lanes, end_process
from streams.agents.marks import publish_marks
from streams.agents.notify import Notify
from streams.agents.owed import OWED_KEYS
from streams.agents.rules import RulesPublisher
from streams.agents.sink import Epochs, Persister, Sink
from streams.agents.watchdog import Watchdog
from streams.catalogue.rule_sets import rules_folder
from streams.core.identification.known_erasures import Hashes
from streams.kafka.access import KafkaAccess
from streams.kafka.store import TimelineStore
from streams.kafka.transport import Transport
from streams.policies import micros
from streams.settings import Settings
from streams.settings.identity import identity_policy
from streams.wiring import TopicNames, Wiring
from streams.worker_agents import (
    Shared,
    build_facts,
    build_identify,
    build_journeys,
    build_notify,
    build_shared,
)

log = logging.getLogger(__name__)

STOP_PATIENCE: Final = 5.0
"""Seconds that a worker which is told to stop waits for its batches: what is not done by then is read again."""


class _TimelinesTable(faust.Table):  # type: ignore[misc]
    """The timelines: a Faust table over `TimelineStore`, its changelog written in batches by the journeys agent."""

    def _new_store(self) -> TimelineStore:
        return TimelineStore("memory://", self.app, self, table_name=self.name)


def build_knowledge(settings: Settings, access: KafkaAccess, hashes: Hashes) -> Knowledge:
    """What one worker knows of who is whom; nothing connects before it is started. `hashes` names what is forgotten."""
    names = TopicNames.under(settings.kafka.prefix)
    retention = CORRECTIONS.retention
    assert retention is not None
    return Knowledge(
        names.links,
        names.corrections,
        names.erasures,
        names.sightings,
        policy=identity_policy(settings.identity),
        kept=micros(settings.journeys.horizon + retention),
        hashes=hashes,
        consumer=partial(log_consumer, access),
    )


def faust_app(settings: Settings, access: KafkaAccess, datadir: Path) -> faust.App:
    """The bare Faust app: configuration only."""
    app = faust.App(
        settings.kafka.group,
        **access.for_faust(),
        store="memory://",
        datadir=str(datadir),
        processing_guarantee="at_least_once",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.kafka.partitions,
        topic_replication_factor=settings.kafka.replication,
        table_standby_replicas=0,
        producer_acks=-1,
        producer_linger=0.005,
        producer_max_batch_size=512 * 1024,
        producer_max_request_size=MAX_RECORD_BYTES,
        consumer_max_fetch_size=4 * 2**20,
        consumer_auto_offset_reset="earliest",
        # Whoever joins while a broker starts may see no topics, and be given no partitions until it looks again.
        consumer_metadata_max_age_ms=10_000,
        broker_max_poll_records=settings.worker.batch_records,
        broker_max_poll_interval=86_400,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.worker.session_timeout.total_seconds(),
        broker_heartbeat_interval=settings.worker.session_timeout.total_seconds() / 6,
        broker_rebalance_timeout=settings.worker.session_timeout.total_seconds(),
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        Table=_TimelinesTable,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    return app


def build_app(
    settings: Settings,
    access: KafkaAccess,
    sink: Sink,
    epochs: Epochs,
    knowledge: Knowledge,
    datadir: Path,
    id_key: bytes = b"",
) -> faust.App:
    """The worker's app: agents `identify`, `facts`, `journeys` and `notify`, their tables, watermarks, the watchdog.

    Nothing connects before the app is started; `knowledge` must be started before it, since no record may be judged by
    less than is known. `sink` and `knowledge` are closed when the app stops. `id_key` is that of the ids in the sink.
    """
    app = faust_app(settings, access, datadir)
    wiring = Wiring(app, settings.kafka.prefix, settings.kafka.partitions)
    names, persister, poster = wiring.names, Persister(sink), Poster(settings.alerts.timeout.total_seconds())
    shared = build_shared(settings, wiring, persister, epochs, knowledge)
    journeys = build_journeys(settings, wiring, shared, id_key)
    notify = build_notify(settings, wiring, shared, poster)
    lanes = partial(Lanes, app, max_records=settings.worker.batch_records)
    owing = partial(lanes, at_once=len(OWED_KEYS))
    running = [
        _run(wiring, "identify", names.raw, owing(build_identify(settings, wiring, shared))),
        _run(wiring, "facts", [names.identity], lanes(build_facts(settings, shared))),
        _run(wiring, "journeys", [names.interactions], owing(journeys)),
        _run(wiring, "notify", [names.alerts], owing(notify)),
    ]
    _keep_links(wiring, shared)
    _keep_watermarks(settings, wiring, shared)
    _keep_rules(settings, wiring)
    _keep_telling(wiring, notify)
    _keep_watch(settings, wiring, shared, running)

    @app.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def close_all(*_: Any, **__: Any) -> None:
        await asyncio.gather(*(lane.close(STOP_PATIENCE) for lane in running))
        await notify.close()
        await poster.close()
        await knowledge.close()
        await sink.close()

    return app


def _keep_links(wiring: Wiring, shared: Shared) -> None:
    """What was learnt of who is whom, and not said to its end, is said every second."""

    @wiring.app.timer(1.0, name="links")  # type: ignore[untyped-decorator]
    async def complete_links() -> None:
        if wiring.is_settled():
            await shared.announcer.complete()


def _keep_watermarks(settings: Settings, wiring: Wiring, shared: Shared) -> None:
    """Every tick this worker's partitions say how far their time has come."""
    app = wiring.app

    @app.timer(settings.time.tick.total_seconds(), name="watermarks")  # type: ignore[untyped-decorator]
    async def publish_watermarks() -> None:
        if not wiring.is_settled():
            return
        report = shared.marks.report(
            app.consumer.assignment(), await app.consumer.read_ends(), time.time_ns() // 1000
        )
        await publish_marks(wiring.producer(), wiring.names.interactions, range(wiring.partitions), report)


def _keep_rules(settings: Settings, wiring: Wiring) -> None:
    """The worker with the first partition of the first raw topic publishes the folder's rules when they change."""
    rules = RulesPublisher(
        rules_folder(settings.rules.directory),
        micros(settings.journeys.horizon),
        wiring.producer,
        wiring.names.interactions,
        range(wiring.partitions),
    )

    @wiring.app.timer(1.0, name="rules")  # type: ignore[untyped-decorator]
    async def look_at_rules() -> None:
        if wiring.is_settled():
            await rules.look(TP(wiring.names.raw[0], 0) in wiring.app.consumer.assignment())


def _keep_telling(wiring: Wiring, notify: Notify) -> None:
    """What is due to be told is told every second."""

    @wiring.app.timer(1.0, name="notify")  # type: ignore[untyped-decorator]
    async def tick_notify() -> None:
        if wiring.is_settled():
            await notify.tick()


def _keep_watch(settings: Settings, wiring: Wiring, shared: Shared, running: Sequence[Lanes]) -> None:
    """A worker in which something stands still ends itself."""
    watchdog = Watchdog(
        wiring.app,
        shared.persister,
        settings.worker.watchdog,
        shared.knowledge.standing_still,
        lambda tp: all(lane.idle(tp) for lane in running),
        [*wiring.names.sources, wiring.names.interactions],
    )

    @wiring.app.timer(5.0, name="watchdog")  # type: ignore[untyped-decorator]
    async def watch() -> None:
        await watchdog.check(time.monotonic(), sum(lane.acknowledged for lane in running))


def _run(wiring: Wiring, name: str, topics: Sequence[str], lanes: Lanes) -> Lanes:
    """Hand the topics' events to the lanes; what nobody foresaw ends the process."""

    async def agent(stream: StreamT) -> None:
        events: AsyncIterator[EventT] = stream.noack().events()
        try:
            await lanes.run(events)
        except asyncio.CancelledError:
            raise
        except BaseException:
            log.critical("unforeseen error in the agent %s", name, exc_info=True)
            end_process(EXIT_BUG)

    agent.__name__ = name
    wiring.app.agent(wiring.topic(*topics), name=name)(agent)
    return lanes
