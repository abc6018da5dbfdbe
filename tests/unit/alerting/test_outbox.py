"""What waits, and what comes of saying it."""

import pytest

from schemas.interaction import DAY
from schemas.notices import MAX_KEY, incident_key
from streams.core.alerting.book import EMPTY, Book, decode_book, encode_book, head_of
from streams.core.alerting.outbox import Waiting, delivered, sending
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import HOUR, MINUTE, START, Desk, acknowledged, alert, kinds, over, policy, reasons


def test_a_destination_that_was_down_is_told_how_things_are_and_not_how_they_were() -> None:
    desk = Desk()
    desk.take(alert(version=1, severity="minor"))
    desk.take(alert(version=2, severity="severe", kind="updated", sentence="now 50 % above"))
    (notice,) = desk.deliver()
    assert (notice.kind, notice.severity, notice.alert.sentence) == ("raised", "severe", "now 50 % above")


def test_an_end_that_comes_while_the_alert_is_being_said_is_told_next() -> None:
    desk = Desk()
    desk.take(alert())
    ((key, _, receipt),) = desk.waits()
    desk.take(over())
    assert desk.waits() == []
    desk.settle(key, delivered(desk.book(), receipt, desk.now, desk.policy))
    assert kinds(desk.deliver()) == ["resolved"]


def test_news_that_comes_while_the_alert_is_being_said_is_told_only_when_it_is_worse() -> None:
    for severity, expected in (("major", []), ("severe", ["updated"])):
        desk = Desk()
        desk.take(alert(version=1))
        ((key, _, receipt),) = desk.waits()
        desk.take(alert("f1", 2, severity, kind="updated"))  # type: ignore[arg-type]
        desk.settle(key, delivered(desk.book(), receipt, desk.now, desk.policy))
        assert kinds(desk.deliver()) == expected


def test_each_attempt_at_a_notice_has_the_same_delivery_id_and_another_notice_another() -> None:
    desk = Desk(policy(cool_down=0))
    desk.take(alert(version=1))
    first = [notice.delivery for _, notice, _ in desk.waits()]
    desk.fail(uncertain=True)
    desk.now += MINUTE
    assert [notice.delivery for _, notice, _ in desk.waits()] == first
    desk.deliver()
    desk.take(alert(version=2, kind="updated"))
    assert [notice.delivery for _, notice, _ in desk.waits()] != first


def test_what_is_refused_has_failed_with_the_reason_and_starts_no_cool_down() -> None:
    desk = Desk()
    desk.take(alert("f1"))
    desk.refuse("HTTP 401: bad token")
    assert reasons(desk.rows)[-1] == ("failed", "refused: HTTP 401: bad token")
    desk.take(alert("f2"))
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f2"]


def test_growth_that_is_refused_ends_the_cool_down_of_its_severity_only() -> None:
    desk = Desk()
    desk.take(alert("f1", severity="minor"))
    desk.deliver()
    desk.take(alert("f1", 2, "severe", kind="updated"))
    desk.refuse()
    desk.take(alert("f2", severity="minor"), alert("f3", severity="severe"))
    assert [notice.alert.finding_id for notice in desk.deliver()] == ["f3"]


def test_an_end_that_is_refused_keeps_the_cool_down_of_what_was_told() -> None:
    desk = Desk()
    desk.take(alert("f1"))
    desk.deliver()
    desk.take(over("f1"))
    desk.refuse()
    assert reasons(desk.take(alert("f2"))) == [("suppressed", "cool_down")]


def test_what_waits_too_long_has_failed() -> None:
    desk = Desk(policy(give_up=DAY))
    desk.take(alert())
    desk.until(START + DAY - 1)
    assert len(desk.waits()) == 1
    desk.until(START + DAY)
    assert desk.waits() == []
    assert reasons(desk.rows)[-1] == ("failed", "gave_up")


def test_what_waits_is_not_forgotten_though_the_finding_is_long_over() -> None:
    desk = Desk()
    desk.take(alert())
    desk.deliver()
    desk.take(over())
    desk.until(START + 3 * DAY)
    assert kinds(desk.deliver()) == ["resolved"]
    desk.until(START + 3 * DAY + 1)
    assert desk.books == {}


def test_a_destination_that_forgets_is_told_again_and_again_until_the_end() -> None:
    desk = Desk(policy(Route(("am",)), destinations={"am": Traits(holds_open=True, repeat=15 * MINUTE)}))
    desk.take(alert())
    desk.deliver()
    rows = len(desk.rows)
    desk.until(START + 15 * MINUTE - 1)
    assert desk.waits() == []
    for turn in (1, 2):
        desk.until(START + turn * 15 * MINUTE)
        assert kinds(desk.deliver()) == ["repeated"]
    assert len(desk.rows) == rows, "repetitions are no news"
    desk.take(over())
    assert kinds(desk.deliver()) == ["resolved"]
    desk.until(START + 5 * HOUR)
    assert desk.waits() == []


def test_a_repetition_goes_on_while_a_finding_is_acknowledged() -> None:
    desk = Desk(policy(Route(("am",)), destinations={"am": Traits(holds_open=True, repeat=15 * MINUTE)}))
    desk.take(alert())
    desk.deliver()
    desk.take(acknowledged(until=START + HOUR))
    desk.until(START + 15 * MINUTE)
    assert kinds(desk.deliver()) == ["repeated"]


def test_a_repetition_and_an_end_have_the_severity_that_was_told() -> None:
    desk = Desk(policy(Route(("am",)), destinations={"am": Traits(holds_open=True, repeat=15 * MINUTE)}))
    desk.take(alert(version=1, severity="severe"))
    desk.deliver()
    desk.take(alert(version=2, severity="minor", kind="updated"))
    desk.until(START + 15 * MINUTE)
    assert [notice.severity for notice in desk.deliver()] == ["severe"]
    desk.take(over(version=3, severity="minor"))
    assert [notice.severity for notice in desk.deliver()] == ["severe"]


def test_nothing_waits_where_nothing_was_decided() -> None:
    assert sending(EMPTY, Waiting("f1", "chat")) is None


@pytest.mark.parametrize("length", [1, MAX_KEY - len("touchline:"), MAX_KEY, 2_000])
def test_a_key_is_never_longer_than_pagerduty_takes(length: int) -> None:
    assert len(incident_key("x" * length)) <= MAX_KEY
    assert incident_key("x" * length + "a") != incident_key("x" * length + "b")


def test_the_head_of_a_book_is_read_without_the_rest() -> None:
    desk = Desk()
    desk.take(alert())
    stored = desk.books[b"crm:ann"]
    book = decode_book(stored)
    assert tuple(getattr(head_of(stored), name) for name in ("due", "waiting")) == (book.due, 1)
    assert book.due == START + HOUR, "the end of the cool-down"


def test_an_empty_book_is_a_tombstone() -> None:
    assert encode_book(Book()) is None
    assert decode_book(None) == EMPTY
