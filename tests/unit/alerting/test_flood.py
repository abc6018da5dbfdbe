"""The flood guard."""

from schemas.interaction import Micros
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import MINUTE, START, Desk, alert, final, kinds, over, policy, reasons

WINDOW: Micros = 5 * MINUTE
"""START lies at the beginning of one."""


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


def test_the_end_of_a_folded_finding_is_not_told() -> None:
    desk = flooded(4)
    desk.deliver()
    assert reasons(desk.take(over("f3", customer="crm:3"))) == [("suppressed", "never_told")]


def test_a_folded_finding_that_becomes_more_severe_is_told() -> None:
    desk = flooded(4)
    desk.deliver()
    desk.take(alert("f3", 2, "severe", customer="crm:3"))
    assert kinds(desk.deliver()) == ["raised"]


def test_who_holds_incidents_open_is_told_when_a_window_was_calm_and_the_guard_is_forgotten() -> None:
    desk = flooded(5, to=("chat", "pager"))
    desk.deliver()
    desk.until(START + WINDOW)
    assert kinds(desk.deliver()) == ["folded", "folded"]
    desk.until(START + 2 * WINDOW)
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
