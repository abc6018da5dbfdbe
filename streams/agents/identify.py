"""identify: raw events become validated interactions, keyed by customer; what does not validate becomes a dead letter.

For one batch of a raw partition, in this order: decode (pure); dead letters delivered; what the events teach of who is
whom, which of them correct others, and which are told for the first time, delivered to the logs of identity, and links
and sightings read back; what somebody else was told of first is superseded; the customers named by what is known then;
the interactions delivered to their topic, behind a control record that says what was known; then, beside the next
batches, rows and the ledger in ClickHouse; only then acknowledged. A crash anywhere repeats the batch, all of which is
idempotent.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas.codec import Rejected
from schemas.corrections import Correction, correction_of
from schemas.erasures import letter_identity
from schemas.interaction import (
    CONTROL_KEY,
    Interaction,
    Micros,
    WatermarkReport,
    encode_interaction,
    encode_watermarks,
    routing_key,
)
from schemas.links import Link, Name, merged_links
from schemas.records import Coordinates, DeadLetter, SinkBatch, offset_ranges
from schemas.sightings import MARK_BYTES, sighting_of
from schemas.timestamps import instant_of_record
from schemas.topics import partition_of
from streams.agents.announcing import Announcer
from streams.agents.knowledge import Knowledge
from streams.agents.lanes import Batch, Rest, insist
from streams.agents.marks import OwnMarks
from streams.agents.refusals import Refusals, dead_letter_of
from streams.agents.sink import Epochs, Persister
from streams.core.identification.moves import customer_of
from streams.core.timeline import coordinates_of
from streams.kafka.delivery import Group, Item, SharedDelivery


class Decode(Protocol):
    """`schemas.codec.Decoder.decode`."""

    def __call__(
        self,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        topic: str,
        partition: int,
        offset: int,
        received_at: Micros | None,
        now: Micros,
    ) -> Interaction | Rejected:
        """The interaction, or why there is none; never raises."""


class Read(NamedTuple):
    """A batch decoded, under one position of the log of links: what is in it, and what it teaches."""

    interactions: list[Interaction]
    letters: list[DeadLetter]
    superseded: list[Coordinates]
    """Interactions that are told again: forgotten ones, and others of whom something else was told in that revision."""
    links: Sequence[Link]
    corrections: list[Correction]
    newest: Micros | None
    links_seen: int
    sightings: dict[bytes, bytes]
    """By mark, what is told of interactions for the first time, as far as this worker knows."""


class Identify:
    """The handler of raw batches. `decode` must name customers by the index of `knowledge`."""

    def __init__(
        self,
        *,
        decode: Decode,
        persister: Persister,
        epochs: Epochs,
        marks: OwnMarks,
        knowledge: Knowledge,
        announcer: Announcer,
        refusals: Refusals,
        interactions: SharedDelivery,
        partitions: int,
    ) -> None:
        self._decode = decode
        self._persister = persister
        self._epochs = epochs
        self._marks = marks
        self._knowledge = knowledge
        self._announcer = announcer
        self._refusals = refusals
        self._interactions = interactions
        self._partitions = partitions

    async def __call__(self, batch: Batch) -> Rest:
        """Handle one batch; what is returned waits for the ledger. Raises `Fenced` when the partition is lost."""
        read = self.read(batch.records)
        await self._refusals.send(batch, read.letters)
        contested = self._knowledge.sightings.contested
        await self._announcer.announce(batch, read.links, read.corrections, read.sightings.values())
        if self._knowledge.sightings.contested != contested:
            self._give_way(read)
        # From here to the last encoded interaction nobody is awaited: one position holds for all of it.
        control = CONTROL_KEY, encode_watermarks(WatermarkReport({}, self._knowledge.links_seen))
        outgoing = self.encode(read)
        rows = SinkBatch(
            dead_letters=tuple(read.letters),
            received=offset_ranges(batch.tp.topic, batch.tp.partition, [r.offset for r in batch.records]),
            superseded=tuple(read.superseded),
            incarnation=self._epochs.incarnation,
        )
        await asyncio.gather(
            *(self._forward(batch, partition, Group(control, items)) for partition, items in outgoing.items())
        )
        batch.check()
        self._marks.read(batch.tp, read.newest)
        return self._persister.persist(rows, batch)

    def read(self, records: Iterable[ConsumerRecord]) -> Read:
        """Decode records, and see what they teach; pure but for the clock."""
        now = time.time_ns() // 1000
        interactions: list[Interaction] = []
        letters: list[DeadLetter] = []
        superseded: list[Coordinates] = []
        sightings: dict[bytes, bytes] = {}
        first = self._knowledge.sightings.first
        is_erased = self._knowledge.is_erased if self._knowledge.erasures_seen else None
        links: dict[tuple[Name, Name], Link] = {}
        corrections: list[Correction] = []
        newest: Micros | None = None
        decode, learn = self._decode, self._knowledge.index.learn
        for record in records:
            received_at = instant_of_record(record.timestamp)
            result = decode(
                record.value, record.headers, record.topic, record.partition, record.offset, received_at, now
            )
            if isinstance(result, Rejected):
                if is_erased is not None and record.value and is_erased(*letter_identity(record.value)):
                    superseded.append(Coordinates(record.topic, record.partition, record.offset))
                else:
                    letters.append(dead_letter_of(record, *result, now))
                continue
            occurred_at = result.occurred_at
            if newest is None or occurred_at > newest:
                newest = occurred_at
            if is_erased is not None and is_erased(result.source, result.id):
                superseded.append(coordinates_of(result))
                continue
            if not result.revision:
                sighting = sighting_of(result)
                mark = sighting[:MARK_BYTES]
                known = sightings.get(mark) or first(sighting)
                if known is None:
                    sightings[mark] = sighting
                elif known != sighting:
                    superseded.append(coordinates_of(result))
                    continue
            interactions.append(result)
            for link in learn(result, result.unnormalised, occurred_at, result.source, result.id):
                pair = link.a, link.b
                learnt = links.get(pair)
                links[pair] = link if learnt is None else merged_links(learnt, link)
            if result.revision and (correction := correction_of(result)) is not None:
                corrections.append(correction)
        return Read(
            interactions,
            letters,
            superseded,
            list(links.values()),
            corrections,
            newest,
            self._knowledge.links_seen,
            sightings,
        )

    def _give_way(self, read: Read) -> None:
        """Leave out what was told of somebody else in the meantime: the log says who was first."""
        first = self._knowledge.sightings.first
        kept: list[Interaction] = []
        for interaction in read.interactions:
            sighting = sighting_of(interaction) if not interaction.revision else None
            if sighting is None or first(sighting) in (None, sighting):
                kept.append(interaction)
            else:
                read.superseded.append(coordinates_of(interaction))
        read.interactions[:] = kept

    def encode(self, read: Read) -> dict[int, list[Item]]:
        """The interactions by partition, encoded, their customers as known now; pure."""
        outgoing: dict[int, list[Item]] = defaultdict(list)
        partitions = self._partitions
        as_named = self._knowledge.links_seen == read.links_seen
        canonical = self._knowledge.index.customer_of
        for interaction in read.interactions:
            if not as_named:
                customer = customer_of(interaction, canonical)
                if customer != interaction.customer:
                    interaction = msgspec.structs.replace(interaction, customer=customer)  # noqa: PLW2901
            key = routing_key(interaction)
            outgoing[partition_of(key, partitions)].append((key, encode_interaction(interaction)))
        return outgoing

    async def _forward(self, batch: Batch, partition: int, group: Group) -> None:
        await insist(lambda: self._interactions.send(partition, group), batch, "interactions topic")
