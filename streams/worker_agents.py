"""The agents of one worker, and what they share."""

from functools import lru_cache, partial
from typing import NamedTuple

from faust.types import TP

from sinks.notifications.posting import Poster
from streams.agents.announcing import Announcer
from streams.agents.effects import Effects
from streams.agents.facts import Facts
from streams.agents.identify import Identify
from streams.agents.journeys import Journeys
from streams.agents.knowledge import Knowledge
from streams.agents.marks import OwnMarks, source_name
from streams.agents.notify import Notify
from streams.agents.refusals import Refusals
from streams.agents.sink import Epochs, Persister
from streams.catalogue.rule_sets import compile_record
from streams.core.detection.customer import Detection
from streams.destinations import alert_policy, build_destinations
from streams.kafka.delivery import SharedDelivery
from streams.policies import build_decoder, build_fact_decoder, journey_policy, light_policy, micros
from streams.settings import Settings
from streams.wiring import Wiring


class Shared(NamedTuple):
    """What several agents hold on to."""

    persister: Persister
    epochs: Epochs
    knowledge: Knowledge
    marks: OwnMarks
    announcer: Announcer
    refusals: Refusals
    interactions: SharedDelivery


def build_shared(
    settings: Settings, wiring: Wiring, persister: Persister, epochs: Epochs, knowledge: Knowledge
) -> Shared:
    """What several agents hold on to, once for each worker."""
    names, producer = wiring.names, wiring.producer
    return Shared(
        persister=persister,
        epochs=epochs,
        knowledge=knowledge,
        marks=OwnMarks(list(names.sources), settings.time.lateness),
        announcer=Announcer(
            producer,
            knowledge,
            links_topic=names.links,
            corrections_topic=names.corrections,
            sightings_topic=names.sightings,
        ),
        refusals=Refusals(producer, names.dead_letters, wiring.partitions),
        interactions=SharedDelivery(producer, names.interactions),
    )


def build_identify(settings: Settings, wiring: Wiring, shared: Shared) -> Identify:
    """From raw topics to interactions."""
    return Identify(
        decode=build_decoder(settings, shared.knowledge.index.customer_of).decode,
        persister=shared.persister,
        epochs=shared.epochs,
        marks=shared.marks,
        knowledge=shared.knowledge,
        announcer=shared.announcer,
        refusals=shared.refusals,
        interactions=shared.interactions,
        partitions=wiring.partitions,
    )


def build_facts(settings: Settings, shared: Shared) -> Facts:
    """From facts about who is whom to links."""
    return Facts(
        decoder=build_fact_decoder(settings),
        persister=shared.persister,
        epochs=shared.epochs,
        marks=shared.marks,
        knowledge=shared.knowledge,
        announcer=shared.announcer,
        refusals=shared.refusals,
    )


def build_journeys(settings: Settings, wiring: Wiring, shared: Shared, id_key: bytes) -> Journeys:
    """From interactions to journeys, findings, lights and alerts."""
    names, partitions = wiring.names, wiring.partitions
    light, horizon = light_policy(settings), micros(settings.journeys.horizon)

    @lru_cache(maxsize=2)  # asked for each step; another set comes once in a while
    def detection(rules: bytes) -> Detection:
        return Detection(compile_record(rules, horizon), light, id_key)

    effects = Effects(
        producer=wiring.producer,
        persister=shared.persister,
        epochs=shared.epochs,
        changelog=lambda: names.timelines,
        changelog_written=partial(wiring.changelog_written, names.timelines),
        interactions_topic=names.interactions,
        interactions=shared.interactions,
        refusals=shared.refusals,
        alerts_topic=names.alerts,
        detection=detection,
        fading=light.fading,
    )
    return Journeys(
        effects=effects,
        policy=journey_policy(settings, id_key),
        timelines=wiring.table("timelines", names.timelines),
        sources=[source_name(TP(name, number)) for name in names.sources for number in range(partitions)],
        detection=detection,
        partitions=partitions,
        knowledge=shared.knowledge,
    )


def build_notify(settings: Settings, wiring: Wiring, shared: Shared, poster: Poster) -> Notify:
    """From alerts to whoever is to be told. Raises `SettingsError` when a destination is not set up."""
    names = wiring.names
    return Notify(
        app=wiring.app,
        policy=alert_policy(settings.alerts, wiring.partitions),
        destinations=build_destinations(settings.alerts, settings.alert_secrets, poster),
        books=wiring.table("alert_books", names.alert_books),
        producer=wiring.producer,
        store=shared.persister.persist,
        erasures=shared.knowledge,
        topic=names.alerts,
        changelog=names.alert_books,
        changelog_written=partial(wiring.changelog_written, names.alert_books),
        refusals=shared.refusals,
    )
