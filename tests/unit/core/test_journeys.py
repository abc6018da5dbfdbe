"""Cutting a timeline into journeys, at the boundaries."""

from collections.abc import Sequence
from hashlib import blake2b

import pytest

from schemas.interaction import DAY, Interaction
from schemas.records import Journey
from streams.core.journeys import evaluate, journey_id_of
from streams.core.policy import DEFAULT_POLICY, JourneyPolicy
from streams.core.timeline import timeline_of
from tests.builders import answer, call, case_update, instant, mail, page_view, visit

ANN = "crm:ann"
LATER = instant("2027-01-01")


def journeys_of(
    *told: Interaction, now: int = LATER, policy: JourneyPolicy = DEFAULT_POLICY
) -> Sequence[Journey]:
    return evaluate(timeline_of(ANN, told), now, policy).journeys


def test_contact_exactly_at_the_gap_extends_the_journey() -> None:
    assert len(journeys_of(call("2026-03-01T10:00Z", ANN), mail("2026-03-08T10:00Z", ANN))) == 1


def test_contact_a_microsecond_past_the_gap_begins_another() -> None:
    first, second = journeys_of(call("2026-03-01T10:00Z", ANN), mail("2026-03-08T10:00:00.000001Z", ANN))
    assert first.ended_at == instant("2026-03-01T10:00Z")
    assert second.started_at == instant("2026-03-08T10:00:00.000001Z")


def test_a_journey_is_open_when_the_clock_is_exactly_the_gap_past_its_end() -> None:
    told = call("2026-03-01T10:00Z", ANN)
    at_the_gap = instant("2026-03-08T10:00Z")
    outcome = evaluate(timeline_of(ANN, [told]), at_the_gap, DEFAULT_POLICY)
    assert not outcome.journeys[0].closed
    assert outcome.next_due == at_the_gap + 1
    assert journeys_of(told, now=at_the_gap + 1)[0].closed


def test_an_empty_timeline_has_no_journeys_and_is_never_due() -> None:
    assert evaluate(timeline_of(ANN, []), LATER, DEFAULT_POLICY) == ((), None)


def test_the_earliest_open_journey_is_due_first() -> None:
    told = [call("2026-03-01", ANN), call("2026-03-20", ANN)]
    outcome = evaluate(timeline_of(ANN, told), instant("2026-03-01"), DEFAULT_POLICY)
    assert outcome.next_due == instant("2026-03-08") + 1


def test_a_whole_journey() -> None:
    (journey,) = journeys_of(
        page_view("2026-03-01T09:00Z", ANN, lasting=40.0),
        call(
            "2026-03-01T10:00Z",
            ANN,
            about="billing",
            case="K1",
            wait=95,
            talk=300,
            hold=5,
            transfers=1,
            ends="promised",
        ),
        answer("2026-03-02T10:00Z", ANN, thread="T1"),
        visit("2026-03-03T12:00Z", ANN, case="K1", wait=600, service=420, transfers=0, ends="resolved"),
    )
    assert journey == Journey(
        journey_id=journey_id_of(ANN, "web", "page_view/2026-03-01T09:00:00Z/crm:ann", b""),
        customer=ANN,
        started_at=instant("2026-03-01T09:00Z"),
        ended_at=instant("2026-03-03T12:00Z"),
        closed=True,
        interactions=4,
        contacts=2,
        path=("online", "phone", "email", "visit"),
        channels=("online", "phone", "email", "visit"),
        subjects=("case:K1", "reason:billing", "thread:T1"),
        wait_seconds=695.0,
        transfers=1,
        effort_seconds=1460.0,
        resolved=True,
        first_contact_resolved=False,
    )


def test_path_keeps_repeats_and_channels_do_not() -> None:
    (journey,) = journeys_of(
        call("2026-03-01", ANN), mail("2026-03-02", ANN), call("2026-03-03", ANN), call("2026-03-04", ANN)
    )
    assert journey.path == ("phone", "email", "phone", "phone")
    assert journey.channels == ("phone", "email")


def test_sums_of_what_nobody_measured_are_unknown() -> None:
    (journey,) = journeys_of(call("2026-03-01", ANN), mail("2026-03-02", ANN))
    assert (journey.wait_seconds, journey.transfers, journey.effort_seconds) == (None, None, None)
    assert (journey.resolved, journey.first_contact_resolved) == (None, None)


def test_a_known_zero_is_a_zero() -> None:
    (journey,) = journeys_of(call("2026-03-01", ANN, wait=0, transfers=0), mail("2026-03-02", ANN))
    assert (journey.wait_seconds, journey.transfers, journey.effort_seconds) == (0, 0, 0)


def test_the_last_known_outcome_decides_and_unknown_leaves_it() -> None:
    resolved = call("2026-03-01", ANN, ends="resolved")
    assert journeys_of(resolved, call("2026-03-02", ANN, ends="unknown"))[0].resolved is True
    assert journeys_of(resolved, case_update("reopened", "2026-03-02", ANN))[0].resolved is False


@pytest.mark.parametrize(
    ("told", "first_contact"),
    [
        ([call("2026-03-01", ANN, ends="resolved")], True),
        ([call("2026-03-01", ANN), case_update("resolved", "2026-03-02", ANN)], True),
        ([call("2026-03-01", ANN), call("2026-03-02", ANN, ends="resolved")], False),
        ([call("2026-03-01", ANN, ends="unresolved")], False),
        ([page_view("2026-03-01", ANN, ends="resolved")], False),
        ([call("2026-03-01", ANN)], None),
    ],
    ids=["one contact", "settled inside", "two contacts", "not resolved", "no contact", "nothing known"],
)
def test_first_contact_resolution_needs_exactly_one_contact(
    told: list[Interaction], first_contact: bool | None
) -> None:
    assert journeys_of(*told)[0].first_contact_resolved is first_contact


def test_ties_in_time_are_broken_by_source_then_id_by_code_point() -> None:
    at = "2026-03-01T10:00Z"
    told = [
        mail(at, ANN, source="б", id="1"),
        call(at, ANN, source="a", id="9"),
        visit(at, ANN, source="a", id="10"),
        page_view(at, ANN, source="Z", id="z"),
    ]
    (journey,) = journeys_of(*told)
    assert journey.path == ("online", "visit", "phone", "email")
    assert journey.journey_id == journey_id_of(ANN, "Z", "z", b"")


def test_journey_ids_are_stable_and_their_parts_do_not_run_together() -> None:
    by_b2sum = "bc8f4bb20d3440db7bc62fee9912b0ea"  # printf '7:crm:ann4:mailm1' | b2sum -l 128
    assert journey_id_of("crm:ann", "mail", "m1", b"") == by_b2sum
    assert journey_id_of("crm:a", "b", "cd", b"") != journey_id_of("crm:a", "bc", "d", b"")
    assert journey_id_of("crm:a1", "b", "c", b"") != journey_id_of("crm:a", "1b", "c", b"")


def test_a_journey_id_under_a_key_is_told_by_nobody_who_lacks_it() -> None:
    customer, key = "phone:+359888123456", b"any key"
    documented = blake2b(b"19:phone:+3598881234567:billingc1", key=key, digest_size=16).hexdigest()
    assert journey_id_of(customer, "billing", "c1", key) == documented
    assert len({journey_id_of(customer, "billing", "c1", one) for one in (b"", key, b"another")}) == 3


def test_the_key_of_ids_is_part_of_what_journeys_are_made_by_and_shows_nowhere() -> None:
    plain, keyed, other = JourneyPolicy(), JourneyPolicy(id_key=b"any key"), JourneyPolicy(id_key=b"another")
    assert plain.basis == DEFAULT_POLICY.basis == 2_133_310_086, "without a key states stay as they were"
    assert len({plain.basis, keyed.basis, other.basis}) == 3
    assert plain != keyed
    assert "any key" not in repr(keyed)


def test_the_path_keeps_the_latest_and_says_how_many_it_lost() -> None:
    policy = JourneyPolicy(max_interactions=2)
    told = [call("2026-03-01", ANN), mail("2026-03-02", ANN), visit("2026-03-03", ANN)]
    (journey,) = journeys_of(*told, policy=policy)
    assert journey.path == ("email", "visit")
    assert journey.channels == ("phone", "email", "visit")
    assert (journey.interactions, journey.dropped) == (3, 1)


@pytest.mark.parametrize("wrong", [{"gap": 0}, {"horizon": -DAY}, {"max_interactions": 0}])
def test_a_policy_that_no_journey_could_obey_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        JourneyPolicy(**wrong)
