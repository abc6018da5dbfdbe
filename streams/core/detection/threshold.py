"""One interaction that says it all: a mark too low, a wait too long, a rude word."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.findings import Finding, Severity
from schemas.interaction import Micros
from streams.core.detection.draft import NOTHING, Draft, Seen
from streams.core.detection.line import Line


@dataclass(frozen=True, slots=True)
class Threshold:
    """One finding for each interaction that fulfils `where`.

    `levels` are conditions with the severity that they mean, the first that holds counts and one must hold; without
    levels it is `severity`. `worse_after` makes it `worse` when such an interaction lies strictly before it, by
    `worse_within` at most.
    """

    where: int
    severity: Severity
    levels: Sequence[tuple[int, Severity]] = ()
    worse_after: int = 0
    worse_within: Micros = 0
    worse: Severity = "minor"

    def see(self, line: Line, final: Sequence[Finding]) -> Seen:  # noqa: ARG002 - the shape of a detector
        """What stands. It never waits for anything."""
        if not line.union & self.where:
            return NOTHING
        drafts: list[Draft] = []
        for index in line.having(self.where):
            severity = self._severity(line.marks[index])
            if severity is None:
                continue
            earlier = self._earlier(line, index) if self.worse_after else None
            evidence = (index,) if earlier is None else (earlier, index)
            at = line.at[index]
            drafts.append(
                Draft(
                    index, evidence, (index,), at, at, severity if earlier is None else self.worse,
                    subjects=line.keys[index],
                )
            )  # fmt: skip
        return Seen(drafts)

    def _severity(self, mark: int) -> Severity | None:
        if not self.levels:
            return self.severity
        return next((severity for bit, severity in self.levels if mark & bit), None)

    def _earlier(self, line: Line, index: int) -> int | None:
        """The last interaction before one that makes it worse."""
        since = line.at[index] - self.worse_within
        for earlier in range(bisect_left(line.at, line.at[index]) - 1, -1, -1):
            if line.at[earlier] < since:
                return None
            if line.marks[earlier] & self.worse_after:
                return earlier
        return None
