"""The laws of detection: a set in, a set out; what is forgotten is final; what is due is due exactly then."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from itertools import combinations
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.findings import Finding, Identity
from schemas.interaction import DAY, SECOND, Interaction, Micros
from streams.catalogue.rule_files import load_rules
from streams.core.detection.calendars import HOUR
from streams.core.detection.detect import detect
from streams.core.detection.lifecycle import final_of, transition
from streams.core.detection.light import MINUTE, LightPolicy, light_of
from streams.core.detection.ruleset import RuleSet
from streams.core.facets import subjects_of
from tests import builders

ANN = "crm:ann"
START = 20_514 * DAY  # a Monday
FAR = START + 2_000 * DAY


@cache
def rules(horizon_days: int = 30) -> RuleSet:
    return load_rules(horizon=horizon_days * DAY)


KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("phone", "call", {"direction": "inbound"}),
    ("phone", "call", {"direction": "inbound", "wait_seconds": 700.0}),
    ("phone", "call", {"direction": "inbound", "outcome": "unresolved"}),
    ("phone", "call", {"direction": "inbound", "outcome": "resolved"}),
    ("phone", "call", {"direction": "inbound", "outcome": "abandoned"}),
    ("phone", "call", {"direction": "outbound", "outcome": "resolved"}),
    ("email", "message", {"direction": "inbound"}),
    ("email", "message", {"direction": "outbound"}),
    ("visit", "visit", {"treatment": "indifferent"}),
    ("visit", "visit", {"treatment": "rude"}),
    ("visit", "visit", {"transfers": 2}),
    ("online", "chat", {}),
    ("online", "page_view", {}),
    ("online", "form", {"complaint_stage": "received"}),
    ("online", "survey", {"rating_scale": "csat5", "rating_value": 2.0}),
    ("online", "self_service", {"success": False}),
    ("online", "case_update", {"action": "waiting_customer"}),
    ("online", "case_update", {"action": "waiting_company"}),
    ("online", "case_update", {"action": "reopened"}),
    ("online", "payment", {"price_currency": "EUR"}),
    ("online", "order", {"price_currency": "EUR"}),
    ("phone", "call", {"direction": "inbound", "promise_what": "call back"}),
    ("online", "delivery", {}),
)
SUBJECTS: tuple[dict[str, str], ...] = (
    {},
    {"case_id": "C"},
    {"reason": "billing"},
    {"reason": "billing", "case_id": "D"},
    {"order_id": "O"},
    {"order_id": "O", "case_id": "C"},
)


def story(seed: int, length: int, days: int) -> list[Interaction]:
    """Interactions of one customer on a coarse grid of times, so that boundaries are met."""
    rng = Random(seed)
    made: list[Interaction] = []
    for number in range(length):
        channel, kind, said = rng.choice(KINDS)
        at = START + rng.randrange(days) * DAY + rng.choice((9, 10, 16, 17)) * HOUR
        fields = {**said, **rng.choice(SUBJECTS)}
        if kind == "payment":
            fields["price_charged"] = Decimal(rng.choice(("100", "105", "-5", "60")))
            fields["price_ref"] = rng.choice((None, "P"))
        elif kind == "order":
            fields["price_agreed"] = Decimal(rng.choice(("100", "104")))
            fields["price_ref"] = rng.choice((None, "P"))
        elif "promise_what" in fields:
            fields["promise_due_at"] = at + rng.choice((1, 2, 90)) * DAY
        elif kind == "delivery" and number:
            fields["promise_kept_ref"] = f"i{rng.randrange(number)}"
        made.append(builders.interaction(channel, kind, at, ANN, id=f"i{number}", **fields))  # type: ignore[arg-type]
    return sorted(made, key=lambda one: one.position)


def bills(seed: int, length: int, days: int) -> list[Interaction]:
    """Prices agreed, charged and paid back, by reference and by order, with calls of no interest in between."""
    rng = Random(seed)
    made: list[Interaction] = []
    for number in range(length):
        at = START + rng.randrange(days) * DAY + rng.choice((9, 10)) * HOUR
        said: dict[str, Any] = {"price_currency": "EUR", "price_ref": rng.choice((None, None, "P", "Q"))}
        said["order_id"] = rng.choice((None, "O", "O"))
        kind = rng.choice(("payment", "payment", "payment", "order", "call", "both"))
        if kind in ("payment", "both"):
            said["price_charged"] = Decimal(rng.choice(("60", "60", "110", "130", "-5", "-30")))
        if kind in ("order", "both"):
            said["price_agreed"] = Decimal(rng.choice(("50", "100", "104", "150")))
        if kind == "call":
            said = {"direction": "inbound"}
        channel, kind = ("phone", kind) if kind == "call" else ("online", "order" if kind == "both" else kind)
        made.append(builders.interaction(channel, kind, at, ANN, id=f"i{number:02}", **said))  # type: ignore[arg-type]
    return sorted(made, key=lambda one: one.position)


def troubles(seed: int, length: int, days: int) -> list[Interaction]:
    """Contacts with several small troubles each, now and then a grave one among them."""
    rng = Random(seed)
    made: list[Interaction] = []
    for number in range(length):
        at = START + rng.randrange(days) * DAY + rng.choice((9, 10)) * HOUR
        said: dict[str, Any] = {"direction": "inbound", "reason": rng.choice(("billing", "tariff"))}
        if rng.random() < 0.5:
            said["wait_seconds"] = 700.0
        if rng.random() < 0.5:
            said["transfers"] = 2
        if rng.random() < 0.3:
            said["treatment"] = rng.choice(("indifferent", "indifferent", "rude"))
        made.append(builders.call(at, ANN, id=f"i{number:02}", **said))
    return sorted(made, key=lambda one: one.position)


KINDS_OF_TROUBLE = (
    "wait",
    "wait",
    "wait",
    "gave up",
    "gave up",
    "gave up",
    "failed",
    "failed",
    "asked",
    "charged",
)


def mixed_troubles(seed: int, length: int, days: int) -> list[Interaction]:
    """Small troubles that make each other graver: who gives up again, who is charged again, whom self-service fails."""
    rng = Random(seed)
    made: list[Interaction] = []
    for number in range(length):
        at = START + rng.randrange(days) * DAY + rng.choice((9, 10)) * HOUR
        name = f"i{number:02}"
        match rng.choice(KINDS_OF_TROUBLE):
            case "wait":
                more = {"outcome": "abandoned"} if rng.random() < 0.2 else {"treatment": "indifferent"}
                one = builders.visit(at, ANN, id=name, wait=2000, **(more if rng.random() < 0.5 else {}))
            case "gave up":
                one = builders.chat(at, ANN, id=name, ends="abandoned")
            case "failed":
                mood = {"sentiment": -1.0} if rng.random() < 0.5 else {}
                one = builders.online("self_service", at, ANN, id=name, success=False, reason="login", **mood)
            case "asked":
                one = builders.visit(at, ANN, id=name, reason="login")
            case _:
                price = {"price_charged": Decimal(rng.choice(("15", "30"))), "price_agreed": Decimal(20)}
                one = builders.visit(at, ANN, id=name, wait=2000, order_id="O", price_currency="EUR", **price)
        made.append(one)
    return sorted(made, key=lambda one: one.position)


def verdicts(seed: int, length: int, days: int) -> list[Interaction]:
    """Matters said to be unresolved, and resolved now and then, by keys that overlap."""
    rng = Random(seed)
    made: list[Interaction] = []
    for number in range(length):
        at = START + rng.randrange(days) * DAY + rng.randrange(24) * HOUR
        said: dict[str, Any] = {"outcome": rng.choice(("unresolved", "unresolved", "unresolved", "resolved"))}
        said["case_id"] = rng.choice((None, "C", "D"))
        said["reason"] = rng.choice((None, "billing", "tariff"))
        made.append(builders.call(at, ANN, id=f"i{number:02}", **said))
    return sorted(made, key=lambda one: one.position)


def bills_of_one_kind(seed: int, length: int, days: int) -> list[Interaction]:
    """Bills whose prices were all agreed with a reference, or all without: of an order with both, what would
    count without one of them is told approximately.
    """
    named = seed % 2 == 0
    return [
        one
        for one in bills(seed, length, days)
        if one.price_agreed is None or (one.price_ref is not None) is named
    ]


stories = st.builds(story, st.integers(0, 10**9), st.integers(1, 16), st.sampled_from((2, 8, 20, 45)))
long_stories = st.builds(story, st.integers(0, 10**9), st.integers(10, 45), st.sampled_from((60, 120, 400)))
years_of_bills = st.builds(
    bills, st.integers(0, 10**9), st.integers(10, 60), st.sampled_from((60, 400, 1_500, 4_000))
)


def now_of(line: Sequence[Interaction], later: Micros = 0) -> Micros:
    return line[-1].occurred_at + later


@given(stories, st.randoms(use_true_random=False), st.sampled_from((0, DAY, 9 * DAY)))
@settings(max_examples=60, deadline=None)
def test_any_order_of_arrival_and_any_repetition_end_in_the_same_findings(
    line: list[Interaction], rng: Random, later: Micros
) -> None:
    now = now_of(line, later)
    arrivals = line + rng.sample(line, len(line) // 2)
    rng.shuffle(arrivals)
    held: dict[Identity, Interaction] = {}
    known: tuple[Finding, ...] = ()
    while arrivals:
        size = rng.randint(1, 3)
        batch, arrivals = arrivals[:size], arrivals[size:]
        held.update({Identity(*one.key): one for one in batch})
        ordered = sorted(held.values(), key=lambda one: one.position)
        known = transition(known, detect(ANN, ordered, now, rules()), batch, now, rules()).known
    assert known == detect(ANN, line, now, rules()).findings


@given(stories, st.integers(0, 100 * 24))
@settings(max_examples=120, deadline=None)
def test_next_due_is_the_very_instant_of_the_next_change(line: list[Interaction], hours: int) -> None:
    now = line[0].occurred_at + hours * HOUR
    seen = detect(ANN, line, now, rules())
    if seen.next_due is None:
        assert detect(ANN, line, FAR, rules()).findings == seen.findings
        return
    assert seen.next_due > now
    assert detect(ANN, line, seen.next_due - 1, rules()).findings == seen.findings
    assert detect(ANN, line, seen.next_due, rules()).findings != seen.findings


def as_it_comes(
    line: list[Interaction], ruled: RuleSet, late_days: int, rng: Random
) -> Iterator[tuple[Micros, list[Interaction], tuple[Finding, ...]]]:
    """After each arrival: the clock, what is held of the timeline then, and what is known."""
    arrivals = sorted(line, key=lambda one: (one.occurred_at + rng.randint(0, late_days) * DAY, one.id))
    held: list[Interaction] = []
    known: tuple[Finding, ...] = ()
    forgotten_before: Micros | None = None
    newest = 0
    for arrival in arrivals:
        newest = max(newest, arrival.occurred_at)
        held = sorted([*held, arrival], key=lambda one: one.position)
        complete_from = ruled.complete_from(forgotten_before)
        final = final_of(known, complete_from)
        seen = detect(ANN, held, newest, ruled, final=final, complete_from=complete_from)
        known = transition(known, seen, [arrival], newest, ruled, complete_from=complete_from).known
        kept = []
        for one in held:
            until = seen.held_until.get(Identity(*one.key), one.occurred_at)
            if one.occurred_at >= newest - ruled.lookback or until is None or until >= newest:
                kept.append(one)
            else:
                forgotten_before = newest - ruled.lookback
        held = kept
        yield newest, held, known


@given(st.one_of(long_stories, years_of_bills), st.integers(0, 4), st.randoms(use_true_random=False))
@settings(max_examples=160, deadline=None)
def test_what_is_settled_and_the_pruned_timeline_tell_what_the_whole_history_tells(
    line: list[Interaction], late_days: int, rng: Random
) -> None:
    """Arrivals are late by less than the horizon (five days)."""
    ruled = rules(5)
    *_, (clock, _, known) = as_it_comes(line, ruled, late_days, rng)
    assert known == detect(ANN, line, clock, ruled).findings


def test_ten_years_of_monthly_bills_hold_the_agreed_price_and_a_few_of_them() -> None:
    contract = {"price_ref": "P", "price_currency": "EUR"}
    line = [builders.online("order", START, ANN, id="agreed", price_agreed=Decimal(50), **contract)]
    for month in range(1, 120):
        at = START + month * 31 * DAY
        paid = Decimal(51 if month == 119 else 50)
        line.append(builders.online("payment", at, ANN, id=f"{month}", price_charged=paid, **contract))
    *_, (_, held, known) = as_it_comes(line, rules(), 0, Random(0))
    assert [(one.anchor.id, one.counterfactual) for one in known] == [("119", (Identity("web", "119"),))]
    assert held[0].id == "agreed"
    assert len(held) < 20


def test_charges_of_which_no_price_was_agreed_are_not_held() -> None:
    line = [
        builders.online("payment", START, ANN, price_charged=Decimal(9), price_ref="P", order_id="O"),
        builders.online("order", START + DAY, ANN, id="o", price_agreed=Decimal(9), price_ref="Q"),
    ]
    assert [one.id for one in detect(ANN, line, now_of(line), rules()).held_until] == ["o"]


@given(stories)
@settings(max_examples=60, deadline=None)
def test_what_is_at_hand_saves_work_and_nothing_else(line: list[Interaction]) -> None:
    now = now_of(line, 3 * DAY)
    plain = detect(ANN, line, now, rules())
    known = detect(ANN, line[:-1], now, rules()).findings
    assert detect(ANN, line, now, rules(), traits=rules().traits(line), known=known) == plain


@given(stories)
@settings(max_examples=60, deadline=None)
def test_an_interaction_that_fulfils_no_condition_changes_nothing(line: list[Interaction]) -> None:
    now = now_of(line, 3 * DAY)
    marked = [one for one in line if rules().mark(one)]
    assert detect(ANN, marked, now, rules()) == detect(ANN, line, now, rules())


@given(stories)
@example(story(491, 12, 2))
@settings(max_examples=80, deadline=None)
def test_without_the_counterfactual_it_does_not_stand(line: list[Interaction]) -> None:
    now = now_of(line, 3 * DAY)
    for finding in detect(ANN, line, now, rules()).findings:
        evidence = {one.identity for one in finding.evidence}
        assert set(finding.counterfactual) <= evidence
        without = [one for one in line if Identity(*one.key) not in finding.counterfactual]
        for other in detect(ANN, without, now, rules()).findings:
            same = (other.rule, other.case) == (finding.rule, finding.case)
            if finding.rule in ("reopened", "gave_up"):
                same &= other.anchor == finding.anchor  # each contact has one of its own
            assert not (
                same
                and other.subjects == finding.subjects
                and {e.identity for e in other.evidence} <= evidence
            )


short = st.one_of(
    st.builds(
        bills_of_one_kind, st.integers(0, 10**9), st.integers(2, 9), st.sampled_from((4, 20, 60))
    ).filter(bool),
    st.builds(troubles, st.integers(0, 10**9), st.integers(2, 7), st.sampled_from((4, 20, 60))),
    st.builds(verdicts, st.integers(0, 10**9), st.integers(2, 8), st.sampled_from((4, 10, 50))),
)


def in_its_place(finding: Finding, before: Sequence[Finding], after: Sequence[Finding]) -> list[Finding]:
    """What stands after on some of its evidence and while it would have, and did not just so before."""
    evidence = {one.identity for one in finding.evidence}
    until = finding.raised_at + rules().horizon + (finding.rule != "unresolved")  # past a deadline, not at it
    if finding.resolved_at is not None:
        until = finding.resolved_at
    return [
        other
        for other in after
        if (other.rule, other.case) == (finding.rule, finding.case)
        and not evidence.isdisjoint({one.identity for one in other.evidence})
        and other.raised_at < until
        and (other.resolved_at is None or other.resolved_at > finding.raised_at)
        and (other == finding or other not in before)
    ]


@given(short, st.sampled_from((0, DAY, 3 * DAY, 40 * DAY)))
@settings(max_examples=150, deadline=None)
def test_no_smaller_set_of_its_evidence_than_the_counterfactual_does(
    line: list[Interaction], later: Micros
) -> None:
    """Without the counterfactual nothing new stands on its evidence alone; without fewer something on some of it."""
    now = now_of(line, later)
    before = detect(ANN, line, now, rules()).findings
    ids = {one.finding_id for one in before}

    def left(finding: Finding, gone: Sequence[Identity]) -> list[Finding]:
        without = [one for one in line if Identity(*one.key) not in gone]
        return in_its_place(finding, before, detect(ANN, without, now, rules()).findings)

    for finding in before:
        if finding.rule not in ("overcharge", "thousand_cuts", "unresolved"):
            continue
        evidence = {one.identity for one in finding.evidence}
        assert set(finding.counterfactual) <= evidence
        for other in left(finding, finding.counterfactual):
            of_another = other.finding_id in ids - {finding.finding_id}  # which has a refund more, say
            assert of_another or not {one.identity for one in other.evidence} <= evidence
        for fewer in range(len(finding.counterfactual)):
            assert all(left(finding, gone) for gone in combinations(sorted(evidence), fewer))


@given(
    st.builds(mixed_troubles, st.integers(0, 10**9), st.integers(5, 10), st.sampled_from((6, 12, 25))),
    st.sampled_from((0, 3 * DAY)),
)
@settings(max_examples=300, deadline=None)
def test_without_the_counterfactual_of_a_thousand_cuts_none_stands_on_its_evidence_and_without_fewer_one_does(
    line: list[Interaction], later: Micros
) -> None:
    """The whole catalogue is asked: whatever becomes graver or milder when these interactions are gone."""
    now = now_of(line, later)

    def stands_without(gone: Sequence[Identity], evidence: set[Identity]) -> bool:
        without = [one for one in line if Identity(*one.key) not in gone]
        return any(
            one.rule == "thousand_cuts" and not evidence.isdisjoint([seen.identity for seen in one.evidence])
            for one in detect(ANN, without, now, rules()).findings
        )

    for finding in detect(ANN, line, now, rules()).findings:
        if finding.rule != "thousand_cuts":
            continue
        evidence = {one.identity for one in finding.evidence}
        assert set(finding.counterfactual) <= evidence
        assert not stands_without(finding.counterfactual, evidence)
        for fewer in range(len(finding.counterfactual)):
            assert all(stands_without(gone, evidence) for gone in combinations(sorted(evidence), fewer))


def attempts(seed: int, length: int) -> list[Interaction]:
    """Self-service that fails on one day, and contacts on the next: some lie within a day of some attempts."""
    rng = Random(seed)
    made: list[Interaction] = []
    for number in range(length):
        at = START + rng.randrange(8) * HOUR
        about = {"reason": rng.choice(("login", "login", "login", "payment"))}
        if rng.random() < 0.6:
            made.append(builders.online("self_service", at, ANN, id=f"i{number}", success=False, **about))
        else:
            made.append(builders.call(at + DAY - 2 * HOUR, ANN, id=f"i{number}", **about))
    return sorted(made, key=lambda one: one.position)


@given(st.builds(attempts, st.integers(0, 10**9), st.integers(3, 9)))
@settings(max_examples=200, deadline=None)
def test_no_smaller_set_keeps_failed_attempts_from_being_followed(line: list[Interaction]) -> None:
    now = now_of(line)

    def stand_without(gone: Sequence[Identity], evidence: set[Identity]) -> bool:
        without = [one for one in line if Identity(*one.key) not in gone]
        return any(
            one.rule == "self_service_failed" and one.anchor in evidence
            for one in detect(ANN, without, now, rules()).findings
        )

    for finding in detect(ANN, line, now, rules()).findings:
        if finding.rule != "self_service_failed":
            continue
        evidence = {one.identity for one in finding.evidence}
        assert not stand_without(finding.counterfactual, evidence)
        for fewer in range(len(finding.counterfactual)):
            assert all(stand_without(gone, evidence) for gone in combinations(sorted(evidence), fewer))


@given(st.builds(verdicts, st.integers(0, 10**9), st.integers(2, 10), st.sampled_from((4, 10, 50))))
@settings(max_examples=300, deadline=None)
def test_whoever_said_unresolved_and_got_no_resolution_in_time_is_evidence(line: list[Interaction]) -> None:
    """No matter is lost in another's episode: for each alone the plain words of the rule hold."""
    now = now_of(line, 4 * DAY)
    found = {
        one.identity
        for finding in detect(ANN, line, now, rules()).findings
        if finding.rule == "unresolved"
        for one in finding.evidence
    }
    for said in line:
        subjects = set(subjects_of(said))
        if said.outcome != "unresolved" or not subjects:
            continue
        in_time = any(
            one.outcome == "resolved"
            and said.occurred_at < one.occurred_at <= said.occurred_at + 3 * DAY
            and subjects & set(subjects_of(one))
            for one in line
        )
        assert in_time or Identity(*said.key) in found


@given(stories)
@settings(max_examples=40, deadline=None)
def test_ids_are_distinct_and_every_sentence_is_told(line: list[Interaction]) -> None:
    findings = detect(ANN, line, now_of(line, 3 * DAY), rules()).findings
    assert len({one.finding_id for one in findings}) == len(findings)
    for one in findings:
        assert one.sentence
        assert "{" not in one.sentence
        assert one.anchor in {evidence.identity for evidence in one.evidence}
        assert [e.occurred_at for e in one.evidence] == sorted(e.occurred_at for e in one.evidence)


def finding(
    number: int, raised_at: Micros, severity: str, channel: str = "phone", state: str = "open"
) -> Finding:
    weight = {"minor": 1.0, "major": 3.0, "severe": 10.0}[severity]
    return Finding(
        f"{number:032x}", "rule", "v", "default", ANN, severity, weight, channel, state, raised_at, None,  # type: ignore[arg-type]
        Identity("s", str(number)), (), (), "because", "act",
    )  # fmt: skip


lights = st.lists(
    st.tuples(
        st.integers(0, 60 * 24),
        st.sampled_from(("minor", "major", "severe")),
        st.sampled_from(("phone", "visit")),
    ),
    max_size=8,
).map(
    lambda drawn: [
        finding(number, START + hours * HOUR + 7 * SECOND, severity, channel)
        for number, (hours, severity, channel) in enumerate(drawn)
    ]
)


@given(lights, st.integers(0, 120 * 24))
@settings(deadline=None)
def test_the_lines_sum_to_the_score_exactly(findings: list[Finding], hours: int) -> None:
    light = light_of(ANN, findings, START + hours * HOUR)
    assert sum(line.points for line in light.contributions) == light.score
    assert sum(channel.score for channel in light.by_channel) == light.score
    for channel in light.by_channel:
        mine = [line.points for line in light.contributions if line.channel == channel.channel]
        assert sum(mine) == channel.score


@given(lights, st.integers(0, 120 * 24))
@settings(deadline=None)
def test_a_withdrawn_finding_leaves_the_light_as_if_it_had_never_been(
    findings: list[Finding], hours: int
) -> None:
    at = START + hours * HOUR
    gone = [msgspec.structs.replace(one, state="withdrawn") for one in findings[:2]]
    assert light_of(ANN, gone + findings[2:], at) == light_of(ANN, findings[2:], at)


def colours(findings: list[Finding], at: Micros) -> Any:
    light = light_of(ANN, findings, at)
    return light.colour, [(channel.channel, channel.colour) for channel in light.by_channel]


@given(lights)
@settings(deadline=None)
def test_the_next_change_of_a_light_is_the_very_instant(findings: list[Finding]) -> None:
    now = START + 61 * DAY
    light = light_of(ANN, findings, now)
    if light.next_change is None:
        assert light.colour == "green"
        return
    assert light.next_change > now
    assert colours(findings, light.next_change - 1) == colours(findings, now)
    assert colours(findings, light.next_change) != colours(findings, now)


def test_one_severe_finding_is_red_at_once_and_fades_through_yellow_to_green() -> None:
    light = light_of(ANN, [finding(1, START, "severe")], START)
    assert light.colour == "red"
    assert light.next_change is not None
    later = light_of(ANN, [finding(1, START, "severe")], light.next_change)
    assert later.colour == "yellow"
    assert later.next_change is not None
    assert light_of(ANN, [finding(1, START, "severe")], later.next_change).colour == "green"


def test_four_small_ones_are_yellow_and_nine_are_red() -> None:
    assert light_of(ANN, [finding(n, START, "minor") for n in range(2)], START).colour == "green"
    assert light_of(ANN, [finding(n, START, "minor") for n in range(3)], START).colour == "yellow"
    assert light_of(ANN, [finding(n, START, "minor") for n in range(9)], START).colour == "red"


def test_a_light_goes_down_only_when_it_has_fallen_by_the_hysteresis() -> None:
    policy = LightPolicy(half_life=DAY, yellow=3, red=9, hysteresis=0.5)
    one = [finding(1, START, "major")]
    assert light_of(ANN, one, START + DAY, policy).colour == "yellow"
    assert light_of(ANN, one, START + DAY + MINUTE, policy).colour == "green"


@pytest.mark.parametrize("half_life", [0, -1])
def test_a_light_without_a_half_life_is_refused(half_life: int) -> None:
    with pytest.raises(ValueError, match="half-life"):
        LightPolicy(half_life=half_life)
