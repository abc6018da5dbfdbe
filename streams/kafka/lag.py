"""How far a consumer group is behind the end of its topics."""

from collections.abc import Iterable
from typing import NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec

from streams.kafka.admin import Layout
from streams.kafka.groups import asked_of_coordinator


class PartitionLag(NamedTuple):
    """One partition: records up to `end`, of which the group has committed those below `committed`."""

    topic: str
    partition: int
    committed: int | None
    """None while the group has never committed here."""
    begin: int
    end: int

    @property
    def lag(self) -> int:
        """Records that the group has yet to read; all that are kept when it has never committed."""
        return max(0, self.end - max(self.begin, self.committed or 0))


def group_lag(admin: KafkaAdminClient, group: str, topics: Iterable[str]) -> list[PartitionLag]:
    """The lag of `group` on every partition of those `topics` that exist, in the order of topic and
    partition.
    """
    wanted = set(topics)
    partitions = [
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in admin.describe_topics()
        if topic["name"] in wanted
        for partition in topic["partitions"]
    ]
    if not partitions:
        return []
    ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    begins = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    committed = asked_of_coordinator(lambda: admin.list_group_offsets({group: partitions})).get(group, {})
    rows = []
    for partition in sorted(partitions):
        known = committed.get(partition)
        offset = known.offset if known is not None and known.offset >= 0 else None
        rows.append(
            PartitionLag(
                partition.topic, partition.partition, offset, begins[partition].offset, ends[partition].offset
            )
        )
    return rows


def read_topics(layout: Layout) -> tuple[str, ...]:
    """The topics that the workers' group reads: events, facts, and the interactions."""
    from schemas.topics import INTERACTIONS, SOURCES

    return tuple(topic.full_name(layout.prefix) for topic in (*SOURCES, INTERACTIONS))
