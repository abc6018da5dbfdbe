"""Why a finding was raised, and by which interaction: whatever the cut of the log, and what only one step can tell."""

from collections.abc import Sequence

import pytest

from schemas.interaction import Interaction, Micros
from streams.catalogue.rule_files import load_rules
from streams.core.batch import advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.handover import Handover
from streams.core.policy import DEFAULT_POLICY
from tests.builders import answer, call, case_update, instant, mail, online, revised, visit

ANN, KEY = "crm:ann", b"crm:ann"
DETECTION = Detection(load_rules())
Told = tuple[str, str, str, str | None]


class Road:
    """Batches of one customer, evaluated at the times given; `removed` is what has become another's."""

    def __init__(self) -> None:
        self.state: bytes | None = None

    def batch(
        self,
        at: str | Micros,
        *arrivals: Interaction,
        removed: Sequence[Interaction] = (),
        forgotten: bool = False,
    ) -> list[Told]:
        now = instant(at) if isinstance(at, str) else at
        leaving = {KEY: [one.key for one in removed]} if removed else {}
        handover = Handover(leaving, {}, (), [KEY] if forgotten else ())
        result = advance_batch(
            lambda _: self.state, arrivals, [KEY], now, DEFAULT_POLICY, DETECTION, handover
        )
        self.state = result.states.get(KEY, self.state)
        return [
            (one.kind, one.finding.rule, one.reason, one.cause and one.cause.id) for one in result.changes
        ]


def raised(*arrivals: Interaction, now: str) -> list[Told]:
    """As replay tells it: all at once."""
    return [one for one in Road().batch(now, *arrivals) if one[0] == "raised"]


ASKED = mail("2026-03-02T09:00Z", ANN, case="C1", id="asked")
WAITS = case_update("waiting_customer", "2026-03-02T13:00Z", ANN, case="C1", id="waits")
GOES_ON = case_update("waiting_company", "2026-03-05T09:00Z", ANN, case="C1", id="goes on")
ANSWERED = answer("2026-03-05T13:00:01Z", ANN, case="C1", id="answered")
UNANSWERED = ("raised", "slow_answer", "deadline", None)


def test_who_waited_too_long_was_made_to_by_time_and_answered_by_who_came_a_second_late() -> None:
    whole = [ASKED, WAITS, GOES_ON, ANSWERED]
    assert Road().batch("2026-03-06", *whole) == [
        UNANSWERED,
        ("resolved", "slow_answer", "arrived", "answered"),
    ]
    live = Road()
    for one in whole[:-1]:
        assert live.batch(one.occurred_at, one) == []
    assert live.batch("2026-03-05T13:00:00.5Z") == [UNANSWERED]
    assert live.batch("2026-03-05T13:00:02Z", ANSWERED) == [
        ("resolved", "slow_answer", "arrived", "answered")
    ]


def test_the_promise_that_was_kept_too_late_did_not_break_it() -> None:
    made = call("2026-03-02T09:00Z", ANN, promise_what="refund", promise_due_at=instant("2026-03-03"), id="m")
    kept = online("payment", "2026-03-04", ANN, source=made.source, promise_kept_ref="m", id="kept")
    assert raised(made, kept, now="2026-03-10") == [("raised", "broken_promise", "deadline", None)]


def test_an_interaction_exactly_at_the_deadline_does_not_complete_what_waits_for_another() -> None:
    """Said again to be unresolved at the very instant at which 72 hours have passed."""
    said = call("2026-03-02T09:00Z", ANN, case="C1", ends="unresolved", direction="outbound", id="said")
    again = call("2026-03-05T09:00Z", ANN, case="C1", ends="unresolved", direction="outbound", id="again")
    assert raised(said, again, now="2026-03-06") == [("raised", "unresolved", "deadline", None)]


def test_the_interaction_that_completed_it_is_told_and_not_what_came_since() -> None:
    contacts = [call(f"2026-03-0{day}T10:00Z", ANN, case="C1", id=f"c{day}") for day in range(1, 7)]
    assert raised(*contacts, now="2026-03-06T10:00Z") == [("raised", "repeat_contact", "completed", "c3")]


def test_of_contacts_at_one_instant_the_first_that_was_one_too_many_completed_it() -> None:
    contacts = [call(f"2026-03-0{day}T10:00Z", ANN, case="C1", id=f"c{day}") for day in (1, 2)]
    contacts += [call("2026-03-03T10:00Z", ANN, case="C1", id=name) for name in ("c3", "c4")]
    assert raised(*contacts, now="2026-03-03T10:00Z") == [("raised", "repeat_contact", "completed", "c3")]


def test_whichever_of_two_prices_occurred_last_completed_the_overcharge_however_late_the_other_came() -> None:
    agreed = call(
        "2026-03-02T10:00Z", ANN, direction="outbound", price_agreed=100, price_ref="P", id="agreed"
    )
    charged = online("payment", "2026-03-03T10:00Z", ANN, price_charged=150, price_ref="P", id="charged")
    expected = [("raised", "overcharge", "completed", "charged")]
    assert raised(agreed, charged, now="2026-03-04") == expected
    live = Road()
    assert live.batch("2026-03-03T10:00Z", charged) == []
    assert live.batch("2026-03-04", agreed) == expected


def test_a_thousand_cuts_have_the_reason_of_the_cut_that_completed_them() -> None:
    cuts = [call(f"2026-03-0{day}T10:00Z", ANN, wait=700, id=f"c{day}") for day in range(1, 7)]
    by_c4 = ("raised", "thousand_cuts", "completed", "c4")
    assert by_c4 in raised(*cuts, now="2026-03-06T10:00Z")
    live = Road()
    alone = [live.batch(one.occurred_at, one) for one in cuts]
    assert sorted(alone[3]) == [("raised", "slow_answer", "completed", "c4"), by_c4]


SOLVED = call("2026-03-02T09:00Z", ANN, case="C1", ends="resolved", id="solved")
UNSOLVED = call("2026-03-02T10:00Z", ANN, case="C1", ends="unresolved", direction="outbound", id="unsolved")
CALLED = call("2026-03-02T11:00Z", ANN, case="C1", id="called")
OTHER = visit("2026-03-02T10:30Z", ANN, case="C9", id="other")


@pytest.fixture
def road() -> Road:
    """Solved, unsolved, called again: nothing was reopened, since it had not been solved in the end."""
    road = Road()
    assert road.batch("2026-03-02T12:00Z", SOLVED, UNSOLVED, CALLED, OTHER) == []
    return road


def test_what_stands_since_something_is_anothers_was_moved_by_that(road: Road) -> None:
    assert road.batch("2026-03-02T13:00Z", removed=[UNSOLVED]) == [
        ("raised", "reopened", "moved", "unsolved")
    ]


def test_what_stands_since_something_was_corrected_that_it_does_not_rest_on(road: Road) -> None:
    corrected = revised(UNSOLVED, outcome=None)
    assert road.batch("2026-03-02T13:00Z", corrected, revised(OTHER)) == [
        ("raised", "reopened", "corrected", "unsolved")
    ]


def test_what_rests_on_the_correction_was_corrected_too() -> None:
    waited = call("2026-03-02T10:00Z", ANN, wait=60, id="c")
    road = Road()
    assert road.batch("2026-03-02T10:00Z", waited) == []
    assert road.batch("2026-03-02T12:00Z", revised(waited, wait_seconds=700.0)) == [
        ("raised", "slow_answer", "corrected", "c")
    ]


def test_a_first_arrival_corrects_nothing_whatever_its_revision() -> None:
    assert raised(call("2026-03-02T10:00Z", ANN, wait=700, id="c", revision=3), now="2026-03-02T10:00Z") == [
        ("raised", "slow_answer", "completed", "c")
    ]


def test_what_came_to_complete_it_did_so_whatever_was_moved_or_corrected_beside_it(road: Road) -> None:
    again = call("2026-03-02T12:30Z", ANN, case="C9", id="again")
    third = call("2026-03-02T12:40Z", ANN, case="C9", id="third")
    assert ("raised", "repeat_contact", "completed", "third") in road.batch(
        "2026-03-02T13:00Z", again, third, revised(OTHER), removed=[UNSOLVED]
    )


def test_a_deadline_that_passed_long_ago_passes_only_since_the_answer_is_anothers() -> None:
    road = Road()
    in_time = answer("2026-03-02T10:00Z", ANN, case="C1", id="in time")
    assert road.batch("2026-03-02T10:00Z", ASKED, in_time) == []
    assert road.batch("2026-03-06", removed=[in_time]) == [("raised", "slow_answer", "moved", "in time")]


def test_a_deadline_that_was_brought_forward_by_a_correction_is_told_as_that() -> None:
    road = Road()
    made = call("2026-03-02T09:00Z", ANN, promise_what="refund", promise_due_at=instant("2026-03-20"), id="m")
    assert road.batch("2026-03-02T09:00Z", made) == []
    sooner = revised(made, promise_due_at=instant("2026-03-04"))
    assert road.batch("2026-03-05", sooner) == [("raised", "broken_promise", "corrected", "m")]


def test_a_deadline_that_passes_beside_a_removal_passes_all_the_same() -> None:
    road = Road()
    assert road.batch("2026-03-02T09:00Z", ASKED, OTHER) == []
    assert road.batch("2026-03-06", removed=[OTHER]) == [UNANSWERED]


def test_of_several_that_moved_the_one_that_a_finding_of_the_rule_rested_on_is_told() -> None:
    contacts = [call(f"2026-03-0{day}T10:00Z", ANN, case="C1", id=f"c{day}") for day in range(1, 6)]
    road = Road()
    road.batch("2026-03-05T10:00Z", OTHER, *contacts)
    assert road.batch("2026-03-05T11:00Z", removed=[OTHER, contacts[0]]) == [
        ("withdrawn", "repeat_contact", "moved", "c1"),
        ("raised", "repeat_contact", "moved", "c1"),
    ]


def test_a_correction_that_puts_right_without_being_evidence_is_told_as_one() -> None:
    """An answer that was noted under another case: it comes to be in time, and evidence of nothing."""
    road = Road()
    astray = answer("2026-03-02T10:00Z", ANN, case="C8", id="astray")
    road.batch("2026-03-02T10:00Z", ASKED, astray)
    assert road.batch("2026-03-06") == [UNANSWERED]
    assert road.batch("2026-03-06T12:00Z", revised(astray, case_id="C1")) == [
        ("withdrawn", "slow_answer", "corrected", "astray")
    ]


def test_a_customer_who_is_forgotten_in_part_is_told_of_what_is_left_alone() -> None:
    road = Road()
    waited = [call(f"2026-03-0{day}T10:00Z", ANN, wait=700, id=f"c{day}") for day in (2, 3)]
    road.batch("2026-03-04", *waited)
    told = road.batch("2026-03-05", removed=waited[:1], forgotten=True)
    assert [one for one in told if one[0] == "raised"] == [("raised", "slow_answer", "completed", "c3")]


def test_of_two_refunds_at_one_instant_the_one_that_was_enough_put_it_right() -> None:
    paid = online("payment", "2026-03-03T10:00Z", ANN, price_charged=110, price_ref="P", id="paid")
    agreed = call(
        "2026-03-02T10:00Z", ANN, direction="outbound", price_agreed=100, price_ref="P", id="agreed"
    )
    refunds = [
        online("payment", "2026-03-04T10:00Z", ANN, price_charged=-5, price_ref="P", id=name) for name in "ab"
    ]
    assert Road().batch("2026-03-05", agreed, paid, *refunds)[1:] == [
        ("resolved", "overcharge", "arrived", "b")
    ]
