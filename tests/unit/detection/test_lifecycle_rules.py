"""What a change of rules does to findings, and what it does not: told apart from what is learnt, then and later."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from schemas.interaction import Interaction
from streams.catalogue.rule_files import CATALOGUE, compile_files, read_rules
from streams.core.batch import advance_batch
from streams.core.detection.calendars import HOUR
from streams.core.detection.customer import Detection
from streams.core.detection.rule import RuleFile
from streams.core.identification.handover import Handover
from streams.core.policy import DEFAULT_POLICY
from tests.builders import answer, call, instant, online, revised, visit

ANN, KEY = "crm:ann", b"crm:ann"
SHIPPED = read_rules(sorted(CATALOGUE.glob("*.yaml")))
Told = tuple[str, str, str, str | None]


def rules(rule: str = "", **changes: Any) -> Detection:
    """The catalogue, with one rule that says something else."""
    return Detection(compile_files([changed(one, changes) if one.id == rule else one for one in SHIPPED]))


def changed(rule: RuleFile, changes: dict[str, Any]) -> RuleFile:
    """A rule with other fields, also of its first case."""
    of_rule = {name: value for name, value in changes.items() if name in RuleFile.model_fields}
    of_case = {name: value for name, value in changes.items() if name not in RuleFile.model_fields}
    first, *others = rule.stands_when
    return rule.model_copy(update={"stands_when": [first.model_copy(update=of_case), *others], **of_rule})


BEFORE = rules()
PATIENT = rules("slow_answer", within=80 * HOUR)
WITHOUT = rules("slow_answer", enabled=False)


class Road:
    """One customer, whose rules may change between two batches."""

    def __init__(self) -> None:
        self.detection = BEFORE
        self.state: bytes | None = None
        self.lit: list[str] = []

    def batch(self, at: str, *arrivals: Interaction, removed: Sequence[Interaction] = ()) -> list[Told]:
        leaving = {KEY: [one.key for one in removed]} if removed else {}
        handover = Handover(leaving, {}, (), ())
        result = advance_batch(
            lambda _: self.state, arrivals, [KEY], instant(at), DEFAULT_POLICY, self.detection, handover
        )
        self.state = result.states.get(KEY, self.state)
        self.lit += [light.colour for light in result.lights]
        return [
            (one.kind, one.finding.rule, one.reason, one.cause and one.cause.id) for one in result.changes
        ]


FORM = online("form", "2026-03-02T10:00Z", ANN, case="C1", id="form")
ANSWER = answer("2026-03-02T11:00Z", ANN, case="C1", id="answer")
RUDE = call("2026-03-02T10:00Z", ANN, treatment="rude", id="rude")
OTHER = visit("2026-03-05T10:00Z", ANN, case="C9", id="other")
SETTLED = [("settled", "slow_answer", "rule changed", None)]


@pytest.fixture
def road() -> Road:
    """A form that nobody has answered in time, as far as is known."""
    road = Road()
    road.batch("2026-03-02T10:00Z", FORM)
    assert road.batch("2026-03-04") == [("raised", "slow_answer", "deadline", None)]
    return road


@pytest.mark.parametrize("before_the_arrival", [True, False])
def test_after_an_edit_that_detects_the_same_the_late_answer_withdraws(
    road: Road, before_the_arrival: bool
) -> None:
    road.detection = rules("slow_answer", cool_down=HOUR)
    if before_the_arrival:
        assert road.batch("2026-03-04T01:00Z") == []
    assert road.batch("2026-03-04T02:00Z", ANSWER) == [("withdrawn", "slow_answer", "arrived", "answer")]


@pytest.mark.parametrize("before_the_arrival", [True, False])
def test_after_an_edit_that_detects_the_same_a_correction_puts_the_light_out(
    before_the_arrival: bool,
) -> None:
    road = Road()
    road.batch("2026-03-02T10:00Z", RUDE)
    road.detection = rules("bad_treatment", cool_down=HOUR)
    if before_the_arrival:
        assert road.batch("2026-03-02T11:00Z") == []
    assert road.batch("2026-03-02T12:00Z", revised(RUDE, treatment="professional")) == [
        ("withdrawn", "bad_treatment", "corrected", "rude")
    ]
    assert (road.lit[0], road.lit[-1]) == ("red", "green")


def test_after_an_edit_that_detects_the_same_what_comes_too_late_resolves(road: Road) -> None:
    road.detection = rules("slow_answer", cool_down=HOUR)
    late = answer("2026-03-04T02:00Z", ANN, case="C1", id="late")
    assert road.batch("2026-03-04T02:00Z", late) == [("resolved", "slow_answer", "arrived", "late")]


def test_what_the_changed_rule_does_not_find_is_settled_for_good(road: Road) -> None:
    road.detection = PATIENT
    assert road.batch("2026-03-04T01:00Z") == SETTLED
    assert road.batch("2026-03-04T02:00Z", ANSWER) == []
    road.detection = rules("slow_answer", within=80 * HOUR, cool_down=HOUR)
    assert road.batch("2026-03-05T10:00Z", OTHER) == []
    assert road.lit[-1] == "yellow"


def test_an_arrival_beside_the_change_of_rules_is_not_what_settled_it(road: Road) -> None:
    """Whether it would have been withdrawn under the rules of before is not asked: they came first."""
    road.detection = PATIENT
    assert road.batch("2026-03-04T01:00Z", ANSWER, OTHER) == SETTLED


def test_what_was_settled_by_the_rules_is_withdrawn_when_its_evidence_is_anothers(road: Road) -> None:
    road.detection = PATIENT
    assert road.batch("2026-03-04T01:00Z", OTHER) == SETTLED
    assert road.batch("2026-03-05", removed=[FORM]) == [("withdrawn", "slow_answer", "moved", "form")]


def test_what_the_changed_rule_finds_later_is_reopened_by_time(road: Road) -> None:
    road.detection = PATIENT
    assert road.batch("2026-03-04T01:00Z") == SETTLED
    assert road.batch("2026-03-30") == [("reopened", "slow_answer", "time", None)]


@pytest.mark.parametrize("between", [WITHOUT, PATIENT], ids=["taken out", "changed"])
@pytest.mark.parametrize("arrivals", [(), (OTHER,)], ids=["alone", "beside an arrival"])
def test_a_rule_that_is_put_back_reopens_by_the_rules(
    road: Road, between: Detection, arrivals: Sequence[Interaction]
) -> None:
    road.detection = between
    assert road.batch("2026-03-04T01:00Z") == SETTLED
    road.detection = BEFORE
    assert road.batch("2026-03-05T10:00Z", *arrivals) == [("reopened", "slow_answer", "rule changed", None)]
    assert road.batch("2026-03-05T11:00Z", ANSWER) == [("withdrawn", "slow_answer", "arrived", "answer")]


def test_a_rule_that_is_put_back_withdraws_what_has_been_disproved_meanwhile(road: Road) -> None:
    road.detection = WITHOUT
    assert road.batch("2026-03-04T01:00Z") == SETTLED
    assert road.batch("2026-03-04T02:00Z", ANSWER) == []
    road.detection = BEFORE
    assert road.batch("2026-03-05") == [("withdrawn", "slow_answer", "rule changed", None)]
    assert road.lit[-1] == "green"


def test_another_severity_is_the_rules_doing_whatever_comes_beside_it(road: Road) -> None:
    road.detection = rules("slow_answer", severity="severe")
    assert road.batch("2026-03-05T10:00Z", OTHER) == [("updated", "slow_answer", "rule changed", None)]


def test_once_the_rules_have_changed_what_is_learnt_is_told_as_ever(road: Road) -> None:
    """Nothing but time and arrivals is blamed for what comes after the change."""
    road.detection = rules("slow_answer", cool_down=HOUR)
    assert road.batch("2026-03-04T01:00Z") == []
    assert road.batch("2026-03-05", revised(FORM, order_id="O1")) == [
        ("updated", "slow_answer", "corrected", "form")
    ]


def waits(days: int) -> list[Interaction]:
    return [call(f"2026-03-0{day}T10:00Z", ANN, wait=700, id=f"c{day}") for day in range(1, days + 1)]


def test_what_gathered_findings_that_the_rules_find_no_more_is_withdrawn_by_the_rules() -> None:
    road = Road()
    road.batch("2026-03-04T10:00Z", *waits(4))
    road.detection = WITHOUT
    told = road.batch("2026-03-04T11:00Z")
    assert sorted(told) == [*SETTLED * 4, ("withdrawn", "thousand_cuts", "rule changed", None)]
    assert road.batch("2026-03-05T10:00Z", OTHER) == []


@pytest.mark.parametrize("change", [lambda: rules("slow_answer", cool_down=HOUR), lambda: WITHOUT])
def test_a_change_of_rules_tells_the_same_again_from_the_same_state(
    road: Road, change: Callable[[], Detection]
) -> None:
    """A worker that is killed in between, and another that begins where it was."""
    stored, road.detection = road.state, change()
    once = road.batch("2026-03-04T02:00Z", ANSWER)
    again = Road()
    again.state, again.detection = stored, change()
    assert (again.batch("2026-03-04T02:00Z", ANSWER), again.state) == (once, road.state)
