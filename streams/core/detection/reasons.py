"""Why a finding changed, and which interaction did it: the words of `findings_history.reason`, and its cause.

What a finding itself can say is told from it alone: replay, back-test and the live road then say the same, however the
log is cut and in whatever order it came. What was taken away or replaced has left no trace in what is there now;
of that, only the step that learns it can tell.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from schemas.findings import Finding, Identity
from schemas.interaction import Interaction, Micros
from streams.core.detection.absence import Absence
from streams.core.detection.line import share
from streams.core.detection.ruleset import CompiledAccumulation, RuleSet
from streams.core.facets import subjects_of

Reason = tuple[str, Identity | None]
"""A stable word, and the interaction that did it; None: time did, or a change of rules."""

DEADLINE: Reason = ("deadline", None)
RULE_CHANGED: Final = "rule changed"
"""The reason where other rules did it, and no interaction."""


class Learnt(NamedTuple):
    """What has come to be known of a customer since its findings were last looked at."""

    arrivals: Sequence[Interaction]
    """What was put on the timeline."""
    replaced: Sequence[Identity]
    """Those of the arrivals that took the place of an earlier revision."""
    removed: Sequence[Identity]
    """What was taken off it, because it is another customer's."""
    due: Micros | None
    """When time alone was to change something, as it looked then; None: never."""
    known: Sequence[Finding]
    """The findings as they were then."""


def why_raised(
    raised: Iterable[Finding], standing: Sequence[Finding], learnt: Learnt, rules: RuleSet
) -> dict[str, Reason]:
    """By id, why each of the findings that are new was raised; `standing` are all that stand now, they among them.

    - `deadline`, by nobody: time made it stand, as it does with all that waits for something to be missing (`absence`);
    - `completed`, by the interaction of its evidence that occurred when it was raised;
    - `corrected`, `moved`: all that it needed was there already, and its time had passed; it stands only since a later
      revision of this interaction came, or since this one was taken away. Of several, one on which a finding
      of the same rule rested, or that is about the same subject.

    What gathers other findings (`accumulation`) has the reason of the one that completed it.
    """
    waiting = {(case.rule.id, case.name) for case in rules.cases if isinstance(case.detector, Absence)}
    gathering = {(one.rule.id, one.name): one for one in rules.accumulations}
    reasons: dict[str, Reason] = {}
    gathered: dict[tuple[str, str], list[Finding]] = {}
    for finding in raised:
        which = finding.rule, finding.case
        if which in gathering:
            gathered.setdefault(which, []).append(finding)
            continue
        waits = which in waiting
        reason: Reason | None = None
        if not (waits and _was_awaited(finding, learnt.due)):
            rested = [one for one in learnt.known if one.rule == finding.rule]
            reason = _learnt(finding, learnt, rested)
        reasons[finding.finding_id] = reason or _of_itself(finding, waits)
    for which, accumulation in gathering.items():  # in the order in which one may gather the other's
        for finding in gathered.get(which, ()):
            last = _completing(finding, standing, accumulation, waiting)
            if last.finding_id in reasons:
                reasons[finding.finding_id] = reasons[last.finding_id]
            else:
                itself = _of_itself(last, (last.rule, last.case) in waiting)
                reasons[finding.finding_id] = _learnt(finding, learnt, learnt.known) or itself
    return reasons


def cause_of(
    before: Finding,
    after: Finding | None,
    arrivals: Sequence[Interaction],
    removed: Sequence[Identity],
    replaced: Collection[Identity] = (),
) -> Reason:
    """Why a finding that was known is another now, or gone (`after` is None), by what was learnt (as in `Learnt`).

    `moved`: evidence is another customer's; `corrected`: a later revision of evidence came; `arrived`: it is new among
    the evidence. Else the arrival that is about the same subject, or the latest that came: `corrected` if it took
    the place of an earlier revision, `arrived` if not. `time`: nothing came.
    """
    evidence = {one.identity for one in before.evidence}
    gained = {one.identity for one in after.evidence} - evidence if after is not None else frozenset()
    came = list(map(_identity, arrivals))
    for identity in removed:
        if identity in evidence:
            return "moved", identity
    for identity in came:
        if identity in evidence:
            return "corrected", identity
    for identity in came:
        if identity in gained:
            return "arrived", identity
    cause: Identity | None = came[-1] if came else None
    for arrival in arrivals:
        named = (arrival.promise_kept_ref, arrival.promise_cancelled_ref)
        if before.anchor.id in named or any(key in before.subjects for key in subjects_of(arrival)):
            cause = _identity(arrival)
            break
    if cause is not None:
        return ("corrected" if cause in replaced else "arrived"), cause
    return ("moved", removed[0]) if removed else ("time", None)


def last_at(finding: Finding, instant: Micros) -> Identity | None:
    """The interaction of the evidence that occurred at an instant, of several the last; None if none did."""
    found: Identity | None = None
    for one in finding.evidence:
        if one.occurred_at == instant:
            found = one.identity
    return found


def _of_itself(finding: Finding, waits: bool) -> Reason:
    """What the finding says of itself, whatever was learnt when.

    Of several interactions at that instant it is the first: which of them are evidence may change as the finding grows.
    """
    if waits:
        return DEADLINE
    for one in finding.evidence:
        if one.occurred_at == finding.raised_at:
            return "completed", one.identity
    return "completed", finding.anchor


def _was_awaited(finding: Finding, due: Micros | None) -> bool:
    """Whether time was to raise it, as far as can be told: the customer was to be looked at no later than that."""
    return due is not None and due <= finding.raised_at + 1


def _learnt(finding: Finding, learnt: Learnt, rested: Sequence[Finding]) -> Reason | None:
    """What was taken away or replaced so that the finding stands; None: nothing, or what it needed has come only now.

    `rested` are findings of before; what one of them rested on is likelier than others.
    """
    if not learnt.removed and not learnt.replaced:
        return None
    evidence = {one.identity for one in finding.evidence if one.occurred_at <= finding.raised_at}
    corrected: Identity | None = None
    for identity in map(_identity, learnt.arrivals):
        if identity in evidence:
            if identity not in learnt.replaced:
                return None
            corrected = identity
    if corrected is not None:
        return "corrected", corrected
    likely = {one.identity for known in rested for one in known.evidence}
    for arrival in learnt.arrivals:
        if share(finding.subjects, subjects_of(arrival)):
            likely.add(_identity(arrival))
    candidates: list[Reason] = [("moved", one) for one in learnt.removed]
    candidates += [("corrected", one) for one in learnt.replaced]
    for candidate in candidates:
        if candidate[1] in likely:
            return candidate
    return candidates[0]


def _completing(
    finding: Finding,
    standing: Sequence[Finding],
    accumulation: CompiledAccumulation,
    waiting: Collection[tuple[str, str]],
) -> Finding:
    """Of the findings that this one counts one that was raised with it, by an interaction rather than by time; itself
    if none is known any more.
    """
    evidence = {one.identity for one in finding.evidence}
    found = [
        one
        for one in standing
        if one.raised_at == finding.raised_at
        and one.severity == accumulation.detector.of
        and one.anchor in evidence
        and one.finding_id != finding.finding_id
    ]
    found.sort(key=lambda one: ((one.rule, one.case) in waiting, one.finding_id))
    return found[0] if found else finding


def _identity(interaction: Interaction) -> Identity:
    return Identity(interaction.source, interaction.id)
