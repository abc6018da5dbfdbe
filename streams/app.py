"""All wiring, nothing at import time: `build_app(settings, ...)` gives the Faust app of one worker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import faust
from aiokafka import AIOKafkaProducer
from faust.types import TP, EventT, StreamT

from schemas.codec import Decoder
from schemas.identity import FactDecoder
from schemas.topics import (
    ALERT_BOOKS,
    ALERTS,
    CORRECTIONS,
    DEAD_LETTERS,
    ERASURES,
    IDENTITY,
    INTERACTIONS,
    LINKS,
    MAX_RECORD_BYTES,
    RAW,
    SIGHTINGS,
    TIMELINES,
)
from sinks.notifications.posting import Poster
from streams.agents.announcing import Announcer
from streams.agents.effects import Effects
from streams.agents.facts import Facts
from streams.agents.identify import Identify
from streams.agents.journeys import Journeys
from streams.agents.knowledge import Knowledge, log_consumer
from streams.agents.lanes import EXIT_BUG, Lanes, end_process
from streams.agents.marks import OwnMarks, publish_marks, source_name
from streams.agents.notify import Notify
from streams.agents.owed import OWED_KEYS
from streams.agents.refusals import Refusals
from streams.agents.rules import RulesPublisher
from streams.agents.sink import Epochs, Persister, Sink
from streams.agents.watchdog import Watchdog
from streams.core.detection.customer import Detection
from streams.core.detection.light import LightPolicy
from streams.core.identification.known_erasures import Hashes
from streams.core.identification.moves import CustomerOf
from streams.core.identity import customer_of
from streams.core.policy import JourneyPolicy
from streams.destinations import alert_policy, build_destinations
from streams.identity_policy import identity_policy
from streams.kafka.access import KafkaAccess
from streams.kafka.delivery import SharedDelivery
from streams.kafka.store import State, TimelineStore
from streams.kafka.transport import Transport
from streams.rule_files import load_rules
from streams.rule_sets import compile_record, rules_folder
from streams.settings import Settings

log = logging.getLogger(__name__)

STOP_PATIENCE: Final = 5.0
"""Seconds that a worker which is told to stop waits for its batches: what is not done by then is read again."""


class _TimelinesTable(faust.Table):  # type: ignore[misc]
    """The timelines: a Faust table over `TimelineStore`, its changelog written in batches by the journeys agent."""

    def _new_store(self) -> TimelineStore:
        return TimelineStore("memory://", self.app, self, table_name=self.name)


def micros(duration: timedelta) -> int:
    """A duration in microseconds."""
    return duration // timedelta(microseconds=1)


def journey_policy(settings: Settings, id_key: bytes = b"") -> JourneyPolicy:
    """The core's policy as the settings say; `id_key` is that of the database (`sinks.clickhouse.hash_key`)."""
    return JourneyPolicy(
        gap=micros(settings.journeys.gap),
        horizon=micros(settings.journeys.horizon),
        max_interactions=settings.journeys.max_interactions,
        id_key=id_key,
    )


def light_policy(settings: Settings) -> LightPolicy:
    """How lights are lit, as the settings say."""
    part = settings.rules
    return LightPolicy(
        half_life=micros(part.half_life), yellow=part.yellow, red=part.red, hysteresis=part.hysteresis
    )


def detection_of(settings: Settings, id_key: bytes = b"") -> Detection:
    """The rules of the configured folder, compiled here: for runs without Kafka. Raises `RuleProblem`."""
    return Detection(
        load_rules(rules_folder(settings.rules.directory), micros(settings.journeys.horizon)),
        light_policy(settings),
        id_key,
    )


def build_decoder(settings: Settings, name: CustomerOf = customer_of) -> Decoder:
    """The edge's decoder as the settings say. `name` says whose an interaction is; as it is, without any links."""
    return Decoder(
        region=settings.identity.region, future_micros=micros(settings.time.future), customer_of=name
    )


def build_fact_decoder(settings: Settings) -> FactDecoder:
    """The decoder of facts about who is whom."""
    return FactDecoder(settings.identity.region, micros(settings.time.future))


def build_knowledge(settings: Settings, access: KafkaAccess, hashes: Hashes) -> Knowledge:
    """What one worker knows of who is whom; nothing connects before it is started. `hashes` names what is forgotten."""
    prefix = settings.kafka.prefix
    retention = CORRECTIONS.retention
    assert retention is not None
    return Knowledge(
        LINKS.full_name(prefix),
        CORRECTIONS.full_name(prefix),
        ERASURES.full_name(prefix),
        SIGHTINGS.full_name(prefix),
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
    prefix, partitions = settings.kafka.prefix, settings.kafka.partitions
    raw_topics = [topic.full_name(prefix) for topic in RAW.values()]
    identity_topic = IDENTITY.full_name(prefix)
    source_topics = [*raw_topics, identity_topic]
    interactions_topic = INTERACTIONS.full_name(prefix)
    timelines_topic = TIMELINES.full_name(prefix)
    alerts_topic, books_topic = ALERTS.full_name(prefix), ALERT_BOOKS.full_name(prefix)

    def topic(*names: str) -> faust.TopicT:
        return app.topic(*names, key_serializer="raw", value_serializer="raw", partitions=partitions)

    def table(name: str, changelog: str) -> faust.Table:
        return app.Table(
            name,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=app.topic(
                changelog,
                key_serializer="raw",
                value_serializer="raw",
                partitions=partitions,
                acks=False,
                internal=True,
                compacting=True,
                maxsize=131_072,
                allow_empty=True,
            ),
        )

    timelines_table = table("timelines", timelines_topic)
    books_table = table("alert_books", books_topic)

    def producer() -> AIOKafkaProducer:
        return app.producer._ensure_producer()

    def state_of(table: faust.Table, partition: int) -> State:
        store: TimelineStore = table.data
        return store.partition(partition)

    def changelog_written(topic: str, partition: int, offset: int) -> None:
        # What this worker wrote it need not read again at the next rebalance.
        offsets = app.tables.recovery.active_offsets
        tp = TP(topic, partition)
        if tp in offsets:
            offsets[tp] = max(offsets[tp] or 0, offset)

    light, horizon = light_policy(settings), micros(settings.journeys.horizon)

    @lru_cache(maxsize=2)  # asked for each step; another set comes once in a while
    def detection(rules: bytes) -> Detection:
        return Detection(compile_record(rules, horizon), light, id_key)

    persister = Persister(sink)
    marks = OwnMarks(source_topics, settings.time.lateness)
    announcer = Announcer(
        producer,
        knowledge,
        links_topic=LINKS.full_name(prefix),
        corrections_topic=CORRECTIONS.full_name(prefix),
        sightings_topic=SIGHTINGS.full_name(prefix),
    )
    refusals = Refusals(producer, DEAD_LETTERS.full_name(prefix), partitions)
    interactions = SharedDelivery(producer, interactions_topic)
    identify = Identify(
        decode=build_decoder(settings, knowledge.index.customer_of).decode,
        persister=persister,
        epochs=epochs,
        marks=marks,
        knowledge=knowledge,
        announcer=announcer,
        refusals=refusals,
        interactions=interactions,
        partitions=partitions,
    )
    facts = Facts(
        decoder=build_fact_decoder(settings),
        persister=persister,
        epochs=epochs,
        marks=marks,
        knowledge=knowledge,
        announcer=announcer,
        refusals=refusals,
    )
    effects = Effects(
        producer=producer,
        persister=persister,
        epochs=epochs,
        changelog=lambda: timelines_topic,
        changelog_written=partial(changelog_written, timelines_topic),
        interactions_topic=interactions_topic,
        interactions=interactions,
        refusals=refusals,
        alerts_topic=alerts_topic,
        detection=detection,
        fading=light.fading,
    )
    journeys = Journeys(
        effects=effects,
        policy=journey_policy(settings, id_key),
        timelines=partial(state_of, timelines_table),
        sources=[source_name(TP(name, number)) for name in source_topics for number in range(partitions)],
        detection=detection,
        partitions=partitions,
        knowledge=knowledge,
    )
    poster = Poster(settings.alerts.timeout.total_seconds())
    notify = Notify(
        app=app,
        policy=alert_policy(settings.alerts, partitions),
        destinations=build_destinations(settings.alerts, settings.alert_secrets, poster),
        books=partial(state_of, books_table),
        producer=producer,
        store=persister.persist,
        erasures=knowledge,
        topic=alerts_topic,
        changelog=books_topic,
        changelog_written=partial(changelog_written, books_topic),
        refusals=refusals,
    )
    size = settings.worker.batch_records
    lanes = {
        "identify": Lanes(app, identify, max_records=size, at_once=len(OWED_KEYS)),
        "facts": Lanes(app, facts, max_records=size),
        "journeys": Lanes(app, journeys, max_records=size, at_once=len(OWED_KEYS)),
        "notify": Lanes(app, notify, max_records=size, at_once=len(OWED_KEYS)),
    }
    _agent(app, "identify", topic(*raw_topics), lanes["identify"])
    _agent(app, "facts", topic(identity_topic), lanes["facts"])
    _agent(app, "journeys", topic(interactions_topic), lanes["journeys"])
    _agent(app, "notify", topic(alerts_topic), lanes["notify"])
    watchdog = Watchdog(
        app,
        persister,
        settings.worker.watchdog,
        knowledge.standing_still,
        lambda tp: all(lane.idle(tp) for lane in lanes.values()),
        [*source_topics, interactions_topic],
    )

    @app.timer(1.0, name="links")  # type: ignore[untyped-decorator]
    async def complete_links() -> None:
        if not (app.rebalancing or app.in_recovery):
            await announcer.complete()

    @app.timer(settings.time.tick.total_seconds(), name="watermarks")  # type: ignore[untyped-decorator]
    async def publish_watermarks() -> None:
        if app.rebalancing or app.in_recovery:
            return
        report = marks.report(
            app.consumer.assignment(), await app.consumer.read_ends(), time.time_ns() // 1000
        )
        await publish_marks(producer(), interactions_topic, range(partitions), report)

    rules = RulesPublisher(
        rules_folder(settings.rules.directory), horizon, producer, interactions_topic, range(partitions)
    )

    @app.timer(1.0, name="rules")  # type: ignore[untyped-decorator]
    async def look_at_rules() -> None:
        if app.rebalancing or app.in_recovery:
            return
        await rules.look(TP(raw_topics[0], 0) in app.consumer.assignment())

    @app.timer(1.0, name="notify")  # type: ignore[untyped-decorator]
    async def tick_notify() -> None:
        if not (app.rebalancing or app.in_recovery):
            await notify.tick()

    @app.timer(5.0, name="watchdog")  # type: ignore[untyped-decorator]
    async def watch() -> None:
        await watchdog.check(time.monotonic(), sum(lane.acknowledged for lane in lanes.values()))

    @app.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def close_sink(*_: Any, **__: Any) -> None:
        await asyncio.gather(*(lane.close(STOP_PATIENCE) for lane in lanes.values()))
        await notify.close()
        await poster.close()
        await knowledge.close()
        await sink.close()

    return app


def _agent(app: faust.App, name: str, channel: faust.TopicT, lanes: Lanes) -> None:
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
    app.agent(channel, name=name)(agent)
