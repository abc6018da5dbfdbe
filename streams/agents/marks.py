"""Watermarks out: how far this worker has read each raw partition, told to every interactions partition."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.interaction import CONTROL_KEY, Micros, WatermarkReport, encode_watermarks
from streams.core.watermarks import SourceMark
from streams.kafka.delivery import deliver

log = logging.getLogger(__name__)


def source_name(tp: TP) -> str:
    """How a source partition is called in a watermark report."""
    return f"{tp.topic}/{tp.partition}"


class SourceMarks:
    """The marks of the raw partitions that this worker owns; they never go backwards while it owns them."""

    def __init__(self, topics: Iterable[str], lateness: timedelta) -> None:
        self._topics = frozenset(topics)
        self._lateness = int(lateness.total_seconds() * 1_000_000)
        self._marks: dict[TP, SourceMark] = {}

    def read(self, tp: TP, newest: Micros | None) -> None:
        """A batch of `tp` has been forwarded whole; `newest` is its greatest `occurred_at`."""
        if newest is not None:
            self._marks[tp] = self._mark(tp).read(newest)

    def report(self, owned: Iterable[TP], ends: Mapping[TP, Micros]) -> WatermarkReport:
        """The marks now. `ends` are the partitions read to their end, with the time as of which that is known."""
        owned = {tp for tp in owned if tp.topic in self._topics}
        for tp in self._marks.keys() - owned:
            del self._marks[tp]
        marks: dict[str, Micros] = {}
        for tp in owned:
            if tp in ends:
                self._marks[tp] = self._mark(tp).at_end(ends[tp])
            mark = self._mark(tp).value
            if mark is not None:
                marks[source_name(tp)] = mark
        return WatermarkReport(marks)

    def _mark(self, tp: TP) -> SourceMark:
        return self._marks.get(tp) or SourceMark(self._lateness)


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
