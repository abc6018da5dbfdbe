"""Who is told of a finding, and what they are spared."""

import pytest

from schemas.interaction import DAY
from streams.core.alerting.policy import Route
from tests.alert_builders import HOUR, START, Desk, acknowledged, alert, final, kinds, over, policy, reasons


def test_a_finding_that_is_raised_is_told_once() -> None:
    desk = Desk()
    assert reasons(desk.take(alert())) == [("pending", "")]
    (notice,) = desk.deliver()
    assert (notice.kind, notice.severity, notice.told, notice.key) == (
        "raised",
        "major",
        None,
        "touchline:f1",
    )
    assert reasons(desk.rows) == [("pending", ""), ("delivered", "")]
    assert desk.deliver() == []


@pytest.mark.parametrize("version", [4, 5])
def test_a_version_that_is_not_higher_is_a_repetition_and_gives_no_row(version: int) -> None:
    desk = Desk()
    desk.take(alert(version=5))
    desk.deliver()
    assert desk.take(over(version=version)) == []
    assert desk.deliver() == []


def test_a_batch_that_comes_again_after_the_end_raises_nothing() -> None:
    desk = Desk()
    story = [alert(version=1), over(version=2)]
    desk.take(*story)
    desk.take(*story)
    assert desk.deliver() == []


def test_a_finding_that_no_route_matches_is_stored_with_the_reason() -> None:
    desk = Desk(policy(Route(("chat",), least="severe")))
    (row,) = desk.take(alert(severity="major"))
    assert (row.destination, row.status, row.reason) == ("", "suppressed", "no_route")


def test_nothing_is_kept_of_a_finding_that_concerns_nobody() -> None:
    desk = Desk(policy(Route(("chat",), least="severe")))
    desk.take(alert(), over())
    assert desk.books == {}
    desk.take(alert("f2", 1, "minor"), alert("f2", 2, "severe", kind="updated"))
    assert kinds(desk.deliver()) == ["raised"]


@pytest.mark.parametrize(
    ("route", "goes"),
    [
        (Route(("chat",), least="major"), True),
        (Route(("chat",), least="severe"), False),
        (Route(("chat",), rules=frozenset({"overcharge"})), True),
        (Route(("chat",), rules=frozenset({"repeat_contact"})), False),
        (Route(("chat",), channels=frozenset({"phone", "visit"})), True),
        (Route(("chat",), channels=frozenset({"email"})), False),
    ],
)
def test_a_route_selects_by_severity_rule_and_channel(route: Route, goes: bool) -> None:
    desk = Desk(policy(route))
    desk.take(alert(severity="major"))
    assert bool(desk.deliver()) is goes


def test_an_alert_follows_every_route_and_reaches_each_destination_once() -> None:
    desk = Desk(policy(Route(("chat", "pager")), Route(("pager",))))
    desk.take(alert())
    assert len(desk.deliver()) == 2


# Cool-down


def test_a_second_finding_of_the_rule_within_the_cool_down_is_held_back_and_told_when_it_ends() -> None:
    desk = Desk()
    desk.take(alert("f1"))
    desk.deliver()
    assert reasons(desk.take(alert("f2"))) == [("suppressed", "cool_down")]
    desk.until(START + HOUR - 1)
    assert desk.deliver() == []
    desk.until(START + HOUR)
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


def test_what_ended_within_the_cool_down_is_not_told_after_it() -> None:
    desk = Desk()
    desk.take(alert("f1"), alert("f2"))
    desk.deliver()
    rows = desk.take(over("f2"))
    assert reasons(rows) == [("suppressed", "never_told")]
    desk.until(START + 2 * HOUR)
    assert desk.deliver() == []


def test_a_more_severe_finding_of_the_rule_is_told_within_the_cool_down() -> None:
    desk = Desk()
    desk.take(alert("f1", severity="minor"))
    desk.deliver()
    desk.take(alert("f2", severity="severe"))
    assert [notice.severity for notice in desk.deliver()] == ["severe"]


def test_after_a_severe_one_the_cool_down_spares_all_that_is_milder_or_equal() -> None:
    desk = Desk()
    desk.take(alert("f1", severity="severe"))
    desk.take(alert("f2", severity="minor"), alert("f3", severity="severe"))
    assert len(desk.deliver()) == 1


def test_the_cool_down_is_of_one_rule_one_customer_and_one_destination() -> None:
    desk = Desk(policy(Route(("chat",)), Route(("pager",), rules=frozenset({"overcharge"}))))
    desk.take(alert("f1"))
    desk.take(alert("f2", rule="repeat_contact"))
    desk.take(alert("f3", customer="crm:bob"))
    assert len(desk.deliver("chat")) == 3
    assert len(desk.deliver("pager")) == 2


def test_the_rules_own_cool_down_counts_before_the_deployments() -> None:
    desk = Desk()
    desk.take(alert("f1", cool_down=60.0), alert("f2", cool_down=60.0))
    desk.deliver()
    desk.until(START + HOUR // 60)
    assert len(desk.deliver()) == 1


def test_a_cool_down_of_nothing_spares_nobody() -> None:
    desk = Desk(policy(cool_down=0))
    desk.take(alert("f1"), alert("f2"))
    assert len(desk.deliver()) == 2


def test_a_cool_down_ends_when_what_began_it_was_never_told() -> None:
    desk = Desk()
    desk.take(alert("f1"), over("f1"))
    desk.take(alert("f2"))
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


def test_what_that_cool_down_held_back_is_told_at_once() -> None:
    desk = Desk()
    desk.take(alert("f1"), alert("f2"))
    desk.take(over("f1"))
    desk.until(START)
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


def test_a_finding_that_was_withdrawn_hides_no_true_one_from_anybody() -> None:
    desk = Desk(policy(Route(("chat", "pager"))))
    desk.take(alert("f1", severity="severe"))
    desk.deliver()
    desk.take(over("f1", state="withdrawn"))
    desk.take(alert("f2", severity="severe"))
    said = [(notice.kind, notice.alert.finding_id) for notice in desk.deliver()]
    assert sorted(said) == [("raised", "f2")] * 2 + [("withdrawn", "f1")] * 2


def test_a_finding_that_was_put_right_keeps_its_cool_down() -> None:
    desk = Desk()
    desk.take(alert("f1"))
    desk.deliver()
    desk.take(over("f1"))
    assert reasons(desk.take(alert("f2"))) == [("suppressed", "cool_down")]


def test_what_was_held_back_behind_a_finding_is_told_when_that_is_withdrawn() -> None:
    desk = Desk()
    desk.take(alert("f1", severity="severe"))
    desk.deliver()
    desk.take(alert("f2", severity="severe"), over("f1", state="withdrawn"))
    desk.until(desk.now)
    assert sorted(kinds(desk.deliver())) == ["raised", "withdrawn"]


def test_a_withdrawal_after_a_resolution_ends_the_cool_down_too() -> None:
    desk = Desk()
    desk.take(alert("f1"))
    desk.deliver()
    desk.take(over("f1", 2), alert("f2"))
    desk.deliver()
    desk.take(over("f1", 3, state="withdrawn"))
    desk.until(desk.now)
    assert sorted(kinds(desk.deliver())) == ["raised", "withdrawn"]


def test_a_withdrawal_of_what_is_long_over_and_forgotten_ends_a_cool_down_that_is_longer() -> None:
    desk = Desk(policy(cool_down=7 * DAY))
    desk.take(alert("f1"))
    desk.deliver()
    desk.take(over("f1", 2))
    desk.deliver()
    desk.until(START + 2 * DAY)
    assert desk.book().records == ()
    desk.take(alert("f2"))
    assert desk.deliver() == []
    desk.take(over("f1", 3, state="withdrawn"))
    desk.until(desk.now)
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


def test_a_withdrawal_ends_no_cool_down_of_another_finding() -> None:
    desk = Desk()
    desk.take(alert("f1", severity="major"), alert("f2", severity="severe"))
    desk.deliver()
    desk.take(over("f2", state="withdrawn"))
    desk.deliver()
    assert reasons(desk.take(alert("f3", severity="major"))) == [("suppressed", "cool_down")]
    assert reasons(desk.take(alert("f4", severity="severe"))) == [("pending", "")]


def test_what_ends_before_it_was_told_ends_no_cool_down_of_another_finding() -> None:
    desk = Desk()
    desk.take(alert("f1", severity="major"))
    desk.deliver()
    desk.take(alert("f2", severity="severe"), over("f2"))
    assert reasons(desk.take(alert("f3", severity="major"))) == [("suppressed", "cool_down")]


def test_a_severity_that_was_never_said_hides_nothing() -> None:
    desk = Desk()
    desk.take(alert("f1", 1, "severe"), alert("f1", 2, "minor", kind="updated"))
    desk.deliver()
    desk.take(alert("f2", severity="severe"))
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


# Growth


def test_a_finding_that_grows_within_the_cool_down_is_told_only_when_it_becomes_more_severe() -> None:
    desk = Desk()
    desk.take(alert(version=1, severity="minor"))
    desk.deliver()
    assert reasons(desk.take(alert(version=2, kind="updated", severity="minor"))) == [
        ("suppressed", "cool_down")
    ]
    desk.take(alert(version=3, kind="updated", severity="severe"))
    (notice,) = desk.deliver()
    assert (notice.kind, notice.told, notice.severity) == ("updated", "minor", "severe")


def test_a_finding_that_grows_after_the_cool_down_is_told_again() -> None:
    desk = Desk()
    desk.take(alert(version=1))
    desk.deliver()
    desk.until(START + HOUR)
    desk.take(alert(version=2, kind="updated", sentence="a fifth contact"))
    (notice,) = desk.deliver()
    assert (notice.kind, notice.alert.sentence) == ("updated", "a fifth contact")


def test_becoming_more_severe_reaches_destinations_that_only_want_severe_ones_as_news() -> None:
    desk = Desk(policy(Route(("chat",)), Route(("pager",), least="severe")))
    desk.take(alert(version=1, severity="minor"))
    desk.deliver()
    desk.take(alert(version=2, kind="updated", severity="severe"))
    assert kinds(desk.deliver("pager")) == ["raised"]
    assert kinds(desk.deliver("chat")) == ["updated"]


# The end


@pytest.mark.parametrize("state", ["resolved", "withdrawn"])
def test_the_end_reaches_whoever_got_the_alert_though_no_route_leads_there_any_more(state: str) -> None:
    desk = Desk(policy(Route(("chat", "pager"))))
    desk.take(alert())
    desk.deliver()
    desk.policy = policy(Route(("pager",)))
    desk.take(over(state=state))
    assert kinds(desk.deliver("chat")) == [state]
    assert kinds(desk.deliver("pager")) == [state]


def test_the_end_is_not_told_to_whom_the_alert_was_not() -> None:
    desk = Desk(policy(Route(("chat",)), Route(("pager",), least="severe")))
    desk.take(alert(severity="major"))
    desk.deliver()
    desk.take(over())
    assert len(desk.deliver()) == 1


def test_what_ends_before_it_was_told_is_not_told_at_all() -> None:
    desk = Desk()
    desk.take(alert())
    rows = desk.take(over())
    assert desk.deliver() == []
    assert reasons(rows) == [("suppressed", "over_before_told"), ("suppressed", "never_told")]


def test_what_ends_after_an_attempt_of_unknown_end_is_told_to_be_over() -> None:
    desk = Desk()
    desk.take(alert())
    desk.fail(uncertain=True)
    desk.take(over(state="withdrawn"))
    assert kinds(desk.deliver()) == ["withdrawn"]


def test_a_settled_finding_is_closed_where_incidents_are_held_open_and_nowhere_else() -> None:
    desk = Desk(policy(Route(("chat", "pager"))))
    desk.take(alert())
    desk.deliver()
    rows = desk.take(over(state="settled"))
    assert kinds(desk.deliver()) == ["settled"]
    assert ("suppressed", "settled") in reasons(rows)


def test_a_withdrawal_after_a_resolution_is_told_to_those_who_heard_of_it() -> None:
    desk = Desk()
    desk.take(alert())
    desk.deliver()
    desk.take(over(version=2))
    desk.deliver()
    desk.take(over(version=3, state="withdrawn"))
    assert kinds(desk.deliver()) == ["withdrawn"]


def test_a_finding_that_reopens_before_its_end_was_told_is_not_told_to_be_over() -> None:
    desk = Desk()
    desk.take(alert(version=1))
    desk.deliver()
    desk.take(over(version=2), alert(version=3, kind="reopened"))
    assert desk.deliver() == []
    assert final(desk.rows)[("f1", "chat", 2, "resolved")].reason == "superseded"


def test_a_finding_that_reopens_after_its_end_was_told_is_raised_again_after_the_cool_down() -> None:
    desk = Desk()
    desk.take(alert(version=1))
    desk.deliver()
    desk.take(over(version=2))
    desk.deliver()
    desk.take(alert(version=3, kind="reopened"))
    assert desk.deliver() == []
    desk.until(START + HOUR)
    assert kinds(desk.deliver()) == ["raised"]


def test_the_end_at_a_destination_that_is_configured_no_more_has_failed() -> None:
    desk = Desk()
    desk.take(alert())
    desk.deliver()
    desk.policy = policy(Route(("pager",)), destinations={})
    assert reasons(desk.take(over())) == [("failed", "destination_gone")]


def test_the_end_ends_an_acknowledgement() -> None:
    desk = Desk()
    desk.take(alert(), acknowledged())
    desk.take(over())
    assert desk.book().hushes == ()


def test_a_finding_that_is_over_is_forgotten_after_a_while_and_the_book_with_it() -> None:
    desk = Desk()
    desk.take(alert())
    desk.deliver()
    desk.take(over())
    desk.deliver()
    desk.until(START + desk.policy.memory - 1)
    assert desk.books
    desk.until(START + desk.policy.memory)
    assert not desk.books
