"""The flood guard."""

import msgspec
import pytest

from schemas.interaction import Micros
from streams.core.alerting.flood import flood_key
from streams.core.alerting.outbox import delivered
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import (
    HOUR,
    MINUTE,
    START,
    Desk,
    acknowledged,
    alert,
    final,
    kinds,
    over,
    policy,
    reasons,
    snoozed,
)

WINDOW: Micros = 5 * MINUTE
"""START lies at the beginning of one."""

FLOOD = flood_key("overcharge", "major")


def flooded(findings: int, limit: int = 3, to: tuple[str, ...] = ("chat",)) -> Desk:
    destinations = {"chat": Traits(), "pager": Traits(holds_open=True)}
    desk = Desk(policy(Route(to), flood_limit=limit, flood_window=WINDOW, destinations=destinations))
    for number in range(findings):
        desk.take(alert(f"f{number}", customer=f"crm:{number}"))
    return desk


def test_as_many_as_the_limit_pass() -> None:
    desk = flooded(3)
    assert len(desk.deliver()) == 3
    desk.until(START + WINDOW)
    assert desk.deliver() == []


def test_one_more_is_folded_into_a_summary_at_the_end_of_the_window() -> None:
    desk = flooded(5)
    assert [row.reason for row in desk.rows if row.status == "suppressed"] == ["flood", "flood"]
    assert len(desk.deliver()) == 3
    desk.until(START + WINDOW - 1)
    assert desk.deliver() == []
    desk.until(START + WINDOW)
    (notice,) = desk.deliver()
    assert notice.kind == "folded"
    assert notice.folded is not None
    assert (notice.folded.findings, notice.folded.examples) == (2, ("crm:3", "crm:4"))
    assert (notice.folded.since, notice.folded.until) == ("2026-03-01T10:00:00Z", "2026-03-01T10:05:00Z")


def test_a_flood_of_minor_findings_folds_no_severe_one() -> None:
    desk = flooded(0)
    desk.take(*[alert(f"f{n}", severity="minor", customer=f"crm:{n}") for n in range(9)])
    desk.take(alert("worse", severity="severe", customer="crm:x"))
    assert "worse" in [notice.alert.finding_id for notice in desk.deliver()]


def test_another_rule_is_not_folded() -> None:
    desk = flooded(9)
    desk.take(alert("other", rule="low_rating", customer="crm:x"))
    assert "other" in [notice.alert.finding_id for notice in desk.deliver()]


def test_each_destination_is_guarded_for_itself() -> None:
    desk = flooded(4, limit=3, to=("chat", "pager"))
    assert len(desk.deliver("chat")) == len(desk.deliver("pager")) == 3


def test_the_next_window_counts_anew() -> None:
    desk = flooded(4)
    desk.deliver()
    desk.until(START + WINDOW)
    desk.deliver()
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(3)])
    assert len(desk.deliver()) == 3


def test_summaries_that_could_not_be_said_become_one() -> None:
    desk = flooded(5)
    desk.deliver()
    desk.until(START + WINDOW)
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(7)])
    desk.until(START + 2 * WINDOW)
    (notice,) = [notice for _, notice, _ in desk.waits() if notice.kind == "folded"]
    assert notice.folded is not None
    assert notice.folded.findings == 2 + 4
    assert (notice.folded.since, notice.folded.until) == ("2026-03-01T10:00:00Z", "2026-03-01T10:10:00Z")


# What is over before its summary is said


def summary(desk: Desk) -> tuple[int, tuple[str, ...]] | None:
    """How many findings the summary that waits counts, and whom it names; None when none waits."""
    waits = [notice.folded for _, notice, _ in desk.waits() if notice.kind == "folded"]
    assert len(waits) <= 1
    return None if not waits or waits[0] is None else (waits[0].findings, waits[0].examples)


@pytest.mark.parametrize("state", ["withdrawn", "resolved", "settled"])
def test_a_summary_counts_and_names_what_still_stands_when_the_window_ends(state: str) -> None:
    desk = flooded(6)
    desk.deliver()
    desk.take(over("f3", customer="crm:3", state=state), over("f5", customer="crm:5", state=state))
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:4",))


def test_when_all_that_was_folded_is_over_nothing_is_said() -> None:
    desk = flooded(5, to=("chat", "pager"))
    desk.deliver()
    desk.take(*[over(f"f{n}", customer=f"crm:{n}", state="withdrawn") for n in range(5)])
    assert kinds(desk.deliver()) == ["withdrawn"] * 6, "whoever was told of one"
    desk.until(START + 2 * WINDOW)
    assert desk.deliver() == []
    assert [row for row in desk.rows if row.finding_id.startswith("flood:")] == []


def test_an_end_that_comes_after_the_window_and_before_its_summary_was_made_counts() -> None:
    desk = flooded(5)
    desk.deliver()
    desk.now = START + WINDOW
    desk.take(over("f3", customer="crm:3"))
    desk.until(desk.now)
    assert summary(desk) == (1, ("crm:4",))


def test_a_summary_that_could_not_be_said_yet_counts_no_more_what_is_over_by_then() -> None:
    desk = flooded(5)
    desk.deliver()
    desk.until(START + WINDOW)
    assert summary(desk) == (2, ("crm:3", "crm:4"))
    desk.take(over("f3", customer="crm:3"))
    assert summary(desk) == (1, ("crm:4",))
    desk.take(over("f4", customer="crm:4"))
    assert desk.deliver() == []
    row = final(desk.rows)[("flood:overcharge:major", "chat", START, "folded")]
    assert (row.status, row.reason) == ("suppressed", "over_before_told")


def test_an_end_of_an_earlier_window_is_taken_from_the_summary_that_joins_them() -> None:
    desk = flooded(5)
    desk.deliver()
    desk.until(START + WINDOW)
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(4)])
    for key, notice, receipt in desk.waits():
        if notice.kind != "folded":
            desk.settle(key, delivered(desk.book(key), receipt, desk.now, desk.policy))
    desk.until(START + 2 * WINDOW)
    desk.take(over("f3", customer="crm:3"))
    assert summary(desk) == (2, ("crm:4", "crm:g3"))


def test_a_summary_that_was_said_stays_as_it_was_said() -> None:
    desk = flooded(5)
    desk.deliver()
    desk.until(START + WINDOW)
    assert kinds(desk.deliver()) == ["folded"]
    assert reasons(desk.take(over("f3", customer="crm:3"))) == [("suppressed", "never_told")]
    assert desk.waits() == []
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(4)])
    desk.take(over("f4", customer="crm:4"))
    desk.deliver()
    desk.until(START + 2 * WINDOW)
    assert summary(desk) == (1, ("crm:g3",))


def test_an_end_that_comes_again_is_taken_back_once() -> None:
    desk = flooded(6)
    desk.deliver()
    desk.take(over("f3", customer="crm:3"))
    before = dict(desk.books)
    desk.take(over("f3", customer="crm:3"), alert("f3", customer="crm:3"))
    assert desk.books == before


def test_a_folded_finding_that_reopens_is_counted_again() -> None:
    desk = flooded(4)
    desk.deliver()
    desk.take(over("f3", 2, customer="crm:3"), alert("f3", 3, customer="crm:3", kind="reopened"))
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:3",))


def test_a_folded_finding_that_grows_is_counted_once() -> None:
    desk = flooded(4)
    desk.deliver()
    desk.take(*[alert("f3", version, customer="crm:3", kind="updated") for version in (2, 3)])
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:3",))


def test_a_finding_that_is_folded_again_as_a_reminder_is_counted_once() -> None:
    desk = Desk(policy(flood_limit=1, flood_window=WINDOW, cool_down=0))
    desk.take(alert("f1"))
    desk.deliver()
    desk.take(alert("f1", 2, kind="updated"), acknowledged("f1", until=START + MINUTE))
    desk.until(START + MINUTE)
    assert [(row.kind, row.reason) for row in desk.rows[-1:]] == [("reminded", "flood")]
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:ann",))


def test_a_folded_finding_that_was_told_by_itself_is_not_counted() -> None:
    desk = flooded(5)
    desk.deliver()
    desk.take(alert("f3", 2, "severe", customer="crm:3"))
    assert kinds(desk.deliver()) == ["raised"]
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:4",))


def test_a_customer_is_named_as_long_as_one_of_their_folded_findings_stands() -> None:
    desk = flooded(3)
    desk.take(alert("a", customer="crm:x"), alert("b", customer="crm:x"))
    desk.deliver()
    desk.take(over("a", customer="crm:x"))
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:x",))


def test_somebody_is_named_though_the_first_of_many_are_over() -> None:
    desk = flooded(43)
    desk.deliver()
    desk.take(*[over(f"f{n}", customer=f"crm:{n}") for n in range(3, 30)])
    desk.until(START + WINDOW)
    assert summary(desk) == (13, tuple(f"crm:{n}" for n in range(30, 35)))


def test_a_book_of_before_folds_were_marked_is_read_and_its_fold_stays_counted() -> None:
    desk = flooded(4)
    desk.deliver()
    stored = msgspec.msgpack.decode(desk.books[b"crm:3"])
    (record,) = stored[2]
    record[7] = [thread[:-1] for thread in record[7]]
    desk.books[b"crm:3"] = msgspec.msgpack.encode(stored)
    desk.take(over("f3", customer="crm:3"))
    desk.until(START + WINDOW)
    assert summary(desk) == (1, ("crm:3",))


def test_the_end_of_a_folded_finding_is_not_told() -> None:
    desk = flooded(4)
    desk.deliver()
    assert reasons(desk.take(over("f3", customer="crm:3"))) == [("suppressed", "never_told")]


def test_a_folded_finding_that_becomes_more_severe_is_told() -> None:
    desk = flooded(4)
    desk.deliver()
    desk.take(alert("f3", 2, "severe", customer="crm:3"))
    assert kinds(desk.deliver()) == ["raised"]


# The end of a flood


def told_of(findings: int, to: tuple[str, ...] = ("pager",)) -> Desk:
    """The summary of all but three was told."""
    desk = flooded(findings, to=to)
    desk.deliver()
    desk.until(START + WINDOW)
    assert kinds(desk.deliver()) == ["folded"] * len(to)
    return desk


def ended(desk: Desk) -> list[str]:
    """What is said at once."""
    desk.until(desk.now)
    return kinds([notice for notice in desk.deliver("pager") if notice.folded is not None])


def test_an_incident_stays_as_long_as_one_that_it_folded_stands() -> None:
    desk = told_of(5)
    desk.until(START + 9 * WINDOW)
    assert desk.waits() == []
    desk.take(over("f3", customer="crm:3"))
    assert ended(desk) == []
    desk.take(over("f4", customer="crm:4", state="withdrawn"))
    assert ended(desk) == ["calmed"]


def test_an_incident_ends_when_the_last_one_is_told_by_itself() -> None:
    desk = told_of(4)
    desk.take(alert("f3", 2, customer="crm:3", kind="updated"))
    assert kinds(desk.deliver()) == ["raised"]
    assert ended(desk) == ["calmed"]


def test_one_that_becomes_milder_is_told_as_that_and_counts_no_more() -> None:
    desk = told_of(4)
    desk.take(alert("f3", 2, "minor", customer="crm:3", kind="updated"))
    assert ended(desk) == ["calmed"]


@pytest.mark.parametrize("held", ["acknowledged", "snoozed"])
def test_one_that_grows_while_somebody_wants_quiet_is_not_told_so_the_incident_stays(held: str) -> None:
    desk = told_of(4)
    word = acknowledged("f3", START + HOUR) if held == "acknowledged" else snoozed(until=START + HOUR)
    desk.take(msgspec.structs.replace(word, customer="crm:3"))
    rows = desk.take(alert("f3", 2, customer="crm:3", kind="updated"))
    assert reasons(rows) == [("suppressed", held)]
    assert ended(desk) == []
    desk.until(START + HOUR)
    assert sorted(kinds(desk.deliver())) == ["calmed", "raised"]


def test_one_that_is_folded_again_keeps_the_incident_until_the_next_summary() -> None:
    desk = told_of(4)
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(3)])
    desk.deliver()
    desk.take(alert("f3", 2, customer="crm:3", kind="updated"))
    assert ended(desk) == []
    desk.until(START + 2 * WINDOW)
    assert ended(desk) == ["folded"]
    desk.take(over("f3", 3, customer="crm:3"))
    assert ended(desk) == ["calmed"]


def test_an_incident_of_several_windows_ends_with_the_last_finding_of_all_of_them() -> None:
    desk = told_of(4)
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(4)])
    desk.deliver()
    desk.until(START + 2 * WINDOW)
    (notice,) = [notice for notice in desk.deliver() if notice.folded is not None]
    assert notice.folded is not None
    assert (notice.folded.findings, notice.folded.standing) == (1, 2)
    desk.take(over("g3", customer="crm:g3"))
    assert ended(desk) == []
    desk.take(over("f3", customer="crm:3"))
    assert ended(desk) == ["calmed"]


def test_a_flood_that_begins_anew_before_its_end_was_said_goes_on() -> None:
    desk = told_of(4)
    desk.take(over("f3", customer="crm:3"))
    desk.until(desk.now)
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(4)])
    for key, notice, receipt in desk.waits():
        if notice.folded is None:
            desk.settle(key, delivered(desk.book(key), receipt, desk.now, desk.policy))
    desk.until(START + 2 * WINDOW)
    assert ended(desk) == ["folded"]
    row = final(desk.rows)[("flood:overcharge:major", "pager", START + WINDOW, "calmed")]
    assert (row.status, row.reason) == ("suppressed", "superseded")


def test_an_end_while_the_summary_is_being_said_ends_the_incident_behind_it() -> None:
    desk = flooded(4, to=("pager",))
    desk.deliver()
    desk.until(START + WINDOW)
    ((key, _, receipt),) = desk.waits()
    desk.take(over("f3", customer="crm:3"))
    desk.settle(key, delivered(desk.book(key), receipt, desk.now, desk.policy))
    assert ended(desk) == ["calmed"]


def test_a_repetition_says_how_many_still_stand() -> None:
    destinations = {"am": Traits(holds_open=True, repeat=15 * MINUTE)}
    desk = Desk(policy(Route(("am",)), flood_limit=3, flood_window=WINDOW, destinations=destinations))
    desk.take(*[alert(f"f{number}", customer=f"crm:{number}") for number in range(6)])
    desk.deliver()
    desk.until(START + WINDOW)
    desk.deliver()
    desk.take(over("f4", customer="crm:4"))
    desk.until(START + WINDOW + 15 * MINUTE)
    (repeated,) = [notice for _, notice, _ in desk.waits() if notice.folded is not None]
    assert repeated.kind == "repeated"
    assert repeated.folded is not None
    assert repeated.folded.standing == 2
    desk.take(over("f3", customer="crm:3"), over("f5", customer="crm:5"))
    assert [notice for _, notice, _ in desk.waits() if notice.folded is not None] == [], (
        "not that none stands"
    )
    desk.until(desk.now)
    assert "calmed" in kinds(desk.deliver())


def test_who_keeps_no_incidents_hears_no_end_and_its_guard_is_forgotten() -> None:
    desk = told_of(5, to=("chat",))
    desk.until(START + 3 * WINDOW)
    assert desk.waits() == []
    assert [key for key in desk.books if key.startswith(b"\x00")] == []
    desk.take(*[alert(f"g{n}", customer=f"crm:g{n}") for n in range(5)])
    desk.deliver()
    desk.until(START + 4 * WINDOW)
    desk.take(over("f3", customer="crm:3"))
    assert summary(desk) == (2, ("crm:g3", "crm:g4")), "what an earlier guard folded counts in no later one"


def test_a_summary_that_came_to_nothing_keeps_no_guard() -> None:
    desk = flooded(5, to=("pager",))
    desk.deliver()
    desk.until(START + WINDOW)
    desk.refuse()
    desk.until(START + 3 * WINDOW)
    assert [key for key in desk.books if key.startswith(b"\x00")] == []


def test_who_holds_incidents_open_is_told_when_nothing_stands_any_more_and_the_guard_is_forgotten() -> None:
    desk = flooded(5, to=("chat", "pager"))
    desk.deliver()
    desk.until(START + WINDOW)
    assert kinds(desk.deliver()) == ["folded", "folded"]
    desk.take(over("f3", customer="crm:3"), over("f4", customer="crm:4"))
    desk.until(START + WINDOW)
    ((_, notice, receipt),) = desk.waits()
    assert (receipt.destination, notice.kind, notice.key) == (
        "pager",
        "calmed",
        "touchline:flood:overcharge:major",
    )
    desk.deliver()
    desk.until(START + 3 * WINDOW)
    assert [key for key in desk.books if key.startswith(b"\x00")] == []


def test_a_summary_is_stored_as_any_other_notice() -> None:
    desk = flooded(5)
    desk.until(START + WINDOW)
    desk.deliver()
    row = final(desk.rows)[("flood:overcharge:major", "chat", START, "folded")]
    assert (row.status, row.severity, row.customer) == ("delivered", "major", "")
