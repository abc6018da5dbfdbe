"""facts: what systems and people tell of who is whom joins the log of links.

For one batch of a partition of `touchline.identity`, in this order: decode (pure); dead letters delivered; new facts
delivered to the log of links and read back; rows of the ledger in ClickHouse; only then acknowledged. A fact counts as
stored once its record is in the log, and as superseded where one of its source and id, and of the same or a higher
revision, is there already, or where it was forgotten. A record without a value says that: it is superseded itself.
"""

import time
from collections.abc import Iterable

from aiokafka.structs import ConsumerRecord

from schemas.codec import Rejected
from schemas.identity import FactDecoder
from schemas.interaction import Micros
from schemas.links import Statement
from schemas.records import Coordinates, DeadLetter, SinkBatch, offset_ranges
from streams.agents.announcing import Announcer
from streams.agents.knowledge import Knowledge
from streams.agents.lanes import Batch
from streams.agents.marks import OwnMarks
from streams.agents.refusals import Refusals, dead_letter_of
from streams.agents.sink import Epochs, Persister
from streams.core.identification.told import Telling, newest_tellings


class Facts:
    """The handler of batches of facts."""

    def __init__(
        self,
        *,
        decoder: FactDecoder,
        persister: Persister,
        epochs: Epochs,
        marks: OwnMarks,
        knowledge: Knowledge,
        announcer: Announcer,
        refusals: Refusals,
    ) -> None:
        self._decoder = decoder
        self._persister = persister
        self._epochs = epochs
        self._marks = marks
        self._knowledge = knowledge
        self._announcer = announcer
        self._refusals = refusals

    async def __call__(self, batch: Batch) -> None:
        """Handle one batch; raises `Fenced` when the partition is lost on the way."""
        told, letters, erased = self._read(batch.records)
        new, superseded = newest_tellings(told, self._knowledge.index.statement)
        await self._refusals.send(batch, letters)
        await self._announcer.announce(batch, [one.statement for one in new], ())
        rows = SinkBatch(
            dead_letters=tuple(letters),
            received=offset_ranges(batch.tp.topic, batch.tp.partition, [r.offset for r in batch.records]),
            stored=tuple(one.where for one in new),
            superseded=(*erased, *(one.where for one in superseded)),
            incarnation=self._epochs.incarnation,
        )
        await self._persister.persist(rows, batch)
        batch.check()
        self._marks.read(batch.tp, max((one.statement.occurred_at for one in told), default=None))

    def _read(
        self, records: Iterable[ConsumerRecord]
    ) -> tuple[list[Telling], list[DeadLetter], list[Coordinates]]:
        """What is told, what is refused, and what was forgotten."""
        now: Micros = time.time_ns() // 1000
        told: list[Telling] = []
        letters: list[DeadLetter] = []
        erased: list[Coordinates] = []
        for record in records:
            where = Coordinates(record.topic, record.partition, record.offset)
            if record.value is None:
                erased.append(where)
                continue
            result: Statement | Rejected = self._decoder.decode(record.value, record.headers, now)
            if isinstance(result, Rejected):
                letters.append(dead_letter_of(record, *result, now))
            elif self._knowledge.is_erased_fact(result.source, result.id):
                erased.append(where)
            else:
                told.append(Telling(where, result))
        return told, letters, erased
