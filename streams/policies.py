"""The core's policies and the decoders of the edge, as the settings say."""

from datetime import timedelta

from schemas.codec import Decoder
from schemas.identity import FactDecoder
from streams.catalogue.rule_files import load_rules
from streams.catalogue.rule_sets import rules_folder
from streams.core.detection.customer import Detection
from streams.core.detection.light import LightPolicy
from streams.core.identification.moves import CustomerOf
from streams.core.identity import customer_of
from streams.core.policy import JourneyPolicy
from streams.settings import Settings


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
