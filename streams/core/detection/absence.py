"""What is missing: an answer that has not come, a promise that was not kept, a matter that nobody solved.

It may only be claimed once the deadline has passed on a clock that has seen all that could have fulfilled it; so
of all detectors this one alone reads `now`, and says when to look again.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from schemas.findings import Finding, Severity
from schemas.interaction import Interaction, Micros
from schemas.timestamps import format_timestamp
from streams.core.detection.calendars import Calendar, Pause
from streams.core.detection.draft import NOTHING, Draft, Expectation, Seen, changeable_for, earliest
from streams.core.detection.line import Line, share
from streams.core.detection.references import references
from streams.core.detection.spans import spoken


@dataclass(frozen=True, slots=True)
class Absence:
    """`after` without what fulfils it by the deadline: an interaction with `unless`, strictly later and sharing a
    key, or one that names it in a field of `kept_by`.

    The deadline is `within` later (of the calendar's working time, if `working_time`; the clock stands still
    from `waiting_since` to `waiting_until` of the same subject), or the promise's due time. Acting exactly at it is
    in time. What comes later, up to a horizon after the finding was raised, puts it right. With `episode` all that
    `after` selects and shares a key with the first of it is one finding until fulfilled or a horizon
    after it was raised; nothing is one with what was fulfilled in time.
    """

    after: int
    unless: int
    names: int
    kept_by: tuple[Callable[[Interaction], Any], ...]
    within: Micros | None
    severity: Severity
    calendar: Calendar
    working_time: bool = False
    waiting_since: int = 0
    waiting_until: int = 0
    episode: bool = False
    lookback: Micros = 0
    """What every timeline holds anyway; only what must be held longer is told."""

    def see(self, line: Line, final: Sequence[Finding]) -> Seen:
        """What stands at `line.now`, and when a deadline passes next."""
        if not line.union & self.after:
            return NOTHING
        anchors = line.having(self.after)
        fulfilled = self._by_reference(line, anchors) if self.kept_by else self._by_subject(line)
        standing: list[_Standing] = []
        next_due: Micros | None = None
        expects: list[Expectation] = []
        episodes = _Episodes(line, final) if self.episode else None
        for anchor in anchors:
            if not self.kept_by and not line.keys[anchor]:
                continue
            joined = episodes.of(anchor) if episodes is not None else None
            if joined is not None:
                joined.append(anchor)
                continue
            by = fulfilled(anchor)
            pauses = self._pauses(line, anchor, by)
            deadline = self._deadline(line, anchor, pauses)
            if line.asks_for(anchor):
                self._hold(line, anchor, by, deadline, expects)
            in_time = by is not None and (deadline is None or line.at[by] <= deadline)
            if in_time:
                continue
            members = [anchor]
            if episodes is not None:
                until = None if by is None else line.at[by]
                episodes.begin(members, until, None if deadline is None else deadline + line.horizon)
            if deadline is None:
                continue
            if line.now <= deadline:
                next_due = earliest(next_due, deadline + 1)
                continue
            late = by if by is not None and line.at[by] <= deadline + line.horizon else None
            standing.append(_Standing(members, deadline, late))
        if not standing:
            return Seen((), next_due, expects)
        drafts: list[Draft] = []
        for one in standing:
            fewest: Sequence[int] = one.members
            if episodes is not None and len(one.members) > 1:
                fewest, due = self._fewest(line, one, fulfilled, episodes)
                next_due = earliest(next_due, due)
            drafts.append(self._draft(line, one, fewest))
        return Seen(drafts, next_due, expects)

    def _fewest(
        self, line: Line, standing: "_Standing", fulfilled: Callable[[int], int | None], episodes: "_Episodes"
    ) -> tuple[list[int], Micros | None]:
        """The first of an episode and whichever of the others would stand in its place by now, or by when it was put
        right, or is settled; and when one more of them will.

        Without the first the others begin episodes of their own, or belong to one that began before them; those
        that do not stand yet take others in.
        """
        members, raised_at, late = standing
        final_from = raised_at + line.horizon if late is None else line.at[late]
        found = members[:1]
        due: Micros | None = None
        begun = _Episodes(line, ())
        for other in members[1:]:
            if begun.of(other) is not None or episodes.of(other, besides=members) is not None:
                continue
            by = fulfilled(other)
            deadline = self._deadline(line, other, self._pauses(line, other, by))
            if by is not None and (deadline is None or line.at[by] <= deadline):
                continue
            if deadline is not None:
                if deadline < min(line.now, final_from):
                    found.append(other)
                    continue
                if deadline < final_from:
                    due = earliest(due, deadline + 1)
            until = None if by is None else line.at[by]
            begun.begin([other], until, None if deadline is None else deadline + line.horizon)
        return found, due

    def _draft(self, line: Line, standing: "_Standing", fewest: Sequence[int]) -> Draft:
        members, deadline, late = standing
        anchor = members[0]
        return Draft(
            anchor,
            members if late is None else sorted((*members, late)),
            fewest,
            deadline,
            max(deadline, line.at[members[-1]]),
            self.severity,
            None if late is None else line.at[late],
            line.keys[anchor],
            facts=partial(_facts, line, standing),
        )

    def _deadline(self, line: Line, anchor: int, pauses: Sequence[Pause]) -> Micros | None:
        at = line.at[anchor]
        if self.within is None:
            interaction = line.interactions[anchor]
            due = interaction.promise_due_at
            if due is None and interaction.promise_due_on is not None:
                due = self.calendar.end_of_day(interaction.promise_due_on)
            return None if due is None else max(due, at)
        if self.working_time:
            return self.calendar.deadline_with_pauses(at, self.within, pauses)
        return _plain_deadline(at, self.within, pauses)

    def _pauses(self, line: Line, anchor: int, by: int | None) -> list[Pause]:
        """When the customer was being waited for, from the anchor until it was fulfilled."""
        if not line.union & self.waiting_since:
            return []
        mine = line.keys[anchor]
        found: list[Pause] = []
        since: Micros | None = None
        for index in range(anchor + 1, len(line.at)):
            if index == by:
                break
            mark = line.marks[index]
            if not mark & (self.waiting_since | self.waiting_until) or not share(mine, line.keys[index]):
                continue
            if mark & self.waiting_since:
                since = line.at[index] if since is None else since
            elif since is not None:
                found.append((since, line.at[index]))
                since = None
        if since is not None:
            found.append((since, None if by is None else line.at[by]))
        return found

    def _by_subject(self, line: Line) -> Callable[[int], int | None]:
        fulfilling = line.by_key(self.unless) if line.union & self.unless else {}
        at = line.at

        def earliest_of(anchor: int) -> int | None:
            found: int | None = None
            for key in line.keys[anchor]:
                candidates = fulfilling.get(key)
                if candidates:
                    place = bisect_right(candidates, at[anchor], key=at.__getitem__)
                    if place < len(candidates) and (found is None or candidates[place] < found):
                        found = candidates[place]
            return found

        return earliest_of

    def _by_reference(self, line: Line, anchors: Sequence[int]) -> Callable[[int], int | None]:
        return references(line, anchors, self.names, self.kept_by).get

    def _hold(
        self,
        line: Line,
        anchor: int,
        by: int | None,
        deadline: Micros | None,
        expects: list[Expectation],
    ) -> None:
        """Tell what must stay on the timeline longer than everything does."""
        anyway = line.at[anchor] + self.lookback
        if by is not None:
            until: Micros | None = line.at[by] + changeable_for(line.horizon)
        elif deadline is not None:
            until = deadline + changeable_for(line.horizon)
        else:
            until = None if self.waiting_since and self._waits(line, anchor) else anyway
        if until is not None and until <= anyway:
            return
        expects.append(Expectation(line.identity(anchor), until))
        if line.union & self.waiting_since:
            stops = self.waiting_since | self.waiting_until
            expects.extend(
                Expectation(line.identity(index), until)
                for index in range(anchor + 1, len(line.at))
                if line.marks[index] & stops and share(line.keys[anchor], line.keys[index])
            )

    def _waits(self, line: Line, anchor: int) -> bool:
        pauses = self._pauses(line, anchor, None)
        return bool(pauses) and pauses[-1][1] is None


class _Standing(NamedTuple):
    """An absence that stands: its members, which may still grow, the deadline, and what came too late."""

    members: list[int]
    deadline: Micros
    late: int | None


class _Episodes:
    """What is one until it is fulfilled. What was fulfilled in time is no finding, so it begins none: who said the same
    meanwhile is fulfilled by the same, or has a matter that nobody put right.
    """

    def __init__(self, line: Line, final: Sequence[Finding]) -> None:
        self.line = line
        self.open: list[tuple[tuple[str, ...], Micros | None, Micros | None, list[int]]] = [
            (finding.subjects, finding.resolved_at, finding.raised_at + line.horizon, []) for finding in final
        ]

    def begin(self, members: list[int], fulfilled_at: Micros | None, until: Micros | None) -> None:
        self.open.append((self.line.keys[members[0]], fulfilled_at, until, members))

    def of(self, index: int, besides: Sequence[int] | None = None) -> list[int] | None:
        """The members of the episode that an interaction belongs to, None if it begins one. `besides` are the members
        of an episode that is not to be.
        """
        at = self.line.at[index]
        for keys, fulfilled_at, until, members in self.open:
            if besides is not None and (members is besides or (members and members[0] > index)):
                continue
            if fulfilled_at is not None and at >= fulfilled_at:
                continue
            if until is not None and at > until:
                continue
            if share(keys, self.line.keys[index]):
                return members
        return None


def _facts(line: Line, standing: _Standing) -> dict[str, str]:
    members, deadline, late = standing
    return {
        "deadline": format_timestamp(deadline),
        "late": "" if late is None else spoken(line.at[late] - deadline),
        "subject": ", ".join(line.keys[members[0]]),
        "count": str(len(members)),
    }


def _plain_deadline(begin: Micros, amount: Micros, pauses: Sequence[Pause]) -> Micros | None:
    for since, until in pauses:
        if begin + amount < since:
            return begin + amount
        if until is None:
            return None
        amount -= since - begin
        begin = until
    return begin + amount
