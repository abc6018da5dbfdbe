"""What a rebuild tells of findings that stood before it: the difference, and nothing where there is none.

A rebuild evaluates customers from nothing, as if nothing had ever been told of them. What was told is known from
elsewhere, and what is told now continues it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from schemas.findings import Finding, FindingChange, Identity
from schemas.interaction import Interaction, Micros
from schemas.records import StandingFinding
from streams.core.detection.detect import NOTHING, detect
from streams.core.detection.lifecycle import kind_of_change
from streams.core.detection.reasons import RULE_CHANGED, cause_of
from streams.core.detection.ruleset import RuleSet


class Difference(NamedTuple):
    """What has become known of one customer beyond what stood."""

    arrivals: Sequence[Interaction]
    """Interactions that are new there, or in a higher revision."""
    replaced: Sequence[Identity]
    """Those of them that stood in a lower revision."""
    removed: Sequence[Identity]
    """What is another customer's by now, or nobody's."""
    stood: Sequence[Interaction] = ()
    """What is as it stood, in the timeline's order."""


NOTHING_NEW: Final = Difference((), (), ())


def continued(
    told: Iterable[FindingChange],
    standing: Mapping[str, StandingFinding],
    news: Mapping[str, Difference],
    now: Micros,
    rules: RuleSet,
    id_key: bytes = b"",
) -> list[FindingChange]:
    """The changes to tell where `told` are those of an evaluation from nothing.

    `standing` are all findings of the same customers, by id, as they were told last; `news` is what was learnt of each
    of them since. A finding that is as it was is not told again. One that is not found any more is withdrawn. Where its
    rule has changed since it was found, nobody can say for certain: it is settled if the rules do not find it in what
    stood either, as in `transition`, unless something that it rests on has been corrected or taken away.
    """
    once: dict[str, Collection[str]] = {}
    changes: list[FindingChange] = []
    anew: dict[str, list[FindingChange]] = {}
    for change in told:
        anew.setdefault(change.finding.finding_id, []).append(change)
    for finding_id, its in anew.items():
        before = standing.get(finding_id)
        if before is None:
            changes.extend(its)
            continue
        finding, sequence = before
        if finding.state == "withdrawn":
            for number, one in enumerate(its, sequence + 1):
                changes.append(msgspec.structs.replace(one, sequence=number))
            continue
        last = its[-1]
        if not _is_alike(finding, last.finding):
            learnt = news.get(last.finding.customer, NOTHING_NEW)
            reason, cause = cause_of(finding, last.finding, learnt.arrivals, learnt.removed, learnt.replaced)
            kind = kind_of_change(finding, last.finding)
            if kind == "settled":
                reason, cause = "horizon", None
            elif reason == "time" and _by_rules(finding, last.finding):
                reason = RULE_CHANGED
            at = last.at if kind in ("resolved", "settled") else now
            changes.append(FindingChange(kind, last.finding, at, reason, cause, sequence + 1))
    for finding_id, (finding, sequence) in standing.items():
        if finding_id in anew or finding.state == "withdrawn":
            continue
        learnt = news.get(finding.customer, NOTHING_NEW)
        if rules.versions.get(finding.rule) != finding.rule_version and not _rests_on(
            finding, (*learnt.removed, *learnt.replaced)
        ):
            customer = finding.customer
            if customer not in once:
                seen = (
                    detect(customer, learnt.stood, now, rules, id_key=id_key) if learnt.arrivals else NOTHING
                )
                once[customer] = {one.finding_id for one in seen.findings}
            if finding_id not in once[customer]:
                if finding.state == "open":
                    settled = msgspec.structs.replace(finding, state="settled")
                    changes.append(FindingChange("settled", settled, now, RULE_CHANGED, None, sequence + 1))
                continue
        withdrawn = msgspec.structs.replace(finding, state="withdrawn", resolved_at=None)
        reason, cause = cause_of(finding, None, learnt.arrivals, learnt.removed, learnt.replaced)
        changes.append(FindingChange("withdrawn", withdrawn, now, reason, cause, sequence + 1))
    return changes


def _is_alike(before: Finding, after: Finding) -> bool:
    """Whether people are told the same of both; what is hashed where `before` was stored is not compared."""
    return (
        before.state == after.state
        and before.severity == after.severity
        and before.rule_version == after.rule_version
        and before.raised_at == after.raised_at
        and before.resolved_at == after.resolved_at
        and [one.identity for one in before.evidence] == [one.identity for one in after.evidence]
        and before.counterfactual == after.counterfactual
    )


def _by_rules(before: Finding, after: Finding) -> bool:
    """Whether it takes a change of rules to make the one of the other: what they settled stands again."""
    return before.rule_version != after.rule_version or (before.state, after.state) == ("settled", "open")


def _rests_on(finding: Finding, gone: Sequence[Identity]) -> bool:
    return any(one.identity in gone for one in finding.evidence)
