"""Publishing what people say about alerts: an acknowledgement or a snooze, on the alerts topic."""

from typing import Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.alerts import Acknowledgement, alert_key, encode_alert_record
from schemas.topics import ALERTS, partition_of
from streams.commands.failures import CommandFailed
from streams.kafka.admin import PROTOCOL, BrokerUnreachable, broker_admin

DELIVERY_SECONDS: Final = 30


def publish(bootstrap: str, prefix: str, said: Acknowledgement) -> None:
    """Publish it behind the customer's alerts; returns when the broker has it, else raises.

    `BrokerUnreachable` without a broker, `CommandFailed` when it does not take the record.
    """
    topic = ALERTS.full_name(prefix)
    with broker_admin(bootstrap):  # it gives up in time, a producer would wait for a broker for ever
        producer = _producer(bootstrap)
    try:
        partitions = producer.partitions_for(topic)
        if not partitions:
            raise CommandFailed(f"the topic {topic} does not exist", "run `touchline migrate` first")
        key = alert_key(said)
        producer.send(
            topic,
            key=key,
            value=encode_alert_record(said),
            partition=partition_of(key, len(partitions)),
        ).get(timeout=DELIVERY_SECONDS)
    except KafkaError as error:
        raise CommandFailed(
            f"the broker did not take it: {str(error) or type(error).__name__}",
            "run the same again: it is safe",
        ) from None
    finally:
        producer.close(timeout=DELIVERY_SECONDS)


def _producer(bootstrap: str) -> KafkaProducer:
    try:
        return KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            client_id="touchline-findings",
            acks="all",
            api_version=PROTOCOL,
            delivery_timeout_ms=DELIVERY_SECONDS * 1000,
            request_timeout_ms=10_000,
        )
    except (KafkaError, OSError) as error:
        raise BrokerUnreachable(f"no Kafka broker answers at {bootstrap} ({error})") from None
