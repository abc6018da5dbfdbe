"""How far the sources have been read, by event time, at both ends: who reads a source, and who needs all of
them.

A *mark* of a source partition says that nothing of it that occurred earlier is still unread. Marks travel as
`WatermarkReport`; the clock of a journeys partition is the least mark of all source partitions, because
absence may only be claimed when the answer cannot be waiting unread elsewhere.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.interaction import Micros, WatermarkReport

Marks = Mapping[str, Micros]
"""`"topic/partition"` -> mark."""


def merge(marks: Marks, report: Marks) -> dict[str, Micros]:
    """The later mark of each partition: in any order, any number of times, the same result."""
    merged = dict(marks)
    for partition, mark in report.items():
        if mark > merged.get(partition, mark - 1):
            merged[partition] = mark
    return merged


def minimum(marks: Marks, expected: Iterable[str]) -> Micros | None:
    """The least mark of the expected partitions; None until each of them has reported (or none is
    expected).
    """
    least: Micros | None = None
    for partition in expected:
        mark = marks.get(partition)
        if mark is None:
            return None
        least = mark if least is None or mark < least else least
    return least


@dataclass(frozen=True, slots=True)
class PartitionClock:
    """The clock of one journeys partition. `now` is None until every expected source partition has
    reported.
    """

    expected: frozenset[str]
    marks: Marks = field(default_factory=dict)
    now: Micros | None = None

    def after(self, report: WatermarkReport) -> "PartitionClock":
        """The clock after a report; it never goes back, not even when more partitions are expected."""
        marks = merge(self.marks, report.marks)
        least = minimum(marks, self.expected)
        if least is None or (self.now is not None and least < self.now):
            least = self.now
        return PartitionClock(self.expected, marks, least)

    def expecting(self, expected: Iterable[str]) -> "PartitionClock":
        """The clock with another set of source partitions, from where it stands."""
        return PartitionClock(frozenset(expected), self.marks, self.now).after(WatermarkReport({}))


@dataclass(frozen=True, slots=True)
class SourceMarks:
    """The marks of the source partitions that one reader has, `lateness` in microseconds.

    A mark is the greatest `occurred_at` read less the lateness, never later than the wall clock, so a source
    whose clock runs ahead cannot push time; or the wall clock itself once the partition is read to its end.
    It never goes back.
    """

    lateness: Micros
    greatest: Marks = field(default_factory=dict)
    reported: Marks = field(default_factory=dict)

    def observed(self, greatest: Marks) -> "SourceMarks":
        """After reading on: `greatest` is the greatest `occurred_at` of each partition read from."""
        return SourceMarks(self.lateness, merge(self.greatest, greatest), self.reported)

    def reported_at(self, wall: Micros, read_to_end: Collection[str]) -> "SourceMarks":
        """The marks as they stand at wall clock `wall`, in `reported`."""
        marks = {
            partition: min(occurred_at - self.lateness, wall)
            for partition, occurred_at in self.greatest.items()
        }
        marks.update(dict.fromkeys(read_to_end, wall))
        return SourceMarks(self.lateness, self.greatest, merge(self.reported, marks))

    def without(self, partitions: Collection[str]) -> "SourceMarks":
        """After losing partitions to another reader: their marks are that one's to report."""
        return SourceMarks(
            self.lateness,
            {name: mark for name, mark in self.greatest.items() if name not in partitions},
            {name: mark for name, mark in self.reported.items() if name not in partitions},
        )

    def report(self) -> WatermarkReport:
        """The control record to send."""
        return WatermarkReport(dict(self.reported))
