"""Laws of alerting: whatever comes, in whatever order, nobody is left with a lie and nothing worse is hidden."""

from collections.abc import Iterator
from typing import NamedTuple

import hypothesis.strategies as st
from hypothesis import given, settings

from schemas.findings import SEVERITIES, Severity
from schemas.interaction import Micros
from schemas.notices import CLOSING
from streams.core.alerting.book import decode_book, encode_book
from streams.core.alerting.flood import Gate
from streams.core.alerting.policy import AlertPolicy, Route, Traits, rank
from streams.core.alerting.shelf import Shelf
from streams.core.alerting.wake import wake
from tests.alert_builders import HOUR, MINUTE, Desk, acknowledged, alert, final, over, policy, snoozed


class Step(NamedTuple):
    """Something happens: a finding `stands`, is `over`, somebody `hushes`, `time` passes, notices are `told`..."""

    what: str
    finding: str
    severity: Severity
    number: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            (
                "stands",
                "stands",
                "over",
                "withdrawn",
                "acknowledge",
                "snooze",
                "time",
                "told",
                "unsure",
                "again",
            )
        ),
        st.sampled_from(("f1", "f2", "f3")),
        st.sampled_from(SEVERITIES),
        st.integers(1, 120),
    ),
    max_size=30,
)


def rules(**said: object) -> AlertPolicy:
    destinations = {
        "chat": Traits(),
        "pager": Traits(holds_open=True, acknowledges=True),
        "am": Traits(holds_open=True, repeat=20 * MINUTE),
    }
    return policy(Route(("chat", "am")), Route(("pager",), least="major"), destinations=destinations, **said)


class Told:
    """What the destinations have heard: the severity of what stands, by destination and finding."""

    def __init__(self) -> None:
        self.standing: dict[tuple[str, str], Severity] = {}
        self.ends_without_start: list[tuple[str, str]] = []

    def hear(self, desk: Desk) -> None:
        for key, notice, receipt in desk.waits():
            where = (receipt.destination, receipt.finding_id)
            if notice.kind not in CLOSING:
                self.standing[where] = notice.severity
            elif self.standing.pop(where, None) is None:
                self.ends_without_start.append(where)
            del key
        desk.deliver()


def outcomes(desk: Desk) -> dict[object, tuple[str, str]]:
    """What the table of alerts shows of each."""
    return {key: (row.status, row.reason) for key, row in final(desk.rows).items()}


def run(steps: list[Step], desk: Desk, told: Told, *, unsure: bool = True) -> Iterator[Step]:
    """Do the steps one by one; yields each after it was done."""
    done = []
    for version, step in enumerate(steps, 1):
        record = None
        match step.what:
            case "stands":
                record = alert(step.finding, version, step.severity)
            case "over":
                record = over(step.finding, version)
            case "withdrawn":
                record = over(step.finding, version, state="withdrawn")
            case "acknowledge":
                desk.take(acknowledged(step.finding, desk.now + step.number * MINUTE, step.severity))
            case "snooze":
                desk.take(snoozed(until=desk.now + step.number * MINUTE, severity=step.severity))
            case "time":
                desk.until(desk.now + step.number * MINUTE)
            case "told":
                told.hear(desk)
            case "unsure":
                desk.fail(uncertain=unsure)
            case "again":
                before, shown = dict(desk.books), outcomes(desk)
                desk.take(*done)
                assert (desk.books, outcomes(desk)) == (before, shown), "a repetition shows"
        if record is not None:
            done.append(record)
            assert desk.take(record), "an alert without a row"
        yield step


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_when_all_is_over_and_told_nobody_believes_that_something_stands(steps: list[Step]) -> None:
    desk, told = Desk(rules()), Told()
    for _ in run(steps, desk, told):
        pass
    for number, finding in enumerate(("f1", "f2", "f3")):
        desk.take(over(finding, 1_000 + number))
    told.hear(desk)
    assert told.standing == {}
    assert not [row for row in final(desk.rows).values() if row.status == "pending"]
    desk.until(desk.now + desk.policy.memory + 3 * HOUR)
    assert desk.books == {}, "nothing is kept for ever"


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_without_attempts_of_unknown_end_nobody_hears_the_end_of_what_was_not_told(steps: list[Step]) -> None:
    desk, told = Desk(rules()), Told()
    for _ in run(steps, desk, told, unsure=False):
        pass
    told.hear(desk)
    # A withdrawal after a resolution is heard a second time, by those who know the finding.
    heard = {(row.destination, row.finding_id) for row in desk.rows if row.status == "delivered"}
    assert set(told.ends_without_start) <= heard


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_neither_cool_down_nor_deduplication_hides_what_is_more_severe(steps: list[Step]) -> None:
    desk, told = Desk(rules()), Told()
    worst: dict[str, Severity | None] = {}
    hushed = False
    for step in run(steps, desk, told):
        if step.what in ("acknowledge", "snooze"):
            hushed = True
        if step.what != "stands" or hushed:
            continue
        for destination in desk.policy.routed(alert(severity=step.severity)):
            if rank(step.severity) > rank(worst.get(destination)):
                waits = [
                    notice.severity
                    for _, notice, receipt in desk.waits()
                    if receipt.destination == destination
                ]
                assert step.severity in waits, f"{destination} is not told"
                worst[destination] = step.severity


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_nothing_changes_before_a_book_is_due_and_something_does_when_it_is(steps: list[Step]) -> None:
    desk, told = Desk(rules()), Told()
    for _ in run(steps, desk, told):
        for key, value in desk.books.items():
            book = decode_book(value)
            assert encode_book(book) == value
            if book.due is None:
                continue
            assert woken(desk, key, max(desk.now, book.due - 1)) == value or desk.now >= book.due
            assert woken(desk, key, max(desk.now, book.due)) != value


def woken(desk: Desk, key: bytes, now: Micros) -> bytes | None:
    shelf = Shelf(desk.books.get)
    return encode_book(wake(shelf.get(key), Gate(shelf, now, desk.policy), now, desk.policy).book)


@given(st.lists(st.sampled_from(SEVERITIES), max_size=60), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_a_flood_loses_no_count(severities: list[Severity], limit: int) -> None:
    desk = Desk(rules(flood_limit=limit, cool_down=0))
    for number, severity in enumerate(severities):
        desk.take(alert(f"f{number}", severity=severity, customer=f"crm:{number}"))
    passed = [notice for notice in desk.deliver("chat") if notice.kind == "raised"]
    desk.until(desk.now + desk.policy.flood_window)
    folded = sum(notice.folded.findings for notice in desk.deliver("chat") if notice.folded is not None)
    assert len(passed) + folded == len(severities)
    for severity in SEVERITIES:
        expected = min(limit, severities.count(severity))
        assert len([notice for notice in passed if notice.severity == severity]) == expected
