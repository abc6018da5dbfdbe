"""Publish dead letters again, exactly as they came."""

from collections import deque
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.codec import Decoder
from schemas.topics import RAW
from streams.commands.originals import Originals, holds_no_original
from streams.commands.rejects import Filter, Reject, find_all
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, BrokerUnreachable, broker_admin

IN_FLIGHT: Final = 1_000
DELIVERY_SECONDS: Final = 30


class Resent(NamedTuple):
    """What became of the dead letters that were chosen: chosen = sent + skipped + failed + gone."""

    chosen: int
    sent: int
    skipped: int
    failed: int
    gone: int = 0


def resend_all(
    target: Any, access: KafkaAccess | None, prefix: str, chosen: Filter, decoder: Decoder | None = None
) -> Resent:
    """Publish what `chosen` names from ClickHouse to the raw topics; with `access` None only count.

    A letter goes to the partition it came from when that still exists, so that the order on it is kept. Skipped are
    letters that did not come from a raw topic of this prefix, and those of neither key nor value. One that holds an
    interaction and not what was published is read from its raw topic again, which needs `decoder`; gone are those that
    the broker keeps no more.
    """
    topics = {topic.full_name(prefix) for topic in RAW.values()}
    total = sent = skipped = failed = gone = 0
    producer = None if access is None else _producer(access)
    originals: Originals | None = None
    waiting: deque[Any] = deque()
    try:
        for reject in find_all(target, chosen):
            total += 1
            if reject.topic not in topics or _empty(reject):
                skipped += 1
            elif producer is None:
                sent += 1
            else:
                original: Reject | None = reject
                if holds_no_original(reject):
                    assert access is not None
                    assert decoder is not None
                    originals = originals or Originals(access, decoder)
                    original = originals.of(reject)
                if original is None:
                    gone += 1
                    continue
                waiting.append(_send(producer, original))
                if len(waiting) >= IN_FLIGHT:
                    delivered = _delivered(waiting.popleft())
                    sent, failed = sent + delivered, failed + (not delivered)
        while waiting:
            delivered = _delivered(waiting.popleft())
            sent, failed = sent + delivered, failed + (not delivered)
    finally:
        if producer is not None:
            producer.close(timeout=DELIVERY_SECONDS)
        if originals is not None:
            originals.close()
    return Resent(total, sent, skipped, failed, gone)


def _empty(reject: Reject) -> bool:
    """A record of no key and no value can never validate, and the client refuses to send one."""
    return reject.key is None and reject.value is None


def _producer(access: KafkaAccess) -> KafkaProducer:
    with broker_admin(access):
        pass  # it gives up in time and says why
    try:
        return KafkaProducer(
            **access.for_kafka_python(),
            client_id="touchline-resend",
            acks="all",
            api_version=PROTOCOL,
            delivery_timeout_ms=DELIVERY_SECONDS * 1000,
            request_timeout_ms=10_000,
            linger_ms=20,
        )
    except (KafkaError, OSError) as error:
        raise BrokerUnreachable(f"no Kafka broker answers at {access} ({error})") from None


def _send(producer: KafkaProducer, reject: Reject) -> Any:
    existing = producer.partitions_for(reject.topic) or set()
    try:
        return producer.send(
            reject.topic,
            value=reject.value,
            key=reject.key,
            headers=list(reject.headers),
            partition=reject.partition if reject.partition in existing else None,
        )
    except KafkaError as error:
        return error


def _delivered(future: Any) -> bool:
    if isinstance(future, KafkaError):
        return False
    try:
        future.get(timeout=DELIVERY_SECONDS)
    except KafkaError:
        return False
    return True
