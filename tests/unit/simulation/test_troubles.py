"""What the stories plant is what their events say, by the catalogue's definitions."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from schemas.codec import Decoder
from schemas.interaction import DAY, Interaction
from streams.simulation import Simulation, Trouble
from streams.simulation.scenarios import SCENARIOS
from streams.simulation.working_time import HOUR, after_working_time, is_working, next_opening

UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
KINDS = {
    "overcharge", "repeat_contact", "reopened", "unresolved", "slow_answer", "broken_promise", "bad_treatment",
    "passed_around", "self_service_failed", "gave_up", "low_rating", "complaint_unacknowledged", "thousand_cuts",
}  # fmt: skip


class Told:
    """A simulation read to its end: the final revision of each interaction, and the planted troubles."""

    def __init__(self) -> None:
        self.simulation = Simulation(21, 2_500, UNTIL, share_identified=1.0)
        decoder = Decoder("BG", 300_000_000, lambda known, _: known.crm_id)
        self.final: dict[tuple[str, str], Interaction] = {}
        for event in self.simulation.events():
            each = decoder.decode(
                event.value, event.headers, event.channel, 0, 0, None, self.simulation.until
            )
            if isinstance(each, Interaction):
                held = self.final.get(each.key)
                if held is None or each.revision > held.revision:
                    self.final[each.key] = each
        self.troubles = self.simulation.truth().troubles

    def of(self, kind: str) -> list[tuple[Trouble, list[Interaction]]]:
        return [
            (trouble, [self.final[key] for key in trouble.evidence])
            for trouble in self.troubles
            if trouble.kind == kind
        ]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def test_every_kind_of_the_catalogue_is_planted(told: Told) -> None:
    assert {trouble.kind for trouble in told.troubles} == KINDS


def test_every_scenario_is_told_and_most_are_smooth(told: Told) -> None:
    counts = told.simulation.truth().scenarios
    assert set(counts) == {scenario.name for scenario in SCENARIOS}
    smooth = sum(
        counts[scenario.name] for scenario in SCENARIOS if scenario.tell.__module__.endswith("smooth")
    )
    assert smooth > 0.6 * counts.total()


def test_evidence_exists_belongs_to_the_customer_and_comes_in_order(told: Told) -> None:
    for trouble in told.troubles:
        evidence = [told.final[key] for key in trouble.evidence]
        assert {each.customer for each in evidence} == {trouble.customer}
        assert [each.occurred_at for each in evidence] == sorted(each.occurred_at for each in evidence)
        assert trouble.since <= told.simulation.until
        assert (trouble.resolved_at is not None) == (trouble.state == "resolved")


def test_an_overcharge_is_above_the_agreed_price_unless_it_was_corrected(told: Told) -> None:
    for trouble, (agreed, charged) in told.of("overcharge"):
        assert agreed.price_ref == charged.price_ref
        assert agreed.price_currency == charged.price_currency
        over = charged.price_charged > agreed.price_agreed  # type: ignore[operator]
        assert over == (trouble.state != "withdrawn")
        if trouble.state == "withdrawn":
            assert charged.revision > 0


def test_repeated_contacts_share_a_subject_within_seven_days(told: Told) -> None:
    for _, contacts in told.of("repeat_contact"):
        assert len(contacts) >= 3
        assert len({each.reason for each in contacts}) == 1
        assert contacts[2].occurred_at - contacts[0].occurred_at <= 7 * DAY


def test_a_broken_promise_was_not_kept_by_its_time(told: Told) -> None:
    kept = {each.promise_kept_ref: each for each in told.final.values() if each.promise_kept_ref}
    for trouble, (promised,) in told.of("broken_promise"):
        assert promised.promise_due_at is not None or promised.promise_due_on is not None
        if promised.promise_due_at is not None:
            assert promised.promise_due_at == trouble.since
        if promised.id in kept:
            assert kept[promised.id].occurred_at > trouble.since
            assert kept[promised.id].occurred_at == trouble.resolved_at


def test_every_other_promise_that_came_due_was_kept_in_time(told: Told) -> None:
    broken = {trouble.evidence[0] for trouble, _ in told.of("broken_promise")}
    kept = {each.promise_kept_ref: each.occurred_at for each in told.final.values() if each.promise_kept_ref}
    due = [
        each
        for each in told.final.values()
        if each.promise_due_at and each.promise_due_at < told.simulation.until and each.key not in broken
    ]
    assert due
    assert all(kept[each.id] <= each.promise_due_at for each in due)  # type: ignore[operator]


def test_no_mail_or_form_is_overdue_unless_it_was_planted(told: Told) -> None:
    planted = {trouble.evidence[0] for trouble, _ in told.of("slow_answer")}
    answers: dict[tuple[str | None, str], list[int]] = {}
    for each in told.final.values():
        if each.type == "message" and each.direction == "outbound":
            for subject in (each.reason, each.thread_id, each.case_id):
                if subject:
                    answers.setdefault((each.customer, subject), []).append(each.occurred_at)
    overdue = set()
    for each in told.final.values():
        if (each.type == "message" and each.direction == "inbound") or each.type == "form":
            limit = after_working_time(each.occurred_at, 8 * HOUR)
            answered = [
                at
                for subject in (each.reason, each.thread_id, each.case_id)
                if subject
                for at in answers.get((each.customer, subject), [])
                if each.occurred_at <= at <= limit
            ]
            if not answered and limit <= told.simulation.until:
                overdue.add(each.key)
    written = {key for key in planted if told.final[key].type in ("message", "form")}
    assert overdue == written


@pytest.mark.parametrize(
    ("kind", "stands"),
    [
        ("gave_up", lambda each: each.outcome == "abandoned"),
        ("bad_treatment", lambda each: each.treatment in ("rude", "indifferent")),
        ("low_rating", lambda each: each.rating_resolved is False or (each.rating_value == 1)),
        ("complaint_unacknowledged", lambda each: each.complaint_stage == "received"),
        ("unresolved", lambda each: each.outcome == "unresolved"),
    ],
)
def test_single_events_say_what_was_planted(told: Told, kind: str, stands: object) -> None:
    found = told.of(kind)
    assert found
    for _, (event, *_) in found:
        assert stands(event), event  # type: ignore[operator]


@pytest.mark.parametrize(
    ("kind", "stands"),
    [
        ("gave_up", lambda each: each.outcome == "abandoned"),
        ("bad_treatment", lambda each: each.treatment in ("rude", "indifferent")),
        ("slow_answer", lambda each: each.type == "call" and (each.wait_seconds or 0) > 600),
        ("slow_answer", lambda each: each.channel == "visit" and (each.wait_seconds or 0) > 1_800),
        ("passed_around", lambda each: (each.transfers or 0) >= 2),
    ],
)
def test_nothing_that_stands_by_one_event_alone_went_unplanted(told: Told, kind: str, stands: object) -> None:
    planted = {key for trouble, _ in told.of(kind) for key in trouble.evidence}
    standing = {each.key for each in told.final.values() if stands(each)}  # type: ignore[operator]
    assert standing
    assert standing <= planted


def test_with_everybody_identified_every_trouble_can_be_joined(told: Told) -> None:
    assert all(trouble.joined for trouble in told.troubles)


def test_planted_troubles_are_a_minority_of_the_customers_life(told: Told) -> None:
    troubled = Counter(trouble.customer for trouble in told.troubles)
    assert 0.2 < len(troubled) / told.simulation.customers < 0.7


class TestWorkingTime:
    """2026-11-20 was a Friday."""

    friday = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1_000_000

    def test_the_office_opens_at_nine_and_is_closed_at_five(self) -> None:
        assert is_working(self.friday + 9 * HOUR)
        assert not is_working(self.friday + 9 * HOUR - 1)
        assert not is_working(self.friday + 17 * HOUR)

    def test_friday_evening_goes_on_on_monday_morning(self) -> None:
        assert next_opening(self.friday + 17 * HOUR) == self.friday + 3 * DAY + 9 * HOUR

    def test_eight_hours_from_friday_noon_end_on_monday_at_noon(self) -> None:
        assert after_working_time(self.friday + 12 * HOUR, 8 * HOUR) == self.friday + 3 * DAY + 12 * HOUR

    def test_a_full_day_ends_at_closing_time(self) -> None:
        assert after_working_time(self.friday + 9 * HOUR, 8 * HOUR) == self.friday + 17 * HOUR
