"""Acknowledging and snoozing: quiet for a while, but not from what is worse."""

import msgspec

from streams.core.alerting.policy import Route
from tests.alert_builders import (
    HOUR,
    START,
    Desk,
    acknowledged,
    alert,
    kinds,
    over,
    policy,
    reasons,
    snoozed,
)


def told(*destinations: str) -> Desk:
    desk = Desk(policy(Route(destinations or ("chat",)), cool_down=0))
    desk.take(alert())
    desk.deliver()
    return desk


def test_an_acknowledged_finding_grows_in_silence() -> None:
    desk = told()
    desk.take(acknowledged())
    assert reasons(desk.take(alert(version=2, kind="updated"))) == [("suppressed", "acknowledged")]


def test_an_acknowledged_finding_that_becomes_more_severe_is_told() -> None:
    desk = told()
    desk.take(acknowledged(severity="major"))
    desk.take(alert(version=2, kind="updated", severity="severe"))
    assert kinds(desk.deliver()) == ["updated"]


def test_another_finding_of_the_rule_is_told_although_the_first_is_acknowledged() -> None:
    desk = told()
    desk.take(acknowledged("f1"))
    desk.take(alert("f2"))
    assert kinds(desk.deliver()) == ["raised"]


def test_an_acknowledgement_is_passed_on_where_it_is_understood() -> None:
    desk = told("chat", "pager")
    desk.take(acknowledged())
    ((_, notice, receipt),) = desk.waits()
    assert (receipt.destination, notice.kind, notice.note) == ("pager", "acknowledged", "desk-7")
    desk.deliver()
    assert desk.take(acknowledged()) == []
    assert desk.deliver() == []


def test_when_an_acknowledgement_expires_what_still_stands_is_told_again() -> None:
    desk = told()
    desk.take(acknowledged(until=START + HOUR))
    desk.until(START + HOUR - 1)
    assert desk.deliver() == []
    desk.until(START + HOUR)
    assert kinds(desk.deliver()) == ["reminded"]


def test_the_end_of_an_acknowledged_finding_is_told_and_nobody_is_reminded_of_it() -> None:
    desk = told()
    desk.take(acknowledged())
    desk.take(over())
    assert kinds(desk.deliver()) == ["resolved"]
    desk.until(START + 2 * HOUR)
    assert desk.deliver() == []


def test_a_snoozed_rule_raises_nothing_new_and_tells_it_afterwards() -> None:
    desk = told()
    desk.take(snoozed(until=START + HOUR))
    assert reasons(desk.take(alert("f2"))) == [("suppressed", "snoozed")]
    desk.until(START + HOUR)
    assert sorted(kinds(desk.deliver())) == ["raised", "reminded"]


def test_a_snoozed_rule_still_tells_what_is_more_severe_than_what_was_snoozed() -> None:
    desk = told()
    desk.take(snoozed(severity="major"))
    desk.take(alert("f2", severity="severe"))
    assert kinds(desk.deliver()) == ["raised"]


def test_another_rule_is_not_snoozed() -> None:
    desk = told()
    desk.take(snoozed("overcharge"))
    desk.take(alert("f2", rule="repeat_contact"))
    assert kinds(desk.deliver()) == ["raised"]


def test_the_latest_word_counts_and_one_that_has_passed_ends_the_quiet() -> None:
    desk = told()
    desk.take(snoozed(until=START + 5 * HOUR))
    desk.take(alert("f2"))
    desk.now = START + HOUR
    desk.take(snoozed(until=START + HOUR))
    desk.until(START + HOUR)
    assert sorted(kinds(desk.deliver())) == ["raised", "reminded"]
    assert desk.book().hushes == ()


def test_a_later_word_for_milder_findings_only_lets_the_others_through_at_once() -> None:
    desk = told()
    desk.take(snoozed(severity="severe"))
    desk.take(alert("f2", severity="major"))
    assert desk.deliver() == []
    desk.take(snoozed(severity="minor"))
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


def test_an_earlier_word_that_comes_again_does_not_count() -> None:
    desk = told()
    first = snoozed(severity="minor")
    desk.take(first, msgspec.structs.replace(snoozed(severity="severe"), at="2026-03-01T10:00:01Z"))
    desk.take(alert("f2", severity="major"))
    desk.take(first)
    assert desk.deliver() == []


def test_an_expired_word_about_nothing_changes_nothing() -> None:
    desk = Desk()
    assert desk.take(acknowledged(until=START)) == []
    assert desk.books == {}
