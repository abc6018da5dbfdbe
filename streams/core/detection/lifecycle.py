"""A finding's life: what was known of a customer, what is detected now, and the difference to tell."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from schemas.findings import ChangeKind, Finding, FindingChange, Identity
from schemas.interaction import Interaction, Micros
from streams.core.detection.detect import Detected
from streams.core.detection.draft import earliest
from streams.core.detection.reasons import RULE_CHANGED, Learnt, Reason, cause_of, last_at, why_raised
from streams.core.detection.ruleset import RuleSet

__all__ = ["KnownFinding", "Transition", "cause_of", "final_of", "kind_of_change", "transition"]

KnownFinding = Finding
"""What a customer's state keeps of a finding: all of it, to tell it again, withdraw it, explain it."""


class Transition(NamedTuple):
    """The findings known from now on (sorted as before), what to tell, and when time alone changes them."""

    known: tuple[KnownFinding, ...]
    changes: tuple[FindingChange, ...]
    next_due: Micros | None
    outlived: tuple[str, ...] = ()
    """Ids of those known that rules of before found and that have ceased to stand by a change of rules alone."""


def final_of(known: Iterable[KnownFinding], complete_from: Micros | None) -> list[KnownFinding]:
    """The findings that nothing can change any more: they were raised before `complete_from`, or under rules that
    are no longer in force. To be handed to `detect`.
    """
    if complete_from is None:
        return []
    return [finding for finding in known if finding.raised_at < complete_from]


def transition(
    known: Sequence[KnownFinding],
    detected: Detected,
    arrivals: Sequence[Interaction],
    now: Micros,
    rules: RuleSet,
    *,
    complete_from: Micros | None = None,
    removed: Sequence[Identity] = (),
    replaced: Sequence[Identity] = (),
    due: Micros | None = None,
    memory: Micros | None = None,
    outlived: Collection[str] = (),
    changeover: Mapping[str, Finding] | None = None,
) -> Transition:
    """Compare what was known with what `detect` found at `now`, and tell the difference.

    - detected and not known: `raised` (and at once `resolved` or `settled`, if it is);
    - known and detected with other content: `updated`; with another state: `resolved`, `reopened`, `settled`;
    - known and not detected any more: `withdrawn`, with the arrival (or removal) that did it. Only learning
      withdraws, never age: what was raised before `complete_from` stays as it was.

    A finding keeps the rule version that found it until its content changes. `arrivals` are the interactions that
    were put on the timeline since the last transition, `removed` those taken away, because they are another customer's.
    Findings older than `memory` that are final are forgotten; nothing is told of that.

    `changeover` is given at the one transition at which other rules are in force than at the last: by id, what these
    find at `now` in what was held then, with no arrival and no removal. What differs there from what was known is the
    rules' doing (what time does at that very transition too), the rest is the arrivals': whether these come with the
    rules or after them, it ends in the same. A finding that is missing there is

    - `settled` if its own rule has changed or is gone: the new version says nothing about what the old one found. It is
      `outlived` (to be given to the next transition), and stays unless its evidence is taken away or a rule in force
      finds it again;
    - `withdrawn` if its own rule is what found it: one that gathers what others do not find any more, or is back and
      says no.

    For the reasons alone (`why_raised`): `replaced` are those of the arrivals that took the place of an earlier
    revision, `due` is the `next_due` of the last transition, or earlier.
    """
    if not known and not detected.findings:
        return Transition((), (), detected.next_due)
    found = {finding.finding_id: finding for finding in detected.findings}
    kept: list[KnownFinding] = []
    changes: list[FindingChange] = []
    staying: list[str] = []
    next_due = detected.next_due
    for before in known:
        after = found.pop(before.finding_id, None)
        if complete_from is not None and before.raised_at < complete_from:
            if memory is not None and before.raised_at < min(now, complete_from) - memory:
                continue
            after = _aged(before, now, rules.horizon)
            if after.state == "open":
                next_due = earliest(next_due, after.raised_at + rules.horizon + 1)
            elif after is not before:
                changes.append(_change("settled", after, rules.horizon, now, "horizon", None))
            kept.append(after)
            if before.finding_id in outlived:
                staying.append(before.finding_id)
            continue
        under: Finding | None = None  # what the rules make of it with nothing new
        if changeover is not None:
            under = changeover.get(before.finding_id)
        if after is None:
            by_rules = changeover is not None and under is None and not _rests_on(before, removed)
            if changeover is None:
                stays = before.finding_id in outlived and not _rests_on(before, removed)
            else:
                stays = by_rules and rules.versions.get(before.rule) != before.rule_version
            if stays:
                settled = before
                if before.state == "open":
                    settled = msgspec.structs.replace(before, state="settled")
                    changes.append(FindingChange("settled", settled, now, RULE_CHANGED))
                kept.append(settled)
                staying.append(before.finding_id)
                continue
            reason, cause = cause_of(before, None, arrivals, removed, replaced)
            if by_rules:
                reason, cause = RULE_CHANGED, None
            gone = msgspec.structs.replace(before, state="withdrawn", resolved_at=None)
            changes.append(FindingChange("withdrawn", gone, now, reason, cause))
            continue
        if after.rule_version != before.rule_version:
            as_before = msgspec.structs.replace(after, rule_version=before.rule_version)
            after = before if as_before == before else after
        if after == before:
            kept.append(before)
            continue
        kept.append(after)
        kind = kind_of_change(before, after)
        reason, cause = cause_of(before, after, arrivals, removed, replaced)
        if kind == "settled":
            reason, cause = "horizon", None
        elif under is not None and under == after:
            reason, cause = RULE_CHANGED, None
        changes.append(_change(kind, after, rules.horizon, now, reason, cause))
    if found:
        kept.extend(found.values())
        learnt = Learnt(arrivals, replaced, removed, due, known)
        raised = list(found.values())
        if changeover is None:
            why = why_raised(raised, kept, learnt, rules)
        else:
            why = why_raised([one for one in raised if one.finding_id not in changeover], kept, learnt, rules)
            by_rules_alone = [one for one in raised if one.finding_id in changeover]
            why.update(why_raised(by_rules_alone, kept, Learnt((), (), (), due, known), rules))
        for finding in raised:
            changes.extend(_raised(finding, why[finding.finding_id], rules.horizon))
    kept.sort(key=lambda finding: (finding.raised_at, finding.finding_id))
    return Transition(tuple(kept), tuple(changes), next_due, tuple(staying))


def _rests_on(finding: KnownFinding, identities: Sequence[Identity]) -> bool:
    return bool(identities) and any(one.identity in identities for one in finding.evidence)


def _aged(finding: KnownFinding, now: Micros, horizon: Micros) -> KnownFinding:
    if finding.state == "open" and now > finding.raised_at + horizon:
        return msgspec.structs.replace(finding, state="settled")
    return finding


def kind_of_change(before: Finding, after: Finding) -> ChangeKind:
    """What has become of a finding that is another now."""
    match before.state, after.state:
        case "open" | "settled", "resolved":
            return "resolved"
        case "resolved" | "settled", "open":
            return "reopened"
        case "open" | "resolved", "settled":
            return "settled"
        case _:
            return "updated"


def _raised(finding: Finding, why: Reason, horizon: Micros) -> list[FindingChange]:
    """What is told of a finding that is new: that it was raised, and what became of it since."""
    reason, cause = why
    if finding.state == "open":
        return [FindingChange("raised", finding, finding.raised_at, reason, cause)]
    first = msgspec.structs.replace(finding, state="open", resolved_at=None)
    raised = FindingChange("raised", first, finding.raised_at, reason, cause)
    if finding.resolved_at is None:
        return [raised, _change("settled", finding, horizon, 0, "horizon", None)]
    righted = last_at(finding, finding.resolved_at)
    return [raised, _change("resolved", finding, horizon, 0, "arrived", righted)]


def _change(
    kind: ChangeKind, finding: Finding, horizon: Micros, now: Micros, reason: str, cause: Identity | None
) -> FindingChange:
    at = now
    if kind == "settled":
        at = finding.raised_at + horizon
    elif kind == "resolved" and finding.resolved_at is not None:
        at = finding.resolved_at
    return FindingChange(kind, finding, at, reason, cause)
