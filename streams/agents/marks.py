"""Watermarks out: how far this worker has read each raw partition, told to every interactions partition."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.interaction import CONTROL_KEY, SECOND, Micros, WatermarkReport, encode_watermarks
from streams.core.watermarks import SourceMarks
from streams.kafka.delivery import deliver

log = logging.getLogger(__name__)

FRESH: Final = 5 * SECOND
"""A broker's answer older than this no longer says that a partition is read to its end."""


def source_name(tp: TP) -> str:
    """How a source partition is called in a watermark report."""
    return f"{tp.topic}/{tp.partition}"


class OwnMarks:
    """The marks of the raw partitions that this worker owns."""

    def __init__(self, topics: Iterable[str], lateness: timedelta) -> None:
        self._topics = frozenset(topics)
        self._marks = SourceMarks(lateness // timedelta(microseconds=1))

    def read(self, tp: TP, newest: Micros | None) -> None:
        """A batch of `tp` has been forwarded whole; `newest` is its greatest `occurred_at`."""
        if newest is not None:
            self._marks = self._marks.observed({source_name(tp): newest})

    def report(self, owned: Iterable[TP], ends: Mapping[TP, Micros], now: Micros) -> WatermarkReport:
        """The marks at `now`. `ends` are partitions read to their end, with the time as of which that is known."""
        names = {source_name(tp) for tp in owned if tp.topic in self._topics}
        known = {
            source_name(tp): at
            for tp, at in ends.items()
            if tp.topic in self._topics and now - at <= FRESH and source_name(tp) in names
        }
        lost = (self._marks.greatest.keys() | self._marks.reported.keys()) - names
        self._marks = self._marks.without(lost).reported_at(min(known.values(), default=now), known.keys())
        return self._marks.report()


async def publish_marks(
    producer: AIOKafkaProducer, topic: str, partitions: Sequence[int], report: WatermarkReport
) -> None:
    """Tell every interactions partition. A report that does not arrive is made good by the next one."""
    if not report.marks:
        return
    value = encode_watermarks(report)
    try:
        await asyncio.gather(*(deliver(producer, topic, p, [(CONTROL_KEY, value)]) for p in partitions))
    except KafkaError as error:
        log.warning("watermarks not published: %r", error)
