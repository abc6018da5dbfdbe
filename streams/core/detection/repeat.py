"""The same thing again and again: so many contacts, or contacts on so many channels, about one subject."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

from schemas.findings import Finding, Identity, Severity
from schemas.interaction import Interaction, Micros
from streams.core.detection.bursts import bursts, fewest_to_remove
from streams.core.detection.draft import NOTHING, Draft, Seen
from streams.core.detection.line import Line
from streams.core.detection.spans import spoken


@dataclass(frozen=True, slots=True)
class Repeat:
    """A burst of `at_least` interactions that fulfil `where` and share a key value, `within` from first to last.

    Windows that share a contact are one finding, anchored at its first contact; it grows until a horizon
    after it was raised, and counting begins anew behind it. `distinct` counts different values in place of
    interactions. `per` are the prefixes of the keys to count by (`case:`), most telling first: of two findings, one
    with its evidence within the other's is dropped, and of two with equal evidence the one whose key comes later;
    the one that stays tells the other's key too, and where all of its contacts share both keys, what puts either
    right puts it right.
    """

    where: int
    at_least: int
    within: Micros
    severity: Severity
    per: tuple[str, ...]
    distinct: Callable[[Interaction], Hashable] | None = None
    put_right_by: int = 0
    worded: Callable[[object], str] = str
    """How a counted value is written."""

    def see(self, line: Line, final: Sequence[Finding]) -> Seen:
        """What stands. It never waits for anything."""
        if not line.union & self.where:
            return NOTHING
        if len(line.having(self.where)) < self.at_least:
            return NOTHING
        drafts: list[Draft] = []
        done: dict[str, Micros] = {}
        for finding in final:
            for key in finding.subjects:
                done[key] = max(done.get(key, finding.extends_to), finding.extends_to)
        for key, indices in line.by_key(self.where).items():
            if len(indices) >= self.at_least and key.startswith(self.per):
                drafts.extend(self._of_key(line, key, indices, done.get(key)))
        return Seen(self._distinct_evidence(line, drafts, final)) if drafts else NOTHING

    def _of_key(self, line: Line, key: str, indices: Sequence[int], done_until: Micros | None) -> list[Draft]:
        times = [line.at[index] for index in indices]
        labels = None
        if self.distinct is not None:
            labels = [self.distinct(line.interactions[index]) for index in indices]
        found: list[Draft] = []
        for first, completed, last in bursts(
            times, labels, self.at_least, self.within, horizon=line.horizon, done_until=done_until
        ):
            evidence = indices[first : last + 1]
            told = labels[first : last + 1] if labels is not None else None
            raised_at = times[completed]
            righted = self._put_right(line, key, times[last], raised_at + line.horizon)
            found.append(
                Draft(
                    evidence[0],
                    evidence if righted is None else (*evidence, righted),
                    partial(self._fewest, evidence, times[first : last + 1], told),
                    raised_at,
                    times[last],
                    self.severity,
                    None if righted is None else line.at[righted],
                    (key,),
                    key,
                    partial(self._facts, key, len(evidence), told, times[last] - times[first]),
                )
            )
        return found

    def _fewest(
        self, evidence: Sequence[int], times: Sequence[Micros], labels: Sequence[Hashable] | None
    ) -> list[int]:
        places = fewest_to_remove(times, labels, self.at_least, self.within)
        return [evidence[place] for place in places]

    def _facts(
        self, key: str, contacts: int, labels: Sequence[Hashable] | None, span: Micros
    ) -> dict[str, str]:
        different = list(dict.fromkeys(labels)) if labels is not None else []
        return {
            "count": str(contacts if labels is None else len(different)),
            "contacts": str(contacts),
            "values": ", ".join([self.worded(value) for value in different]),
            "span": spoken(span),
            "subject": key,
        }

    def _put_right(self, line: Line, key: str, after: Micros, until: Micros) -> int | None:
        """The first interaction strictly later than the last contact that puts it right."""
        if line.union & self.put_right_by:
            for index in range(bisect_right(line.at, after), len(line.at)):
                if line.at[index] > until:
                    return None
                if line.marks[index] & self.put_right_by and key in line.keys[index]:
                    return index
        return None

    def _distinct_evidence(
        self, line: Line, drafts: Sequence[Draft], final: Sequence[Finding]
    ) -> list[Draft]:
        """Drop what lies within another finding of this case."""
        if len(drafts) == 1 and not final:
            return list(drafts)

        def rank(draft: Draft) -> tuple[int, str]:
            kind = draft.counted.partition(":")[0] + ":"
            return self.per.index(kind), draft.counted

        ranked = [(frozenset(i for i in one.evidence if line.at[i] <= one.extends_to), one) for one in drafts]
        ranked.sort(key=lambda pair: (-len(pair[0]), rank(pair[1])))
        settled = [frozenset(one.identity for one in finding.evidence) for finding in final]
        kept: list[tuple[frozenset[int], Draft]] = []
        for mine, draft in ranked:
            told: frozenset[Identity] = frozenset(map(line.identity, mine)) if settled else frozenset()
            if any(told <= theirs for theirs in settled):
                continue
            for place, (theirs, other) in enumerate(kept):
                if mine <= theirs:
                    stays = other._replace(subjects=(*other.subjects, draft.counted))
                    if mine == theirs and _comes_earlier(draft.resolved_at, other.resolved_at):
                        stays = stays._replace(evidence=draft.evidence, resolved_at=draft.resolved_at)
                    kept[place] = theirs, stays
                    break
            else:
                kept.append((mine, draft))
        return [draft for _, draft in kept]


def _comes_earlier(one: Micros | None, other: Micros | None) -> bool:
    return one is not None and (other is None or one < other)
