"""Publishing what people say about alerts: an acknowledgement or a snooze, on the alerts topic."""

from schemas.alerts import Acknowledgement, alert_key, encode_alert_record
from schemas.topics import ALERTS, partition_of
from streams.commands.one_record import send_record
from streams.kafka.access import KafkaAccess


def publish(access: KafkaAccess, prefix: str, said: Acknowledgement) -> None:
    """Publish it behind the customer's alerts; returns when the broker has it, else raises.

    `BrokerUnreachable` without a broker, `CommandFailed` when it does not take the record.
    """
    key = alert_key(said)
    send_record(
        access,
        ALERTS.full_name(prefix),
        key,
        encode_alert_record(said),
        client="touchline-findings",
        partition_among=lambda partitions: partition_of(key, partitions),
    )
