"""A thousand small cuts: many mild findings within a time, and no grave one among them.

The only kind that looks at findings in place of interactions; `detect` asks it last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from schemas.findings import Evidence, Finding, Identity, Severity
from schemas.interaction import Micros
from streams.core.detection.bursts import bursts
from streams.core.detection.cuts import Cut, fewest_interactions
from streams.core.detection.draft import Draft, Told
from streams.core.detection.spans import spoken


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

    def gather(self, findings: Sequence[Finding], final: Sequence[Finding], horizon: Micros) -> list[Draft]:
        """What stands over `findings`, which are all that were not withdrawn but those of this case; `final` are
        the findings of this case that nothing can change any more. Anchor and evidence are told, not
        indices.
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
        for first, completed, last in bursts(
            times, None, self.at_least, within, horizon=horizon, done_until=done_until, counts=alone
        ):
            members = cuts[first : last + 1]
            counterfactual = fewest_interactions(
                [_cut(one) for one in members], [_cut(one) for one in grave], self.at_least, within
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
    places = [(one.occurred_at, one.source, one.id) for one in finding.evidence if one.identity in gone]
    if not places:
        places = [(finding.raised_at, finding.anchor.source, finding.anchor.id)]
    return Cut(finding.raised_at, frozenset(places))


def _facts(members: Sequence[Finding]) -> dict[str, str]:
    return {
        "count": str(len(members)),
        "span": spoken(members[-1].raised_at - members[0].raised_at),
        "rules": ", ".join(dict.fromkeys(cut.rule for cut in members)),
    }
