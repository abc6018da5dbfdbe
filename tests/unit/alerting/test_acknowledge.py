"""Acknowledging and snoozing: quiet for a while, but not from what is worse."""

from collections.abc import Callable

import msgspec
import pytest

from schemas.alerts import Acknowledgement
from schemas.findings import Severity
from schemas.interaction import DAY
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import (
    HOUR,
    MINUTE,
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


@pytest.mark.parametrize("hush", [acknowledged, snoozed])
def test_a_graver_alert_that_came_through_is_not_told_again_when_the_quiet_ends(
    hush: Callable[..., Acknowledgement],
) -> None:
    desk = Desk(policy(Route(("chat",)), Route(("pager",), least="severe"), cool_down=0))
    desk.take(alert(severity="major"))
    desk.deliver()
    desk.take(hush(severity="major", until=START + HOUR))
    desk.take(alert(version=2, kind="updated", severity="severe"))
    assert sorted(kinds(desk.deliver())) == ["raised", "updated"]
    desk.until(START + HOUR)
    assert desk.deliver() == []


def test_a_destination_is_reminded_when_something_milder_was_held_back_after_the_graver_one() -> None:
    desk = Desk(policy(Route(("chat",)), Route(("pager",), least="severe"), cool_down=0))
    desk.take(alert(severity="major"), acknowledged(severity="major", until=START + HOUR))
    desk.take(alert(version=2, kind="updated", severity="severe"))
    desk.deliver()
    assert reasons(desk.take(alert(version=3, kind="updated", severity="major"))) == [
        ("suppressed", "acknowledged")
    ]
    desk.until(START + HOUR)
    ((_, notice, receipt),) = desk.waits()
    assert (receipt.destination, notice.kind, notice.told, notice.severity) == (
        "chat",
        "reminded",
        "severe",
        "major",
    )


def test_a_reminder_is_said_within_a_cool_down_and_ends_none_that_is_graver() -> None:
    desk = Desk(policy(cool_down=DAY))
    desk.take(alert("f1", severity="major"))
    desk.deliver()
    desk.take(acknowledged("f1", severity="major", until=START + HOUR))
    desk.take(alert("f2", severity="severe"))
    desk.deliver()
    desk.until(START + HOUR)
    assert [(notice.kind, notice.alert.finding_id) for notice in desk.deliver()] == [("reminded", "f1")]
    assert reasons(desk.take(alert("f3", severity="severe"))) == [("suppressed", "cool_down")]
    desk.until(START + DAY)
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f3"], "no reminder prolongs it either"


@pytest.mark.parametrize("named", ["minor", "severe"])
def test_a_word_that_ends_the_quiet_ends_what_was_hushed_whatever_severity_it_names(named: Severity) -> None:
    for told_first, expected in (("major", ["reminded"]), ("severe", [])):
        desk = Desk(policy(cool_down=0))
        desk.take(alert(severity=told_first))  # type: ignore[arg-type]
        desk.deliver()
        desk.take(acknowledged(severity="major", until=START + 5 * HOUR))
        desk.now = START + HOUR
        desk.take(acknowledged(severity=named, until=START + HOUR))
        assert kinds(desk.deliver()) == expected
        assert desk.book().hushes == ()


def test_growth_that_was_held_back_is_told_when_the_quiet_is_narrowed() -> None:
    desk = told()
    desk.take(acknowledged(severity="severe"))
    desk.take(alert(version=2, kind="updated", sentence="a fifth contact"))
    desk.take(msgspec.structs.replace(acknowledged(severity="minor"), at="2026-03-01T10:00:01Z"))
    assert [(notice.kind, notice.alert.sentence) for notice in desk.deliver()] == [
        ("reminded", "a fifth contact")
    ]


def test_a_repetition_does_not_make_up_for_what_was_held_back() -> None:
    repeats = {"am": Traits(holds_open=True, repeat=15 * MINUTE)}
    desk = Desk(policy(Route(("am",)), destinations=repeats, cool_down=DAY))
    desk.take(alert())
    desk.deliver()
    desk.take(acknowledged(severity="severe"), alert(version=2, kind="updated", sentence="a fifth contact"))
    desk.until(START + 15 * MINUTE)
    desk.take(msgspec.structs.replace(acknowledged(severity="minor"), at="2026-03-01T10:15:00Z"))
    assert kinds(desk.deliver()) == ["repeated"]
    desk.until(desk.now)
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
