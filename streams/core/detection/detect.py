"""From a timeline to findings: the pure function that live, replay and back-test share."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from schemas.findings import Evidence, Finding, FindingState, Identity
from schemas.interaction import Micros
from streams.core.detection.draft import Draft, Expectation, earliest
from streams.core.detection.line import Interactions, Line, Traits
from streams.core.detection.otherwise import Otherwise
from streams.core.detection.ruleset import CompiledAccumulation, CompiledCase, RuleSet
from streams.core.detection.sentences import said


class Detected(NamedTuple):
    """What stands for a customer at an instant.

    `findings` are `open`, `resolved` or `settled`, sorted by `raised_at` and id; those that are final are not
    among them. `next_due` is the earliest instant after `now` at which they would change with no new interaction,
    None if never. `held_until` says of interactions that the timeline must hold longer than `RuleSet.lookback` until
    when (as `Expectation` has it), the longest that any rule asks for.
    """

    findings: tuple[Finding, ...]
    next_due: Micros | None
    held_until: Mapping[Identity, Micros | None] = {}


NOTHING = Detected((), None)


def detect(
    customer: str,
    interactions: Interactions,
    now: Micros,
    rules: RuleSet,
    *,
    final: Sequence[Finding] = (),
    complete_from: Micros | None = None,
    traits: Traits | None = None,
    known: Sequence[Finding] = (),
    expects_before: Micros | None = None,
    id_key: bytes = b"",
) -> Detected:
    """Detect what stands at `now`. Pure: same arguments, same findings.

    `interactions` are sorted by position, identities distinct. Where older ones are not held any more,
    `complete_from` says since when findings can be told from what is left (`RuleSet.complete_from`), and `final` are
    those known that were raised before it.

    To save work: `traits` are `rules.traits(interactions)`, when they are at hand; `interactions` need then only be
    indexed for what is in question. `known` are findings detected before, none of whose evidence was replaced by a
    revision since: those that still stand are taken over as they are. Of interactions at `expects_before` or later
    nobody wants to know whether they must be held.

    An interaction that occurs later than `now` counts: only absence waits for the clock. `id_key` is the key of ids
    (`finding_id_of`), that of all findings in `known`.
    """
    line = Line(interactions, traits or rules.traits(interactions), now, rules.horizon, expects_before)
    union = line.union
    finals = _by_case(final)
    before = _by_case(known)
    findings: list[Finding] = []
    held_until: dict[Identity, Micros | None] = {}
    next_due: Micros | None = None
    for case in rules.cases:
        needs = case.needs
        if union & needs != needs:
            continue
        which = (case.rule.id, case.name)
        seen = case.detector.see(line, finals.get(which, ()))
        if seen.next_due is not None:
            next_due = earliest(next_due, seen.next_due)
        if seen.expects:
            _hold_longest(held_until, seen.expects)
        for draft in seen.drafts:
            if complete_from is None or draft.raised_at >= complete_from:
                same = _unchanged(line, case, draft, before[which]) if which in before else None
                findings.append(same or _finding(customer, line, case, draft, id_key))
    if findings or final:
        for accumulation in rules.accumulations:
            findings.extend(
                _gathered(customer, line, rules, accumulation, findings, finals, complete_from, id_key)
            )
    if not findings:
        return Detected((), next_due, held_until)
    for finding in findings:
        if finding.state == "open":
            next_due = earliest(next_due, finding.raised_at + rules.horizon + 1)
    findings.sort(key=_place)
    return Detected(tuple(findings), next_due, held_until)


def _hold_longest(held_until: dict[Identity, Micros | None], expects: Iterable[Expectation]) -> None:
    for identity, until in expects:
        if identity in held_until:
            known = held_until[identity]
            if known is None or (until is not None and until <= known):
                continue
        held_until[identity] = until


def finding_id_of(rule: str, case: str, customer: str, anchor: Identity, counted: str, key: bytes) -> str:
    """The id of a finding: 32 hexadecimal digits.

    BLAKE2b (RFC 7693) with a digest of 16 bytes and the `key` (empty: none) over the UTF-8 of the parts, the anchor
    being two, each but the last written as its length in characters, a colon and itself; no two different lists are
    written alike.
    """
    parts = (rule, case, customer, anchor.source, anchor.id)
    text = "".join(f"{len(part)}:{part}" for part in parts) + counted
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()


def _place(finding: Finding) -> tuple[Micros, str]:
    return finding.raised_at, finding.finding_id


def _by_case(findings: Sequence[Finding]) -> dict[tuple[str, str], list[Finding]]:
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.rule, finding.case), []).append(finding)
    return found


def _state(line: Line, draft: Draft) -> FindingState:
    if draft.resolved_at is not None:
        return "resolved"
    return "settled" if line.now > draft.raised_at + line.horizon else "open"


def _unchanged(line: Line, case: CompiledCase, draft: Draft, known: Sequence[Finding]) -> Finding | None:
    """The known finding that a draft would become again."""
    for one in known:
        if (
            one.raised_at == draft.raised_at
            and one.resolved_at == draft.resolved_at
            and one.extends_to == draft.extends_to
            and one.subjects == draft.subjects
            and one.severity == draft.severity
            and one.rule_version == case.version
            and one.state == _state(line, draft)
            and len(one.evidence) == len(draft.evidence)
            and one.anchor == line.identity(draft.anchor)
            and _same(line, draft.evidence, one.evidence)
            and (callable(draft.counterfactual) or _same(line, draft.counterfactual, one.counterfactual))
        ):
            return one
    return None


def _same(line: Line, indices: Sequence[int], told: Sequence[Evidence | Identity]) -> bool:
    """Whether indices mean the interactions that were told."""
    if len(indices) != len(told):
        return False
    for index, item in zip(indices, told, strict=True):
        interaction = line.interactions[index]
        if interaction.id != item.id or interaction.source != item.source:
            return False
    return True


def _finding(customer: str, line: Line, case: CompiledCase, draft: Draft, id_key: bytes) -> Finding:
    anchor = line.interactions[draft.anchor]
    evidence = tuple([line.evidence(index, case.told) for index in draft.evidence])
    fewest = draft.counterfactual() if callable(draft.counterfactual) else draft.counterfactual
    return _made(
        customer,
        line,
        case,
        draft,
        Identity(anchor.source, anchor.id),
        evidence,
        tuple([line.identity(index) for index in fewest]),
        said(case.sentence, draft.facts, anchor, case.fields),
        id_key,
    )


def _made(
    customer: str,
    line: Line,
    case: CompiledCase | CompiledAccumulation,
    draft: Draft,
    anchor: Identity,
    evidence: tuple[Evidence, ...],
    counterfactual: tuple[Identity, ...],
    sentence: str,
    id_key: bytes,
) -> Finding:
    if case.channel == "anchor":
        channel = next(one.channel for one in evidence if one.identity == anchor)
    else:
        channel = evidence[0 if case.channel == "first" else -1].channel
    return Finding(
        finding_id_of(case.rule.id, case.name, customer, anchor, draft.counted, id_key),
        case.rule.id,
        case.version,
        case.name,
        customer,
        draft.severity,
        case.rule.weight_of(draft.severity),
        channel,
        _state(line, draft),
        draft.raised_at,
        draft.resolved_at,
        anchor,
        evidence,
        counterfactual,
        sentence,
        case.action,
        draft.subjects,
        draft.extends_to,
    )


def _gathered(
    customer: str,
    line: Line,
    rules: RuleSet,
    case: CompiledAccumulation,
    findings: Sequence[Finding],
    finals: Mapping[tuple[str, str], Sequence[Finding]],
    complete_from: Micros | None,
    id_key: bytes,
) -> list[Finding]:
    mine = (case.rule.id, case.name)
    told = [one for one in findings if (one.rule, one.case) != mine]
    told.extend(one for key, several in finals.items() if key != mine for one in several)
    otherwise = Otherwise(
        line,
        rules.cases,
        finals,
        complete_from,
        case.detector.minded,
        lambda rest, one, draft: _finding(customer, rest, one, draft, id_key),
    )
    made: list[Finding] = []
    for draft in case.detector.gather(told, finals.get(mine, ()), line.horizon, otherwise):
        if draft.told is None or (complete_from is not None and draft.raised_at < complete_from):
            continue
        evidence, anchor, counterfactual = draft.told
        made.append(
            _made(
                customer,
                line,
                case,
                draft,
                anchor,
                evidence,
                counterfactual,
                said(case.sentence, draft.facts),
                id_key,
            )
        )
    return made
