"""One thing and then another: solved and asked again, failed alone and then called."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from schemas.findings import Finding, Severity
from schemas.interaction import Micros
from streams.core.detection.draft import NOTHING, Draft, Seen
from streams.core.detection.line import Line, share
from streams.core.detection.spans import spoken


@dataclass(frozen=True, slots=True)
class Succession:
    """`then`, strictly later than `first` by `within` at most, about the same subject if `same_subject` says so.

    Anchored at `then`: one finding for each, resting on the last `first` before it; where `last_of` is given, the
    last interaction before it that fulfils `last_of` must fulfil `first`. Anchored at `first`: each `first` belongs
    to the earliest `then` behind it, and those that share one are one finding.
    """

    first: int
    then: int
    within: Micros
    severity: Severity
    same_subject: bool
    last_of: int
    anchor: Literal["first", "then"]
    put_right_by: int = 0

    def see(self, line: Line, final: Sequence[Finding]) -> Seen:  # noqa: ARG002 - the shape of a detector
        """What stands. It never waits for anything."""
        needed = self.first | self.then
        if line.union & needed != needed:
            return NOTHING
        drafts = self._by_then(line) if self.anchor == "then" else self._by_first(line)
        return Seen(drafts) if drafts else NOTHING

    def _by_then(self, line: Line) -> list[Draft]:
        selected = self.last_of or self.first
        found: list[Draft] = []
        for then in line.having(self.then):
            before = self._nearest_before(line, then, selected)
            if before is not None and line.marks[before] & self.first:
                found.append(self._draft(line, then, (before,), then, (then,)))
        return found

    def _by_first(self, line: Line) -> list[Draft]:
        belonging: dict[int, list[int]] = {}
        for first in line.having(self.first):
            then = self._nearest_after(line, first)
            if then is not None:
                belonging.setdefault(then, []).append(first)
        found: list[Draft] = []
        for then, firsts in belonging.items():
            found.append(self._draft(line, firsts[0], firsts, then, self._without(line, firsts, then)))
        return found

    def _without(self, line: Line, firsts: Sequence[int], then: int) -> Sequence[int]:
        """The fewest without which none of `firsts` would be followed: `then` and those which another would follow in
        its place, or all of `firsts`, if these are no more.
        """
        followed = [first for first in firsts if self._nearest_after(line, first, but=then) is not None]
        return [*followed, then] if len(followed) + 1 < len(firsts) or not followed else firsts

    def _nearest_before(self, line: Line, then: int, selected: int) -> int | None:
        since = line.at[then] - self.within
        for index in range(bisect_left(line.at, line.at[then]) - 1, -1, -1):
            if line.at[index] < since:
                return None
            if line.marks[index] & selected and self._shared(line, index, then):
                return index
        return None

    def _nearest_after(self, line: Line, first: int, but: int | None = None) -> int | None:
        until = line.at[first] + self.within
        for index in range(bisect_right(line.at, line.at[first]), len(line.at)):
            if line.at[index] > until:
                return None
            if index != but and line.marks[index] & self.then and self._shared(line, first, index):
                return index
        return None

    def _shared(self, line: Line, one: int, other: int) -> bool:
        return not self.same_subject or share(line.keys[one], line.keys[other])

    def _draft(
        self, line: Line, anchor: int, firsts: Sequence[int], then: int, fewest: Sequence[int]
    ) -> Draft:
        raised_at = line.at[then]
        righted = self._put_right(line, then)
        return Draft(
            anchor,
            (*firsts, then) if righted is None else (*firsts, then, righted),
            fewest,
            raised_at,
            raised_at,
            self.severity,
            None if righted is None else line.at[righted],
            line.keys[anchor],
            facts=partial(_facts, line, firsts, then),
        )

    def _put_right(self, line: Line, then: int) -> int | None:
        if line.union & self.put_right_by:
            until = line.at[then] + line.horizon
            for index in range(bisect_right(line.at, line.at[then]), len(line.at)):
                if line.at[index] > until:
                    return None
                if line.marks[index] & self.put_right_by and self._shared(line, then, index):
                    return index
        return None


def _facts(line: Line, firsts: Sequence[int], then: int) -> dict[str, str]:
    shared = [key for key in line.keys[then] if any(key in line.keys[first] for first in firsts)]
    return {
        "span": spoken(line.at[then] - line.at[firsts[0]]),
        "subject": shared[0] if shared else "",
        "count": str(len(firsts)),
        "first_channel": line.interactions[firsts[0]].channel,
        "then_channel": line.interactions[then].channel,
    }
