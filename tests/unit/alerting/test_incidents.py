"""Incidents of floods that several partitions share: what the host remembers, and what those do that come apart."""

import pytest

from schemas.interaction import Micros
from streams.core.alerting.book import Book, Thread
from streams.core.alerting.flood import flood_key
from streams.core.alerting.incidents import postponed, taken_over
from streams.core.alerting.outbox import delivered, sending, waiting
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import MINUTE, START, Desk, alert, over, policy, reasons

WINDOW: Micros = 5 * MINUTE
FLOOD = flood_key("overcharge", "major")


def told_under(incident: int, folded: int = 2) -> Desk:
    """A partition that has told of so many folded findings, under an incident."""
    destinations = {"pager": Traits(holds_open=True)}
    desk = Desk(policy(Route(("pager",)), flood_limit=1, flood_window=WINDOW, destinations=destinations))
    desk.take(*[alert(f"f{number}", customer=f"crm:{number}") for number in range(folded + 1)])
    desk.deliver()
    desk.until(START + WINDOW)
    ((key, _, receipt),) = desk.waits()
    desk.settle(key, delivered(desk.book(key), receipt._replace(incident=incident), desk.now, desk.policy))
    return desk


def thread(book: Book) -> Thread:
    """What the pager knows of the flood."""
    (record,) = book.records
    return record.thread("pager")


def end(desk: Desk) -> None:
    """All that was folded is over."""
    desk.take(*[over(f"f{number}", customer=f"crm:{number}") for number in (1, 2)])
    desk.until(desk.now)


@pytest.mark.parametrize("here", [{3}, {3, 7}])
def test_where_the_host_is_nothing_changes(here: set[int]) -> None:
    desk = told_under(3)
    assert taken_over(desk.book(FLOOD), here, desk.policy) == desk.book(FLOOD)


def test_what_stands_is_told_anew_where_the_host_is_not() -> None:
    desk = told_under(3)
    book = taken_over(desk.book(FLOOD), {7}, desk.policy)
    (item,) = waiting(book)
    sent = sending(book, item)
    assert sent is not None
    assert (sent.notice.kind, sent.notice.told, sent.receipt.incident) == ("folded", None, None)
    assert sent.notice.folded is not None
    assert (sent.notice.folded.findings, sent.notice.folded.standing) == (2, 2)


def test_taking_over_again_says_the_same_delivery() -> None:
    desk = told_under(3)
    once = taken_over(desk.book(FLOOD), {7}, desk.policy)
    assert taken_over(once, {7}, desk.policy) == once
    (item,) = waiting(once)
    said = sending(once, item)
    desk.now += 3 * MINUTE
    assert sending(taken_over(desk.book(FLOOD), {8}, desk.policy), item) == said


def test_an_end_that_waits_is_left_to_the_host() -> None:
    desk = told_under(3)
    end(desk)
    assert thread(desk.book(FLOOD)).pending == "calmed"
    left = taken_over(desk.book(FLOOD), {7}, desk.policy)
    assert (thread(left).pending, thread(left).knows) == (None, None)


def test_a_host_whose_end_is_postponed_is_quiet_until_it_is_taken_over() -> None:
    desk = told_under(3)
    end(desk)
    ((key, _, receipt),) = desk.waits()
    done = postponed(desk.book(key), receipt, desk.now, desk.policy)
    desk.settle(key, done)
    assert reasons(list(done.rows)) == [("suppressed", "stands_elsewhere")]
    desk.until(START + 9 * WINDOW)
    assert desk.waits() == []
    desk.settle(key, done._replace(book=taken_over(desk.book(key), {3}, desk.policy), rows=()))
    desk.until(desk.now)
    assert [notice.kind for _, notice, _ in desk.waits()] == ["calmed"]


def test_a_host_that_folds_again_takes_part_again() -> None:
    desk = told_under(3)
    end(desk)
    ((key, _, receipt),) = desk.waits()
    desk.settle(key, postponed(desk.book(key), receipt, desk.now, desk.policy))
    desk.take(*[alert(f"g{number}", customer=f"crm:g{number}") for number in range(2)])
    desk.until(START + 2 * WINDOW)
    assert thread(desk.book(key)).pending == "folded"
    desk.deliver()
    desk.take(over("g1", customer="crm:g1"))
    desk.until(desk.now)
    assert thread(desk.book(key)).pending == "calmed"
