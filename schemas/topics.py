"""The only list of topics: names, keys, partitions, retention, cleanup.

Every topic of a deployment has the same partition count, so that co-partitioned assignment holds; four that every
worker reads whole, outside the consumer group, have one (docs/adr/0004-identity.md). Names start with a configurable
prefix (default `touchline.`).
"""

import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from schemas.vocabulary import CHANNELS, Channel

DEFAULT_PREFIX: Final = "touchline."
DEFAULT_PARTITIONS: Final = 8
DEFAULT_HORIZON: Final = timedelta(days=30)

MAX_RECORD_BYTES: Final = 8 * 2**20
"""The largest record on a topic that Touchline itself writes (a timeline's state is the largest)."""


@dataclass(frozen=True)
class Topic:
    """One topic, without the prefix. `key` and `value` say in words what the record carries."""

    name: str
    key: str
    value: str
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"
    retention: timedelta | None = timedelta(days=7)
    beyond_horizon: bool = False
    """Retention counts from the horizon: what a late interaction can still meet must be there."""
    retention_bytes: int | None = None
    """The oldest records go when a partition holds more than this, however young they are; None: whatever it holds."""
    uncompacted: timedelta | None = None
    """For so long after a record compaction removes nothing on its account; None: as soon as the broker likes."""
    sole_partition: bool = False
    """One partition, whatever the deployment: its records have one order."""

    def partitions(self, usual: int) -> int:
        """How many partitions it has where topics usually have so many."""
        return 1 if self.sole_partition else usual

    def full_name(self, prefix: str = DEFAULT_PREFIX) -> str:
        """The name on the broker."""
        return prefix + self.name

    def config(self, horizon: timedelta = DEFAULT_HORIZON) -> dict[str, str]:
        """The broker's topic configuration. `horizon`: how far back a late interaction changes what is known."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(MAX_RECORD_BYTES)}
        if "delete" in self.cleanup and self.retention is not None:
            kept = self.retention + horizon if self.beyond_horizon else self.retention
            config["retention.ms"] = str(int(kept.total_seconds() * 1000))
        if self.retention_bytes is not None:
            config["retention.bytes"] = str(self.retention_bytes)
            config["segment.bytes"] = str(self.retention_bytes // 4)  # the broker drops whole segments
        if self.uncompacted is not None:
            config["min.compaction.lag.ms"] = str(int(self.uncompacted.total_seconds() * 1000))
        return config


RAW: Final[dict[Channel, Topic]] = {
    channel: Topic(channel, key="any", value=f"{channel} event: flat JSON, or CloudEvents 1.0 around it")
    for channel in CHANNELS
}
INTERACTIONS: Final = Topic(
    "interactions", key="the customer", value="a validated interaction, or a watermark control record"
)
DEAD_LETTERS: Final = Topic(
    "dead-letters",
    key="as it came",
    value="the original bytes, headers that say why",
    retention=timedelta(days=30),
)
ALERTS: Final = Topic(
    "alerts", key="the customer", value="an alert (what has become of a finding), or an acknowledgement"
)
TIMELINES: Final = Topic(
    "timelines", key="the customer", value="the timeline's state: changelog of the table", cleanup="compact"
)

ALERT_BOOKS: Final = Topic(
    "alert-books",
    key="the customer",
    value="who was told what of a customer's findings: changelog of the table",
    cleanup="compact",
)

IDENTITY: Final = Topic(
    "identity",
    key="source, U+001F, id",
    value="a fact about who is whom: flat JSON, or CloudEvents 1.0 around it",
    cleanup="compact",
)
LINKS: Final = Topic(
    "links",
    key="the pair of identifiers, or the fact",
    value="a link that was learnt, or what was told; nothing: forgotten",
    cleanup="compact",
    uncompacted=timedelta(days=3),
    sole_partition=True,
)
CORRECTIONS: Final = Topic(
    "corrections",
    key="the interaction's source and id",
    value="that it was told again, and of whom; nothing: forgotten",
    cleanup="compact,delete",
    beyond_horizon=True,
    sole_partition=True,
)
SIGHTINGS: Final = Topic(
    "sightings",
    key="none",
    value="of which interactions a first revision was told, and of whom, as hashes of twelve bytes",
    retention_bytes=64 * 2**20,
    sole_partition=True,
)
ERASURES: Final = Topic(
    "erasures",
    key="the erasure and the part",
    value="hashes of what was forgotten: names of a customer, and interactions",
    cleanup="compact",
    sole_partition=True,
)

ALL: Final[tuple[Topic, ...]] = (
    *RAW.values(),
    IDENTITY,
    INTERACTIONS,
    DEAD_LETTERS,
    ALERTS,
    TIMELINES,
    ALERT_BOOKS,
    LINKS,
    CORRECTIONS,
    SIGHTINGS,
    ERASURES,
)

SOURCES: Final[tuple[Topic, ...]] = (*RAW.values(), IDENTITY)
"""What others write and `identify` reads."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key on the topics that Touchline itself writes.

    CRC-32 modulo the partition count: what librdkafka calls `consistent`. All of Touchline's own records go
    through this one function and name their partition, so no client's default partitioner matters.
    """
    return zlib.crc32(key) % partitions
