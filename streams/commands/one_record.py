"""Sending one record from a command: delivered when it returns, else an error that says what to do."""

from collections.abc import Callable
from typing import Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.commands.failures import CommandFailed
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, BrokerUnreachable, broker_admin

DELIVERY_SECONDS: Final = 30


def send_record(
    access: KafkaAccess,
    topic: str,
    key: bytes,
    value: bytes,
    *,
    client: str,
    partition_among: Callable[[int], int] | None = None,
) -> None:
    """Send a record and wait until every in-sync replica has it.

    `partition_among` chooses among so many partitions; None leaves it to the client, by the key. Raises
    `BrokerUnreachable` without a broker, `CommandFailed` when the topic is missing or the broker does not take it.
    """
    with broker_admin(access):  # it gives up in time, a producer would wait for a broker for ever
        producer = _producer(access, client)
    try:
        partitions = producer.partitions_for(topic)
        if not partitions:
            raise CommandFailed(f"the topic {topic} does not exist", "run `touchline migrate` first")
        chosen = None if partition_among is None else partition_among(len(partitions))
        producer.send(topic, key=key, value=value, partition=chosen).get(timeout=DELIVERY_SECONDS)
    except KafkaError as error:
        raise CommandFailed(
            f"the broker did not take it: {str(error) or type(error).__name__}",
            "run the same again: it is safe",
        ) from None
    finally:
        producer.close(timeout=DELIVERY_SECONDS)


def _producer(access: KafkaAccess, client: str) -> KafkaProducer:
    try:
        return KafkaProducer(
            **access.for_kafka_python(),
            client_id=client,
            acks="all",
            api_version=PROTOCOL,
            delivery_timeout_ms=DELIVERY_SECONDS * 1000,
            request_timeout_ms=10_000,
        )
    except (KafkaError, OSError) as error:
        raise BrokerUnreachable(f"no Kafka broker answers at {access} ({error})") from None
