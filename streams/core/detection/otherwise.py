"""What would stand of a line without some of its interactions, as far as others make it graver or milder."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from schemas.findings import Finding, Severity
from schemas.interaction import Interaction, Micros
from streams.core.detection.absence import Absence
from streams.core.detection.cuts import Place
from streams.core.detection.draft import Draft
from streams.core.detection.line import Interactions, Line, Traits
from streams.core.detection.mismatch import Mismatch
from streams.core.detection.repeat import Repeat
from streams.core.detection.ruleset import CompiledCase
from streams.core.detection.sequence import Succession
from streams.core.detection.threshold import Threshold


class Otherwise:
    """A line, and those of the cases that may find something else, of an asked severity, when an interaction goes on
    which the finding does not rest: `gave_up`, which another one before it makes graver. What one interaction says
    by itself is not among them: it goes with that one and changes with no other.
    """

    def __init__(
        self,
        line: Line,
        cases: Sequence[CompiledCase],
        final: Mapping[tuple[str, str], Sequence[Finding]],
        complete_from: Micros | None,
        severities: frozenset[Severity],
        made: Callable[[Line, CompiledCase, Draft], Finding],
    ) -> None:
        """`final` are the findings that nothing can change any more, by rule and case, which were raised before
        `complete_from`; `made` makes a finding of a draft.
        """
        self._line = line
        self._final = final
        self._complete_from = complete_from
        self._made = made
        self._all = cases
        self._severities = severities
        self._chosen: list[CompiledCase] | None = None
        self._known: dict[frozenset[int], Sequence[Finding]] = {}

    def concerns(self, finding: Finding) -> bool:
        """Whether a finding is among those of which `without` tells."""
        if self._complete_from is not None and finding.raised_at < self._complete_from:
            return False
        named = finding.rule, finding.case
        return named in [(case.rule.id, case.name) for case in self._cases()]

    def without(self, gone: frozenset[Place]) -> Sequence[Finding] | None:
        """What these cases find without some interactions; None: the same as with them."""
        touches = 0
        for case in self._cases():
            touches |= case.touches
        if not touches:
            return None
        marks = self._line.marks
        places = frozenset([place for place in self._indices(gone) if marks[place] & touches])
        if not places:
            return None
        found = self._known.get(places)
        if found is None:
            found = self._known[places] = self._found(places)
        return found

    def _cases(self) -> Sequence[CompiledCase]:
        """Chosen when the first is asked for: mostly there is too little to gather."""
        chosen = self._chosen
        if chosen is None:
            union = self._line.union
            chosen = self._chosen = [
                case
                for case in self._all
                if union & case.needs == case.needs and _may_turn(case, self._severities)
            ]
        return chosen

    def _indices(self, gone: frozenset[Place]) -> list[int]:
        """Where they are on the line, as far as they are held."""
        times = {place[0] for place in gone}
        found: list[int] = []
        for index, at in enumerate(self._line.at):
            if at in times:
                one = self._line.interactions[index]
                if (at, one.source, one.id) in gone:
                    found.append(index)
        return found

    def _found(self, gone: frozenset[int]) -> Sequence[Finding]:
        line = self._line
        kept = [index for index in range(len(line.at)) if index not in gone]
        traits = Traits(
            [line.at[index] for index in kept],
            [line.marks[index] for index in kept],
            [line.keys[index] for index in kept],
        )
        rest = Line(_Rest(line.interactions, kept), traits, line.now, line.horizon, line.expects_before)
        found: list[Finding] = []
        for case in self._cases():
            if rest.union & case.needs != case.needs:
                continue
            for draft in case.detector.see(rest, self._final.get((case.rule.id, case.name), ())).drafts:
                if self._complete_from is None or draft.raised_at >= self._complete_from:
                    found.append(self._made(rest, case, draft))
        return found


class _Rest:
    """Some of the interactions, opened when they are asked for."""

    def __init__(self, interactions: Interactions, kept: Sequence[int]) -> None:
        self._interactions = interactions
        self._kept = kept

    def __getitem__(self, index: int, /) -> Interaction:
        return self._interactions[self._kept[index]]

    def __iter__(self) -> Iterator[Interaction]:
        return map(self._interactions.__getitem__, self._kept)


def _may_turn(case: CompiledCase, severities: frozenset[Severity]) -> bool:
    """Whether a case may find something of one of these severities since an interaction is gone, or no more."""
    detector = case.detector
    if isinstance(detector, Threshold):
        if not detector.worse_after:
            return False
        mild = {severity for _, severity in detector.levels} or {detector.severity}
        return not severities.isdisjoint({detector.worse, *mild})
    if isinstance(detector, Mismatch):
        limit = detector.from_excess
        return detector.severity in severities or (limit is not None and limit.severity in severities)
    if isinstance(detector, Repeat | Absence | Succession):
        return detector.severity in severities
    return True
