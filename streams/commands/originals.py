"""What a dead letter was made of, where it holds Touchline's own encoding: the event as it came, from its raw topic.

A record that made the core raise has been decoded before; what it came as is kept by the raw topic alone.
"""

import time
from typing import Final

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from schemas.codec import Decoder
from schemas.dead_letters import DECODED
from schemas.interaction import Interaction, decode_interaction
from streams.commands.rejects import Reject
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, BrokerUnreachable

PATIENCE: Final = 10.0
"""Seconds that one record may take to come."""


def holds_no_original(reject: Reject) -> bool:
    """Whether the letter's value is an encoded interaction, not what was published."""
    return ("content-type", DECODED) in reject.headers


class Originals:
    """Reads single records of the raw topics."""

    def __init__(self, access: KafkaAccess, decoder: Decoder) -> None:
        """Raises `BrokerUnreachable`."""
        self._decoder = decoder
        try:
            self._consumer = KafkaConsumer(
                **access.for_kafka_python(),
                client_id="touchline-resend",
                api_version=PROTOCOL,
                auto_offset_reset="none",
                enable_auto_commit=False,
                max_poll_records=1,
            )
        except (KafkaError, OSError) as error:
            raise BrokerUnreachable(f"no Kafka broker answers at {access} ({error})") from None

    def of(self, reject: Reject) -> Reject | None:
        """The letter with key, value and headers as they were published; None when the broker keeps them no more."""
        assert reject.value is not None
        record = self._record(reject)
        if record is None:
            return None
        headers = tuple((name, value or b"") for name, value in record.headers)
        again = self._decoder.decode(
            record.value, headers, reject.topic, reject.partition, reject.offset, None, time.time_ns() // 1000
        )
        try:
            known = decode_interaction(reject.value)
        except msgspec.MsgspecError:
            return None
        if not isinstance(again, Interaction) or again.key != known.key:
            return None  # the topic was made anew: another event stands there now
        return reject._replace(key=record.key, value=record.value, headers=headers)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _record(self, reject: Reject) -> ConsumerRecord | None:
        partition = TopicPartition(reject.topic, reject.partition)
        self._consumer.assign([partition])
        begin = self._consumer.beginning_offsets([partition])[partition]
        end = self._consumer.end_offsets([partition])[partition]
        if not begin <= reject.offset < end:
            return None
        self._consumer.seek(partition, reject.offset)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for record in self._consumer.poll(timeout_ms=500).get(partition, ()):
                return record if record.offset == reject.offset else None
        return None
