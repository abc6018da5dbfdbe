"""What one interaction says by itself."""

import pytest

from schemas.interaction import Interaction
from streams.core.journeys import effort_seconds, is_contact, known_outcome, subjects_of
from tests.builders import (
    answer,
    call,
    case_update,
    chat,
    interaction,
    mail,
    online,
    page_view,
    sms,
    visit,
    voicemail,
)

AT = "2026-03-01T10:00Z"


@pytest.mark.parametrize(
    "contact",
    [call(AT), voicemail(AT), sms(AT), mail(AT), visit(AT), chat(AT), online("form", AT)],
    ids=lambda one: one.type,
)
def test_the_customer_turning_to_people_is_a_contact(contact: Interaction) -> None:
    assert is_contact(contact)


@pytest.mark.parametrize(
    "other",
    [
        call(AT, direction="outbound"),
        sms(AT, direction="outbound"),
        answer(AT),
        page_view(AT),
        interaction("visit", "feedback", AT),
        case_update("resolved", AT),
        *(online(kind, AT) for kind in ("self_service", "order", "payment", "delivery", "review", "survey")),
    ],
    ids=lambda one: f"{one.type}-{one.direction}",
)
def test_what_goes_out_and_what_needs_no_people_is_no_contact(other: Interaction) -> None:
    assert not is_contact(other)


@pytest.mark.parametrize(
    ("outcome", "known"),
    [
        ("resolved", True),
        ("unresolved", False),
        ("promised", False),
        ("abandoned", False),
        ("unknown", None),
        (None, None),
    ],
)
def test_only_resolved_resolves_and_unknown_says_nothing(outcome: str | None, known: bool | None) -> None:
    assert known_outcome(call(AT, outcome=outcome)) is known


@pytest.mark.parametrize(
    ("action", "known"),
    [
        ("resolved", True),
        ("closed", True),
        ("reopened", False),
        ("assigned", None),
        ("waiting_customer", None),
    ],
)
def test_a_case_update_speaks_by_its_action(action: str, known: bool | None) -> None:
    assert known_outcome(case_update(action, AT)) is known


@pytest.mark.parametrize(("outcome", "known"), [("unresolved", False), ("unknown", None)])
def test_an_outcome_that_is_given_outranks_the_action(outcome: str, known: bool | None) -> None:
    assert known_outcome(case_update("resolved", AT, outcome=outcome)) is known


def test_the_action_of_anything_but_a_case_update_settles_nothing() -> None:
    assert known_outcome(page_view(AT, action="closed")) is None


def test_subjects_carry_their_kind() -> None:
    about = mail(AT, about="billing.overcharge", case="K1", order="O1", thread="T1")
    assert subjects_of(about) == ("case:K1", "order:O1", "reason:billing.overcharge", "thread:T1")
    assert subjects_of(mail(AT)) == ()


def test_effort_is_the_customers_time_without_after_call_work() -> None:
    assert effort_seconds(call(AT, wait=60, talk=120, hold=30, wrap_up_seconds=500)) == 210
    assert effort_seconds(visit(AT, wait=600, service=300)) == 900
    assert effort_seconds(page_view(AT, lasting=12.5)) == 12.5


def test_unknown_effort_is_not_zero_effort() -> None:
    assert effort_seconds(call(AT)) is None
    assert effort_seconds(call(AT, wait=0)) == 0
