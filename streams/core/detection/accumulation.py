"""A thousand small cuts: many mild findings within a time, and no grave one among them.

The only kind that looks at findings in place of interactions; `detect` asks it last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from schemas.findings import Evidence, Finding, Identity, Severity
from schemas.interaction import Micros
from streams.core.detection.bursts import bursts
from streams.core.detection.cuts import Cut, Left, Place, fewest_interactions
from streams.core.detection.draft import Draft, Told
from streams.core.detection.spans import spoken

_NOWHERE: Final[frozenset[Place]] = frozenset()


class Otherwise(Protocol):
    """What some of the cases would find without some interactions (`streams.core.detection.otherwise`)."""

    def concerns(self, finding: Finding, /) -> bool:
        """Whether a finding is of these cases."""

    def without(self, gone: frozenset[Place], /) -> Sequence[Finding] | None:
        """All that they would find; None: the same as with them."""


@dataclass(frozen=True, slots=True)
class Accumulation:
    """`at_least` findings of severity `of` raised `within` from first to last, with none of a severity in `without`
    raised in the same window, which ends at the last of them. Windows that share a finding are one; it
    grows until a horizon after it was raised.
    """

    of: Severity
    at_least: int
    within: Micros
    without: frozenset[Severity]
    severity: Severity

    @property
    def minded(self) -> frozenset[Severity]:
        """The severities of findings that make a difference here."""
        return self.without | {self.of}

    def gather(
        self,
        findings: Sequence[Finding],
        final: Sequence[Finding],
        horizon: Micros,
        otherwise: Otherwise | None = None,
    ) -> list[Draft]:
        """What stands over `findings`, which are all that were not withdrawn but those of this case; `final` are
        the findings of this case that nothing can change any more. Anchor and evidence are told, not
        indices. `otherwise` tells which findings would be others without some interactions; None: none would.
        """
        cuts = sorted((one for one in findings if one.severity == self.of), key=_place)
        if len(cuts) < self.at_least:
            return []
        times = [cut.raised_at for cut in cuts]
        grave = [one for one in findings if one.severity in self.without]
        graver = [one.raised_at for one in grave]
        within = self.within

        def alone(_: int, last: int) -> bool:
            until = times[last]
            return not any(until - within <= at <= until for at in graver)

        done_until = max((finding.extends_to for finding in final), default=None)
        found: list[Draft] = []
        counted = bursts(
            times, None, self.at_least, within, horizon=horizon, done_until=done_until, counts=alone
        )
        for first, completed, last in counted:
            members = cuts[first : last + 1]
            since, until = times[first] - within, times[completed] + horizon
            others = [
                one
                for index, one in enumerate(cuts)
                if since <= one.raised_at <= until
                and (done_until is None or one.raised_at > done_until)
                and not any(burst.first <= index <= burst.last for burst in counted)
            ]
            left = _Left(self, members, others, cuts, grave, since, until, otherwise)
            counterfactual = fewest_interactions(
                left.cuts, left.graver, self.at_least, within, left.without if otherwise is not None else None
            )
            found.append(
                Draft(
                    -1,
                    (),
                    (),
                    times[completed],
                    times[last],
                    self.severity,
                    subjects=(),
                    counted=members[0].finding_id,
                    facts=partial(_facts, members),
                    told=Told(_evidence(members, counterfactual), members[0].anchor, counterfactual),
                )
            )
        return found


class _Left:
    """What is left to count when interactions go: findings with them, and others that become milder or graver."""

    def __init__(
        self,
        case: Accumulation,
        members: Sequence[Finding],
        others: Sequence[Finding],
        known: Sequence[Finding],
        grave: Sequence[Finding],
        since: Micros,
        until: Micros,
        otherwise: Otherwise | None,
    ) -> None:
        """Of one that gathers `members`; `others` of their severity are near, but not gathered, out of all `known`."""
        self.case = case
        self.members = {one.finding_id for one in members}
        self.others = {one.finding_id for one in others}
        self.known = {one.finding_id for one in known}
        self.since = since
        self.until = until
        self.otherwise = otherwise
        self.concerned = otherwise.concerns if otherwise is not None else _never
        self.cuts = self._cuts([*members, *others])
        self.graver = [_cut(one) for one in grave]
        self.unconcerned = [one for one in (*members, *others) if not self.concerned(one)]
        self.grave_anyway = [_cut(one) for one in grave if not self.concerned(one)]

    def without(self, gone: frozenset[Place]) -> Left | None:
        """What would be there to count; None: the same, less what rests on these."""
        found = self.otherwise.without(gone) if self.otherwise is not None else None
        if found is None:
            return None
        mild = [
            one
            for one in found
            if one.severity == self.case.of
            and self.since <= one.raised_at <= self.until
            and (
                one.finding_id in self.members
                or one.finding_id in self.others
                or one.finding_id not in self.known
            )
        ]
        grave = [_cut(one) for one in found if one.severity in self.case.without]
        return self._cuts([*self.unconcerned, *mild]), [*self.grave_anyway, *grave]

    def _cuts(self, findings: Sequence[Finding]) -> list[Cut]:
        cuts = [
            _cut(one)._replace(
                member=one.finding_id in self.members,
                touched_by=frozenset([_placed(item) for item in one.evidence])
                if self.concerned(one)
                else _NOWHERE,
            )
            for one in findings
        ]
        cuts.sort(key=_at)
        return cuts


def _never(_: Finding) -> bool:
    return False


def _at(cut: Cut) -> Micros:
    return cut.at


def _place(finding: Finding) -> tuple[Micros, str]:
    return finding.raised_at, finding.finding_id


def _evidence(members: Sequence[Finding], counterfactual: Sequence[Identity]) -> tuple[Evidence, ...]:
    """The anchors of the findings, and that without which it would not stand, each with the rules that it broke."""
    rules: dict[Identity, list[str]] = {}
    told: dict[Identity, Evidence] = {}
    for finding in members:
        for evidence in finding.evidence:
            identity = evidence.identity
            if identity == finding.anchor or identity in counterfactual:
                told[identity] = evidence
                rules.setdefault(identity, []).append(finding.rule)
    found = [
        Evidence(
            one.source, one.id, one.topic, one.partition, one.offset, one.occurred_at, one.channel,
            {"rules": ", ".join(dict.fromkeys(rules[identity]))},
        )
        for identity, one in told.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.occurred_at, one.source, one.id)))


def _cut(finding: Finding) -> Cut:
    """A finding as it is counted: it goes when all of its own counterfactual does."""
    gone = frozenset(finding.counterfactual)
    places = [_placed(one) for one in finding.evidence if one.identity in gone]
    if not places:
        places = [(finding.raised_at, finding.anchor.source, finding.anchor.id)]
    return Cut(finding.raised_at, frozenset(places))


def _placed(evidence: Evidence) -> Place:
    return evidence.occurred_at, evidence.source, evidence.id


def _facts(members: Sequence[Finding]) -> dict[str, str]:
    return {
        "count": str(len(members)),
        "span": spoken(members[-1].raised_at - members[0].raised_at),
        "rules": ", ".join(dict.fromkeys(cut.rule for cut in members)),
    }
