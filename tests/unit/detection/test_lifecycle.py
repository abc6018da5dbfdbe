"""What is told of a finding's life, and why."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.findings import Finding, FindingChange, Identity, decode_change, encode_change
from schemas.interaction import DAY, Interaction, Micros
from streams.catalogue.rule_files import CATALOGUE, compile_files, load_rules, read_rules
from streams.core.detection.detect import detect
from streams.core.detection.lifecycle import Transition, transition
from streams.core.detection.ruleset import RuleSet
from tests.builders import answer, call, instant, mail, online, revised

ANN = "crm:ann"
RULES = load_rules()
MAIL = mail("2026-03-02T10:00Z", ANN, about="billing", id="m")
DUE = instant("2026-03-03T10:00Z")


def step(
    known: Sequence[Finding],
    line: Sequence[Interaction],
    arrivals: Sequence[Interaction],
    now: Micros,
    rules: RuleSet = RULES,
    **more: Any,
) -> Transition:
    ordered = sorted(line, key=lambda one: one.position)
    return transition(known, detect(ANN, ordered, now, rules), arrivals, now, rules, **more)


def told(changes: Sequence[FindingChange]) -> list[tuple[str, str, str, str | None]]:
    return [(one.kind, one.finding.state, one.reason, one.cause and one.cause.id) for one in changes]


def test_a_deadline_raises_at_its_own_time() -> None:
    after = step((), [MAIL], [], DUE + 1)
    assert told(after.changes) == [("raised", "open", "deadline", None)]
    assert after.changes[0].at == after.known[0].raised_at == DUE
    assert after.next_due == DUE + 30 * DAY + 1


def test_nothing_new_tells_nothing() -> None:
    known = step((), [MAIL], [], DUE + 1).known
    again = step(known, [MAIL], [], DUE + DAY)
    assert again.changes == ()
    assert again.known == known


def test_the_last_piece_of_evidence_raises() -> None:
    wait = call("2026-03-02T10:00Z", ANN, wait=700.0, id="c")
    assert told(step((), [wait], [wait], wait.occurred_at).changes) == [("raised", "open", "completed", "c")]


def test_a_late_answer_resolves_and_an_answer_that_arrived_late_withdraws() -> None:
    known = step((), [MAIL], [MAIL], DUE + 1).known
    late = answer("2026-03-03T11:00Z", ANN, about="billing", id="late")
    resolved = step(known, [MAIL, late], [late], late.occurred_at)
    assert told(resolved.changes) == [("resolved", "resolved", "arrived", "late")]
    assert resolved.changes[0].at == late.occurred_at
    in_time = answer("2026-03-02T12:00Z", ANN, about="billing", id="in time")
    gone = step(resolved.known, [MAIL, in_time, late], [in_time], late.occurred_at)
    assert told(gone.changes) == [("withdrawn", "withdrawn", "arrived", "in time")]
    assert gone.changes[0].finding.resolved_at is None, "what never was true was never put right"
    assert gone.known == ()


def test_a_resolution_that_is_taken_back_reopens() -> None:
    late = answer("2026-03-03T11:00Z", ANN, about="billing", id="late")
    known = step((), [MAIL, late], [late], late.occurred_at).known
    corrected = revised(late, reason="tariff")
    assert told(step(known, [MAIL, corrected], [corrected], late.occurred_at).changes) == [
        ("reopened", "open", "corrected", "late")
    ]


def test_corrected_evidence_updates_what_still_stands() -> None:
    wait = call("2026-03-02T10:00Z", ANN, wait=700.0, id="c")
    known = step((), [wait], [wait], wait.occurred_at).known
    longer = revised(wait, wait_seconds=800.0)
    after = step(known, [longer], [longer], wait.occurred_at)
    assert told(after.changes) == [("updated", "open", "corrected", "c")]
    assert after.known[0].finding_id == known[0].finding_id
    assert after.known[0].sentence == "Waited 800 s for somebody to answer."


def test_age_settles_exactly_a_horizon_after_and_never_withdraws() -> None:
    known = step((), [MAIL], [], DUE + 1).known
    assert step(known, [MAIL], [], DUE + 30 * DAY).changes == ()
    settled = step(known, [MAIL], [], DUE + 30 * DAY + 1)
    assert told(settled.changes) == [("settled", "settled", "horizon", None)]
    assert settled.changes[0].at == DUE + 30 * DAY


def test_what_has_left_the_timeline_stays_as_it_was() -> None:
    known = step((), [MAIL], [], DUE + 31 * DAY).known
    far = call("2026-09-01T10:00Z", ANN, id="far")
    after = step(known, [far], [far], far.occurred_at, complete_from=far.occurred_at - 61 * DAY)
    assert after.changes == ()
    assert after.known == known


def test_what_is_final_and_older_than_the_memory_is_forgotten_silently() -> None:
    known = step((), [MAIL], [], DUE + 31 * DAY).known
    far = call("2028-03-01T10:00Z", ANN, id="far")
    after = step(known, [far], [far], far.occurred_at, complete_from=far.occurred_at, memory=280 * DAY)
    assert (after.known, after.changes) == ((), ())


def test_removed_evidence_withdraws_and_says_so() -> None:
    known = step((), [MAIL], [], DUE + 1).known
    gone = step(known, [], [], DUE + 1, removed=[Identity(*MAIL.key)])
    assert told(gone.changes) == [("withdrawn", "withdrawn", "moved", "m")]


def test_a_changed_rule_keeps_what_the_old_one_found() -> None:
    known = step((), [MAIL], [], DUE + 1).known
    files = read_rules(sorted(CATALOGUE.glob("*.yaml")))
    slower = [
        rule
        if rule.id != "slow_answer"
        else rule.model_copy(
            update={"stands_when": [rule.stands_when[0].model_copy(update={"within": 80 * 3_600_000_000})]}
        )
        for rule in files
    ]
    patient = compile_files(slower)
    after = step(known, [MAIL], [], DUE + 2, patient, changeover={})
    assert told(after.changes) == [("settled", "settled", "rule changed", None)]
    assert after.known[0].rule_version == known[0].rule_version
    assert after.outlived == (known[0].finding_id,)
    later = step(after.known, [MAIL], [], DUE + 3, patient, outlived=after.outlived)
    assert (later.changes, later.outlived) == ((), after.outlived)


def test_a_finding_that_still_stands_keeps_the_version_that_found_it() -> None:
    known = step((), [MAIL], [], DUE + 1).known
    files = read_rules(sorted(CATALOGUE.glob("*.yaml")))
    renamed = [rule.model_copy(update={"title": rule.title + "!"}) for rule in files]
    same = {one.finding_id: one for one in detect(ANN, [MAIL], DUE + 2, compile_files(renamed)).findings}
    after = step(known, [MAIL], [], DUE + 2, compile_files(renamed), changeover=same)
    assert (after.changes, after.outlived) == ((), ())
    assert after.known == known


def test_a_promise_due_in_three_months_is_held_until_then_and_longer() -> None:
    order = online(
        "order",
        "2026-03-02T10:00Z",
        ANN,
        promise_what="delivery",
        promise_due_at=instant("2026-06-02"),
        id="o",
    )
    held = detect(ANN, [order], order.occurred_at, RULES).held_until
    assert held == {Identity("web", "o"): instant("2026-06-02") + 61 * DAY}


@pytest.mark.parametrize("days", [100, 800])
def test_what_two_rules_ask_for_is_held_as_long_as_either_asks(days: int) -> None:
    at = instant("2026-03-02T10:00Z")
    promise: dict[str, Any] = {"promise_what": "delivery", "promise_due_at": at + days * DAY}
    price: dict[str, Any] = {"price_agreed": Decimal(9), "price_ref": "P"}

    def held(**more: Any) -> Micros:
        order = online("order", "2026-03-02T10:00Z", ANN, id="o", **more)
        until = detect(ANN, [order], at, RULES).held_until[Identity("web", "o")]
        assert until is not None
        return until

    assert held(**promise, **price) == max(held(**promise), held(**price))


def test_what_one_rule_asks_for_for_ever_is_held_for_ever() -> None:
    asked = online(
        "case_update", "2026-03-02T11:00Z", ANN, action="waiting_customer", about="billing", id="a"
    )
    mail = msgspec.structs.replace(MAIL, price_agreed=Decimal(9), price_ref="P")
    assert detect(ANN, [mail, asked], asked.occurred_at, RULES).held_until[Identity(*mail.key)] is None


def test_a_mail_whose_clock_stands_still_is_held_as_long_as_it_does() -> None:
    asked = online(
        "case_update", "2026-03-02T11:00Z", ANN, action="waiting_customer", about="billing", id="asked"
    )
    seen = detect(ANN, [MAIL, asked], asked.occurred_at, RULES)
    assert {(one.id, until) for one, until in seen.held_until.items()} == {("m", None), ("asked", None)}
    assert seen.next_due is None


def test_a_change_survives_encoding() -> None:
    (change,) = step((), [MAIL], [], DUE + 1).changes
    assert decode_change(encode_change(change)) == change
    assert msgspec.json.decode(msgspec.json.encode(change), type=FindingChange) == change
