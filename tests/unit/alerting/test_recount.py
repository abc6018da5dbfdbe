"""Counting anew what flood guards folded."""

import msgspec
import pytest

from schemas.interaction import Micros
from streams.core.alerting.book import FloodLine, decode_book
from streams.core.alerting.flood import flood_key
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import MINUTE, START, Desk, alert, kinds, over, policy

WINDOW: Micros = 5 * MINUTE
FLOOD = flood_key("overcharge", "major")


def folding(findings: int) -> Desk:
    """All but the first are folded, each of its own customer."""
    desk = Desk(
        policy(
            Route(("pager",)),
            flood_limit=1,
            flood_window=WINDOW,
            destinations={"pager": Traits(holds_open=True)},
        )
    )
    desk.take(*[alert(f"f{number}", customer=f"crm:{number}") for number in range(findings)])
    desk.deliver()
    return desk


def line(desk: Desk) -> FloodLine:
    """What the guard counts."""
    flood = desk.book(FLOOD).flood
    assert flood is not None
    return flood.line("pager")


def test_a_fold_that_is_repeated_after_a_crash_is_counted_once() -> None:
    desk = folding(2)
    desk.dies_after = 1
    desk.take(alert("f2", customer="crm:2"))
    assert (line(desk).folded, line(desk).examples) == (2, ("crm:1", "crm:2"))


def test_an_end_that_is_repeated_after_a_crash_is_taken_back_once() -> None:
    desk = folding(4)
    desk.until(START + WINDOW)
    desk.deliver()
    desk.dies_after = 1
    desk.take(over("f1", customer="crm:1"))
    assert line(desk).standing == 2


def test_an_end_that_is_repeated_before_the_summary_was_said_is_taken_from_it_once() -> None:
    desk = folding(4)
    desk.until(START + WINDOW)
    desk.dies_after = 1
    desk.take(over("f1", customer="crm:1"))
    assert (line(desk).reported, line(desk).reported_examples) == (2, ("crm:2", "crm:3"))


@pytest.mark.parametrize("windows", [0, 1, 2])
def test_counting_what_is_right_changes_nothing(windows: int) -> None:
    desk = folding(5)
    desk.take(over("f2", customer="crm:2"))
    desk.until(START + windows * WINDOW)
    before = dict(desk.books)
    desk.take_over()
    assert desk.books == before


def test_an_incident_of_before_guards_counted_what_stands_is_counted_when_it_is_taken_over() -> None:
    desk = folding(3)
    desk.until(START + WINDOW)
    desk.deliver()
    stored = msgspec.msgpack.decode(desk.books[FLOOD])
    flood = stored[5]
    flood[3] = [line[:-1] for line in flood[3]]
    del flood[4:]
    desk.books[FLOOD] = msgspec.msgpack.encode(stored)
    assert decode_book(desk.books[FLOOD]).flood is not None
    desk.take_over()
    desk.until(START + 5 * WINDOW)
    desk.take(over("f1", customer="crm:1"))
    desk.until(desk.now)
    assert desk.waits() == []
    desk.take(over("f2", customer="crm:2"))
    desk.until(desk.now)
    assert kinds(desk.deliver()) == ["calmed"]
