"""Which rules the workers have in force, as far as can be known without asking a worker.

The newest control record on the interactions topic has the whole set; where retention has deleted it, or this version
of Touchline refuses it as the workers do, the newest one on the changelog of the timelines, which is compacted and has
only what came into force. Where no broker is there, the findings in ClickHouse say which version of a rule made the
latest of them.
"""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.interaction import Micros
from schemas.rule_sets import RULES_KEY
from schemas.topics import INTERACTIONS, TIMELINES
from streams.catalogue.rule_files import RuleProblem
from streams.catalogue.rule_sets import compile_record, told_version
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, BrokerRefused, BrokerUnreachable, broker_admin

PARTITION: Final = 0
"""Every partition has the record."""
FIRST_STRETCH: Final = 2_000
"""Records that are read back from the end at first; each further stretch is four times as long."""
PATIENCE: Final = 15.0
"""Seconds after which a long topic is given up."""

REACHABLE: Final = 5.0
"""Seconds in which a broker must answer at all."""


class InForce(NamedTuple):
    """Rule versions by rule id. `version` is that of the whole set, None where only single rules are known.

    `source` says where it is known from; `refused` what was published last and not accepted, and why.
    """

    version: str | None
    versions: Mapping[str, str]
    source: str
    refused: str | None = None

    def document(self) -> dict[str, Any]:
        """For `--json`, without the single rules."""
        return {"version": self.version, "source": self.source, "refused": self.refused}


def published(access: KafkaAccess, prefix: str, horizon: Micros) -> InForce | None:
    """The rules on the broker; None where no record is found in time. Raises `KafkaError` without a broker."""
    deadline = time.monotonic() + PATIENCE
    refused: str | None = None
    source = ""
    for topic in (INTERACTIONS, TIMELINES):
        name = topic.full_name(prefix)
        value = newest(access, name, RULES_KEY, deadline)
        if value is None:
            continue
        version, source = told_version(value), f"the topic {name}"
        try:
            return InForce(version, compile_record(value, horizon).versions, source, refused)
        except RuleProblem as problem:
            refused = refused or f"version {version}: {problem}"
    return InForce(None, {}, source, refused) if refused else None


def newest(access: KafkaAccess, topic: str, key: bytes, deadline: float) -> bytes | None:
    """The value of the newest record of a key on the topic's first partition, read backwards from its end."""
    consumer = KafkaConsumer(
        **access.for_kafka_python(),
        client_id="touchline-rules",
        api_version=PROTOCOL,
        enable_auto_commit=False,
        request_timeout_ms=10_000,
        auto_offset_reset="earliest",
    )
    try:
        if PARTITION not in (consumer.partitions_for_topic(topic) or ()):
            return None
        where = TopicPartition(topic, PARTITION)
        consumer.assign([where])
        begin, end = consumer.beginning_offsets([where])[where], consumer.end_offsets([where])[where]
        stretch = FIRST_STRETCH
        while end > begin and time.monotonic() < deadline:
            start = max(begin, end - stretch)
            found = _last(consumer, where, start, end, key, deadline)
            if found is not None:
                return found
            end, stretch = start, stretch * 4
        return None
    finally:
        consumer.close(autocommit=False)


def _last(
    consumer: KafkaConsumer, where: TopicPartition, start: int, end: int, key: bytes, deadline: float
) -> bytes | None:
    """The last value of a key in `[start, end)`. A stretch whose end was not reached in time has none."""
    consumer.seek(where, start)
    found: bytes | None = None
    while consumer.position(where) < end:
        if time.monotonic() > deadline:
            return None
        for record in consumer.poll(timeout_ms=500, max_records=5_000).get(where, ()):
            if record.offset >= end:
                break
            if record.key == key:
                found = record.value
    return found


def found_by(client: Any) -> InForce | None:
    """The versions that made each rule's latest finding; None where there is no finding."""
    rows = client.execute("SELECT rule, argMax(rule_version, raised_at) FROM findings GROUP BY rule")
    return InForce(None, dict(rows), "the latest findings in ClickHouse") if rows else None


def broker_or_none(access: KafkaAccess | None, prefix: str, horizon: Micros) -> InForce | None:
    """`published`, and None where no broker answers: what is in force is then not known from there.

    Raises `BrokerRefused` where one answers and does not let us in.
    """
    if access is None:
        return None
    try:
        # An admin connection gives up in time; a consumer would wait for a broker for ever.
        with broker_admin(access, REACHABLE):
            return published(access, prefix, horizon)
    except BrokerRefused:
        raise
    except (BrokerUnreachable, KafkaError, OSError):
        return None
