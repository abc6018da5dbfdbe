"""The topics on the broker: which are missing, which differ from `schemas.topics`, create the missing ones.

A topic that differs is reported and never altered: more partitions would tear customers from their history,
and a shorter retention deletes data. Both are decisions of the operator.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.topics import ALL, DEFAULT_HORIZON, Topic
from streams.kafka.access import KafkaAccess
from streams.kafka.refusal import Refusal, refusal_of
from streams.kafka.tls import TlsProblem

CONNECT_SECONDS: Final = 10.0

ATTEMPTS: Final = (0.2, 0.3, 0.5)
"""Shares of the time to connect in; after each the broker is asked why it does not let us in."""

PROTOCOL: Final = (2, 3)
"""Kafka's protocol as of 2.3. Every broker from there to 4.x speaks it, and it is the newest whose handshake
the mock cluster of librdkafka answers in a form that kafka-python can read."""


class BrokerUnreachable(Exception):
    """No broker answered at the address. The message names it."""


class BrokerRefused(BrokerUnreachable):
    """A broker is there and does not let us in. The message says why, `what_to_do` which setting to look at."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.what_to_do = refusal.what_to_do


class TopicsNotCreated(Exception):
    """The broker refused to create topics. The message names the topic and the broker's reason."""


@dataclass(frozen=True)
class Layout:
    """What the topics of a deployment have in common, besides their own configuration."""

    prefix: str
    partitions: int
    """Of every topic that does not ask for one alone."""
    replication: int = 1
    horizon: timedelta = DEFAULT_HORIZON

    def topics(self) -> dict[str, Topic]:
        """Every topic by its full name, in the order of `schemas.topics.ALL`."""
        return {topic.full_name(self.prefix): topic for topic in ALL}


@dataclass(frozen=True)
class FoundTopic:
    """A topic as the broker has it; `config` is None where the broker does not tell (librdkafka's mock)."""

    partitions: int
    config: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Difference:
    """One property of one topic that is not as `schemas.topics` says."""

    topic: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class Survey:
    """The topics compared: names that are missing, and what differs on those that exist."""

    existing: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    config_known: bool = True
    """False when the broker does not tell topic configurations: only partitions were compared."""
    created: tuple[str, ...] = field(default=())

    @property
    def partitions_differ(self) -> bool:
        """Whether co-partitioning is broken: no worker may start on such topics."""
        return any(difference.what == "partitions" for difference in self.differences)


def compare(layout: Layout, found: Mapping[str, FoundTopic]) -> Survey:
    """Compare the topics of `layout` with those found. What is not ours to set is not compared."""
    existing, missing, differences = [], [], []
    config_known = True
    for name, topic in layout.topics().items():
        have = found.get(name)
        if have is None:
            missing.append(name)
            continue
        existing.append(name)
        partitions = topic.partitions(layout.partitions)
        if have.partitions != partitions:
            differences.append(Difference(name, "partitions", str(partitions), str(have.partitions)))
        if have.config is None:
            config_known = False
            continue
        for key, value in topic.config(layout.horizon).items():
            actual = have.config.get(key, "unset")
            if _normal(key, actual) != _normal(key, value):
                differences.append(Difference(name, key, value, actual))
    return Survey(tuple(existing), tuple(missing), tuple(differences), config_known)


def _normal(key: str, value: str) -> str:
    """`cleanup.policy` is a set, written in any order."""
    return ",".join(sorted(value.split(","))) if key == "cleanup.policy" else value


@contextmanager
def broker_admin(access: KafkaAccess, seconds: float = CONNECT_SECONDS) -> Iterator[KafkaAdminClient]:
    """An admin connection. Raise `BrokerUnreachable` when none of the brokers answers within `seconds`, and
    `BrokerRefused`, sooner, when one is there that does not let us in.
    """
    admin = _connect(access, seconds)
    try:
        yield admin
    finally:
        admin.close()


class _Admin(KafkaAdminClient):  # type: ignore[misc]
    """The client, which without a broker would leave its thread behind."""

    def __init__(self, **configs: Any) -> None:
        try:
            super().__init__(**configs)
        except BaseException:
            if hasattr(self, "_net"):
                self._closed = False  # set when it has connected; `close` does nothing before
                self.close()
            raise


def _connect(access: KafkaAccess, seconds: float) -> KafkaAdminClient:
    # The client tries for as long as it may, whatever the reason. So it may for a while, then the broker is asked for
    # the reason. One that might pass, as when a broker is being started, counts when it is still there later.
    deadline = time.monotonic() + seconds
    suspected: Refusal | None = None
    reason = ""
    for share in ATTEMPTS:
        left = deadline - time.monotonic()
        try:
            return _Admin(
                **access.for_kafka_python(),
                client_id="touchline-admin",
                api_version=PROTOCOL,
                bootstrap_timeout_ms=int(max(min(seconds * share, left), 0.1) * 1000),
                request_timeout_ms=30_000,
            )
        except TlsProblem as problem:
            raise BrokerRefused(Refusal(str(problem), "mend that file", certain=True)) from None
        except (KafkaError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
        refusal = refusal_of(access)
        if refusal is not None and (refusal.certain or refusal == suspected):
            raise BrokerRefused(refusal)
        suspected = refusal
    raise BrokerUnreachable(f"no Kafka broker answers at {access} ({reason})")


def survey(admin: KafkaAdminClient, layout: Layout) -> Survey:
    """Compare the broker's topics with `layout`; creates and changes nothing."""
    return compare(layout, _found(admin, layout))


def create_missing(admin: KafkaAdminClient, layout: Layout) -> Survey:
    """Create the missing topics, wait until each has leaders, return the survey with `created` filled.

    Two at once are safe: a topic that another has just created counts as existing. Existing topics stay as
    they are.
    """
    before = survey(admin, layout)
    wanted = layout.topics()
    created = tuple(name for name in before.missing if _create(admin, name, wanted[name], layout))
    if before.missing:
        admin.wait_for_topics(list(before.missing), timeout_ms=30_000)
    after = survey(admin, layout)
    return Survey(after.existing, after.missing, after.differences, after.config_known, created)


def _create(admin: KafkaAdminClient, name: str, topic: Topic, layout: Layout) -> bool:
    options = {
        "num_partitions": topic.partitions(layout.partitions),
        "replication_factor": layout.replication,
        "configs": topic.config(layout.horizon),
    }
    try:
        admin.create_topics({name: options}, timeout_ms=30_000)
    except TopicAlreadyExistsError:
        return False
    except KafkaError as error:
        raise TopicsNotCreated(f"the broker did not create {name}: {error}") from None
    return True


def _found(admin: KafkaAdminClient, layout: Layout) -> dict[str, FoundTopic]:
    # All topics are listed, because asking for one by name can create it on a broker that auto-creates.
    wanted = layout.topics()
    partitions = {
        topic["name"]: len(topic["partitions"])
        for topic in admin.describe_topics()
        if topic["name"] in wanted and not topic.get("error_code")
    }
    configs = _configs(admin, list(partitions))
    return {
        name: FoundTopic(count, None if configs is None else configs.get(name, {}))
        for name, count in partitions.items()
    }


def _configs(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]] | None:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        answer: Mapping[str, Any] = admin.describe_configs(resources, config_filter="all")
    except KafkaError:
        return None
    topics: Mapping[str, Any] = answer.get("topic", {})
    return {
        name: {key: str(entry["value"]) for key, entry in entries.items()} for name, entries in topics.items()
    }
