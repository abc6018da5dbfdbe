"""Why a finding was raised follows from what there is, not from the cut; what was moved or corrected is told truly."""

from collections.abc import Sequence
from itertools import groupby
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from schemas.findings import Finding, FindingChange, Identity
from schemas.interaction import DAY, Interaction, Micros
from streams.core.detection.calendars import HOUR
from streams.core.detection.detect import detect
from streams.core.detection.lifecycle import Transition, transition
from tests.builders import revised
from tests.properties.test_detection_laws import ANN, now_of, rules, stories

Why = dict[tuple[str, Micros], tuple[str, Identity | None]]


def stepped(
    line: Sequence[Interaction],
    now: Micros,
    arrivals: Sequence[Interaction] = (),
    known: Sequence[Finding] = (),
    due: Micros | None = None,
    removed: Sequence[Identity] = (),
    replaced: Sequence[Identity] = (),
) -> Transition:
    ordered = sorted(line, key=lambda one: one.position)
    return transition(
        known,
        detect(ANN, ordered, now, rules()),
        arrivals,
        now,
        rules(),
        removed=removed,
        replaced=replaced,
        due=due,
    )


def why_raised(changes: Sequence[FindingChange]) -> Why:
    """By finding and instant; one that was raised there again says what it says then."""
    return {
        (one.finding.finding_id, one.finding.raised_at): (one.reason, one.cause)
        for one in changes
        if one.kind == "raised"
    }


@given(stories, st.randoms(use_true_random=False), st.sampled_from((0, DAY, 9 * DAY)))
@settings(max_examples=100, deadline=None)
def test_whatever_the_order_and_the_cut_a_finding_has_the_same_reason(
    line: list[Interaction], rng: Random, later: Micros
) -> None:
    now = now_of(line, later)
    whole = why_raised(stepped(line, now, line).changes)
    instants = [list(together) for _, together in groupby(line, key=lambda one: one.occurred_at)]
    rng.shuffle(instants)
    held: list[Interaction] = []
    known: Sequence[Finding] = ()
    alone: Why = {}
    due: Micros | None = None
    for arrivals in instants:
        held += arrivals
        step = stepped(held, now, arrivals, known, due)
        known, due = step.known, step.next_due
        alone.update(why_raised(step.changes))
    assert {which: why for which, why in alone.items() if which in whole} == {
        which: why for which, why in whole.items() if which in alone
    }


@given(stories)
@settings(max_examples=100, deadline=None)
def test_heard_as_it_happens_a_finding_has_the_reason_that_it_has_in_retrospect(
    line: list[Interaction],
) -> None:
    whole = why_raised(stepped(line, now_of(line, 9 * DAY), line).changes)
    known: Sequence[Finding] = ()
    alone: Why = {}
    held: list[Interaction] = []
    due: Micros | None = None
    instants = [(at, list(together)) for at, together in groupby(line, key=lambda one: one.occurred_at)]
    for at, arrivals in (*instants, (now_of(line, 9 * DAY), [])):
        while due is not None and due <= at:
            step = stepped(held, due, (), known, due)
            known, due = step.known, step.next_due
            alone.update(why_raised(step.changes))
        held += arrivals
        step = stepped(held, at, arrivals, known, due)
        known, due = step.known, step.next_due
        alone.update(why_raised(step.changes))
    assert {which: why for which, why in alone.items() if which in whole} == {
        which: why for which, why in whole.items() if which in alone
    }


@given(stories, st.booleans(), st.sampled_from((0, DAY, 9 * DAY)))
@settings(max_examples=60, deadline=None)
def test_who_was_taken_away_or_corrected_is_told_where_nothing_else_could_have_raised_it(
    line: list[Interaction], corrects: bool, later: Micros
) -> None:
    """The same instant before and after: time did nothing, and nothing new came."""
    now = now_of(line, later)
    before = stepped(line, now, line)
    raised: list[tuple[str, Identity | None]] = []
    for gone in line:
        identity = Identity(*gone.key)
        rest = [one for one in line if one is not gone]
        if corrects:
            corrected = revised(gone, case_id="another", order_id=None, reason=None, outcome=None)
            step = stepped(
                [*rest, corrected], now, [corrected], before.known, before.next_due, (), [identity]
            )
        else:
            step = stepped(rest, now, (), before.known, before.next_due, [identity])
        told = set(why_raised(step.changes).values())
        assert told <= {("corrected" if corrects else "moved", identity)}
        raised += told
    event(f"raised: {bool(raised)}")


@given(stories, st.integers(1, 12 * 24))
@settings(max_examples=60, deadline=None)
def test_what_time_alone_would_have_raised_is_no_removals_doing(line: list[Interaction], hours: int) -> None:
    now = now_of(line)
    before = stepped(line, now, line)
    then = now + hours * HOUR
    alone = why_raised(stepped(line, then, (), before.known, before.next_due).changes)
    event(f"raised: {bool(alone)}")
    for gone in line:
        rest = [one for one in line if one is not gone]
        step = stepped(rest, then, (), before.known, before.next_due, [Identity(*gone.key)])
        for which, why in why_raised(step.changes).items():
            assert why == alone.get(which, why)
