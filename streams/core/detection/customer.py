"""Detection of one customer from batch to batch: what is told, and what is remembered until the next.

Detection looks further back than journeys do. Steps that leave the timeline go to an *aside* here until no rule
can look back on them, so nothing is held twice.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from schemas.findings import Finding, FindingChange, Identity, Light
from schemas.interaction import Interaction, Micros
from streams.core.detection.detect import detect
from streams.core.detection.draft import earliest
from streams.core.detection.held import HeldLine, held_line, packed
from streams.core.detection.lifecycle import final_of, transition
from streams.core.detection.light import DEFAULT_LIGHT, LightPolicy, light_of
from streams.core.detection.remembered import Remembered
from streams.core.detection.ruleset import RuleSet
from streams.core.policy import key_mark
from streams.core.state import CustomerState, pack_steps
from streams.core.timeline import Step

EVERYTHING_STAYS: Final[Micros] = -(1 << 62)
"""Nothing occurred earlier: of no interaction it is asked whether it must be held longer."""


REMEMBERED: Final = 2
"""Raise it when what is remembered comes to mean something else: whoever was evaluated before is evaluated anew, as
under other rules.
"""


class Detection:
    """What detection depends on: the rules in force, how lights are lit, and the key of the findings' ids (empty:
    none). `version` changes with any of them.
    """

    def __init__(self, rules: RuleSet, light: LightPolicy = DEFAULT_LIGHT, id_key: bytes = b"") -> None:
        self.rules: Final = rules
        self.light: Final = light
        self.id_key: Final = id_key
        told = f"{REMEMBERED} {rules.version} {light!r}{key_mark(id_key)}"
        self.version: Final = blake2b(told.encode(), digest_size=6).hexdigest()


class Told(NamedTuple):
    """What one evaluation tells, and the detection part of the state after it."""

    changes: Sequence[FindingChange]
    light: Light | None
    """The light, when it is to be written anew."""
    remembered: Remembered


def watch(
    customer: str,
    before: Remembered,
    state: CustomerState,
    left: Sequence[Step],
    arrivals: Sequence[Interaction],
    now: Micros,
    detection: Detection,
    removed: Sequence[tuple[str, str]] = (),
    earlier: CustomerState | None = None,
) -> Told:
    """Evaluate the rules for a customer whose journeys have just been evaluated.

    `state` is the state after that, `left` the steps that left its timeline in doing so (in order), `arrivals` what was
    put on it, `removed` what was taken off it because it is another customer's, `earlier` the state before all that.
    Running it again from the same `before` tells the same, with the same sequence numbers.
    """
    rules = detection.rules
    clock = max(now, state.clock)
    same = before.version in ("", detection.version)  # who remembers nothing has no other rules behind
    fresh = [rules.mark(arrival) for arrival in arrivals]
    aside = [*before.steps(), *left]
    steps = state.steps()
    if aside:
        steps = aside + steps
    line = held_line(before, steps, arrivals, fresh, rules, marked=same and not removed)
    touched = clock if arrivals else before.touched
    if same and not aside and _is_quiet(before, line, fresh, clock, detection):
        return Told((), None, _grown(before, line, touched, detection))
    silent_from = max(state.newest, touched) + rules.lookback + 1
    # A customer of whom nothing more is heard is let go some day; until then the line's own time decides.
    if clock >= silent_from:
        cut, reached = state.newest + 1, clock
    else:
        cut, reached = state.newest - rules.lookback, state.newest
    complete_from = rules.complete_from(before.forgotten_before)
    detected = detect(
        customer,
        line.interactions,
        clock,
        rules,
        final=final_of(before.known, complete_from),
        complete_from=complete_from,
        traits=line.traits,
        known=_untouched(before.known, arrivals) if line.grown else (),
        expects_before=cut if aside else EVERYTHING_STAYS,
        id_key=detection.id_key,
    )
    changeover: Mapping[str, Finding] | None = None
    if not same and before.known:
        nothing_new = not arrivals and not removed
        under = detected.findings if nothing_new else _as_it_was(customer, before, earlier, clock, detection)
        changeover = {finding.finding_id: finding for finding in under}
    held = earlier.held if earlier is not None else 0
    after = transition(
        before.known,
        detected,
        arrivals,
        clock,
        rules,
        complete_from=complete_from,
        removed=[Identity(*one) for one in removed],
        replaced=_replaced(before, held - len(removed), len(steps), arrivals),
        due=before.due,
        memory=detection.light.memory,
        outlived=before.outlived,
        changeover=changeover,
    )
    due = after.next_due
    light, colours, lit_until = None, before.colours, before.lit_until
    if not same or after.changes or after.known != before.known or not _is_before(clock, lit_until):
        lit_until = None
        if after.known or before.known:
            lit = light_of(customer, after.known, clock, detection.light)
            colours = lit.colour, tuple([(one.channel, one.colour) for one in lit.by_channel])
            if after.changes or colours != before.colours:
                light = lit
            due = earliest(due, lit.next_change)
            # A light in which something counts ahead of its time may change before that is due to fade.
            ahead = bool(after.known) and after.known[-1].raised_at > clock
            lit_until = clock if ahead else lit.next_change
    else:
        due = earliest(due, lit_until)
    changes, sequences = _numbered(after.changes, before.sequences)
    places, forgotten_before = _held_aside(aside, cut, reached, detected.held_until, before.forgotten_before)
    if places and clock < silent_from:
        due = earliest(due, silent_from)
    marks = line.traits.marks
    return Told(
        changes,
        light,
        Remembered(
            detection.version,
            due,
            after.known,
            sequences,
            colours,
            len(places),
            pack_steps([aside[place] for place in places]),
            forgotten_before,
            touched,
            packed([*[marks[place] for place in places], *marks[len(aside) :]], rules),
            lit_until,
            after.outlived,
        ),
    )


def _as_it_was(
    customer: str, before: Remembered, earlier: CustomerState | None, clock: Micros, detection: Detection
) -> Sequence[Finding]:
    """What the rules find in all that was held before anything arrived or was taken away."""
    rules = detection.rules
    steps = before.steps()
    if earlier is not None:
        steps = steps + earlier.steps()
    complete_from = rules.complete_from(before.forgotten_before)
    line = [step.interaction() for step in steps]
    final = final_of(before.known, complete_from)
    seen = detect(
        customer, line, clock, rules, final=final, complete_from=complete_from, id_key=detection.id_key
    )
    return seen.findings


def _is_quiet(
    before: Remembered, line: HeldLine, fresh: Sequence[int], clock: Micros, detection: Detection
) -> bool:
    """Whether evaluating the line anew would find what is remembered: only such things have arrived as no rule that
    could stand pays heed to, and nothing is due.
    """
    if not (line.grown and _is_before(clock, before.due)):
        return False
    if before.known and (before.forgotten_before is not None or not _is_before(clock, before.lit_until)):
        return False  # what is known may be forgotten, or the light be another
    arrived = 0
    for mark in fresh:
        arrived |= mark
    if not arrived:
        return True
    union = 0
    for mark in line.traits.marks:
        union |= mark
    return not detection.rules.touched(union, arrived)


def _untouched(known: Sequence[Finding], arrivals: Sequence[Interaction]) -> Sequence[Finding]:
    """The findings on whose evidence no arrival tells anything new: a final interaction may have come again, too."""
    if not known:
        return known
    came = {(one.source, one.id) for one in arrivals}
    return [one for one in known if came.isdisjoint([(seen.source, seen.id) for seen in one.evidence])]


def _replaced(
    before: Remembered, stayed: int, now: int, arrivals: Sequence[Interaction]
) -> Sequence[Identity]:
    """The arrivals that took the place of an earlier revision: if any did, those that are no first revision. `stayed`
    steps were on the timeline, and `now` there are so many in all.
    """
    if stayed + before.held + len(arrivals) <= now:
        return ()
    return [Identity(one.source, one.id) for one in arrivals if one.revision]


def _is_before(clock: Micros, until: Micros | None) -> bool:
    return until is None or clock < until


def _grown(before: Remembered, line: HeldLine, touched: Micros, detection: Detection) -> Remembered:
    """The same findings and light over a longer line, of which nothing stands aside."""
    return Remembered(
        detection.version,
        before.due,
        before.known,
        before.sequences,
        before.colours,
        0,
        b"",
        before.forgotten_before,
        touched,
        packed(line.traits.marks, detection.rules),
        before.lit_until,
        before.outlived,
    )


def _numbered(
    changes: Sequence[FindingChange], sequences: dict[str, int]
) -> tuple[Sequence[FindingChange], dict[str, int]]:
    if not changes:
        return changes, sequences
    counted = dict(sequences)
    numbered = []
    for change in changes:
        finding_id = change.finding.finding_id
        counted[finding_id] = counted.get(finding_id, 0) + 1
        numbered.append(msgspec.structs.replace(change, sequence=counted[finding_id]))
    return numbered, counted


def _held_aside(
    steps: Sequence[Step],
    cut: Micros,
    reached: Micros,
    held_until: Mapping[Identity, Micros | None],
    forgotten_before: Micros | None,
) -> tuple[Sequence[int], Micros | None]:
    """Which of the steps aside occurred at `cut` or later, or are such that something is expected of them beyond
    `reached`; and the instant since when everything is held (see `RuleSet.complete_from`).
    """
    if not steps or steps[0].occurred_at >= cut:
        return range(len(steps)), forgotten_before
    kept = [
        place
        for place, step in enumerate(steps)
        if step.occurred_at >= cut or _is_expected(held_until, Identity(*step.identity), reached)
    ]
    if len(kept) < len(steps):
        forgotten_before = cut if forgotten_before is None else max(forgotten_before, cut)
    return kept, forgotten_before


def _is_expected(expected: Mapping[Identity, Micros | None], identity: Identity, reached: Micros) -> bool:
    if identity not in expected:
        return False
    until = expected[identity]
    return until is None or until >= reached
