"""Telling every worker what a batch has taught: links, corrections, and which interactions there are."""

import asyncio
import logging
from collections.abc import Callable, Collection

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.corrections import Correction, correction_key, encode_correction
from schemas.links import Record, encode_record, record_key
from schemas.sightings import packed_sightings
from streams.agents.knowledge import Knowledge
from streams.agents.lanes import Batch, insist
from streams.kafka.delivery import Group, SharedDelivery

log = logging.getLogger(__name__)


class Announcer:
    """Writes the logs of identity, but for that of erasures."""

    def __init__(
        self,
        producer: Callable[[], AIOKafkaProducer],
        knowledge: Knowledge,
        *,
        links_topic: str,
        corrections_topic: str,
        sightings_topic: str,
    ) -> None:
        self._knowledge = knowledge
        self._links = SharedDelivery(producer, links_topic)
        self._corrections = SharedDelivery(producer, corrections_topic)
        self._sightings = SharedDelivery(producer, sightings_topic)

    async def announce(
        self,
        batch: Batch,
        records: Collection[Record],
        corrections: Collection[Correction],
        sightings: Collection[bytes] = (),
    ) -> None:
        """Deliver what a batch teaches, and wait until this worker has read the links and sightings itself.

        Raises `Fenced` when the partition is lost on the way; the next owner announces the same again, which changes
        nothing.
        """
        await asyncio.gather(
            self._tell_links(batch, records),
            self._tell_corrections(batch, corrections),
            self._tell_sightings(batch, sightings),
        )

    async def complete(self) -> None:
        """Write once more, whole, what another worker has overwritten with less (`KnownLinks.incomplete`).

        What cannot be written is lost to those who start later: some evidence, not the link.
        """
        items = self._knowledge.known.incomplete()
        if items:
            self._knowledge.known.expect(items)
            try:
                await self._links.send(0, Group(None, items))
            except KafkaError as error:
                log.warning("records of links not completed: %r", error)

    async def _tell_links(self, batch: Batch, records: Collection[Record]) -> None:
        if not records:
            return
        items = [(record_key(record), encode_record(record)) for record in records]
        self._knowledge.known.expect(items)
        last = await insist(lambda: self._links.send(0, Group(None, items)), batch, "topic of links")
        await self._knowledge.wait_for(last + 1)

    async def _tell_corrections(self, batch: Batch, corrections: Collection[Correction]) -> None:
        if not corrections:
            return
        items = [(correction_key(one), encode_correction(one)) for one in corrections]
        await insist(lambda: self._corrections.send(0, Group(None, items)), batch, "topic of corrections")

    async def _tell_sightings(self, batch: Batch, sightings: Collection[bytes]) -> None:
        if not sightings:
            return
        group = Group(None, [(None, value) for value in packed_sightings(sightings)])
        last = await insist(lambda: self._sightings.send(0, group), batch, "topic of sightings")
        await self._knowledge.wait_for_sightings(last + 1)
