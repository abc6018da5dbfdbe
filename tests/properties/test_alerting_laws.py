"""Laws of alerting: whatever comes, in whatever order, nobody is left with a lie and nothing worse is hidden."""

from collections.abc import Iterator
from typing import NamedTuple

import hypothesis.strategies as st
from hypothesis import given, settings

from schemas.alerts import Alert
from schemas.findings import SEVERITIES, Severity
from schemas.interaction import Micros
from schemas.notices import CLOSING
from streams.core.alerting.book import decode_book, encode_book
from streams.core.alerting.flood import Gate, flood_key
from streams.core.alerting.outbox import Receipt
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


CUSTOMERS = {"f1": "crm:ann", "f2": "crm:ann", "f3": "crm:ann", "f4": "crm:bob"}
"""Whom a finding is about."""


def stories(
    *what: str, findings: tuple[str, ...] = tuple(CUSTOMERS), least: int = 0
) -> st.SearchStrategy[list[Step]]:
    """At least so many steps of these kinds; one that is named twice comes twice as often."""
    step = st.builds(
        Step,
        st.sampled_from(what),
        st.sampled_from(findings),
        st.sampled_from(SEVERITIES),
        st.integers(1, 120),
    )
    return st.lists(step, min_size=least, max_size=30)


STEPS = stories(
    "stands", "stands", "over", "withdrawn", "acknowledge", "snooze", "time", "told", "unsure", "again"
)
FLOODS = stories("stands", "stands", "stands", "over", "withdrawn", "acknowledge", "time", "time", "told")
INCIDENTS = stories(
    *("stands",) * 5, "over", "withdrawn", "acknowledge", "snooze", "time", "told", *("dies",) * 3, least=12
)
COOL_DOWNS = stories(
    "stands", "stands", "stands", "over", "withdrawn", "withdrawn", "unsure", "snooze", "time"
)
HUSHES = stories("stands", "stands", "acknowledge", "snooze", "time", "time", "told", findings=("f1",))


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
    done: list[Alert] = []
    for version, step in enumerate(steps, 1):
        record = None
        match step.what:
            case "stands":
                record = alert(step.finding, version, step.severity, customer=CUSTOMERS[step.finding])
            case "over":
                record = over(step.finding, version, customer=CUSTOMERS[step.finding])
            case "withdrawn":
                record = over(step.finding, version, state="withdrawn", customer=CUSTOMERS[step.finding])
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
            case "dies":
                desk.dies_after = step.number % 3
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
    for number, (finding, customer) in enumerate(CUSTOMERS.items()):
        desk.take(over(finding, 1_000 + number, customer=customer))
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


STANDS = ("raised", "updated", "reminded")
"""Kinds of rows that say whether a destination is told that a finding stands."""


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_whatever_was_told_stands_or_is_taken_back_as_soon_as_all_is_said(steps: list[Step]) -> None:
    desk, told = Desk(rules(flood_limit=2, flood_window=30 * MINUTE)), Told()
    standing: set[str] = set()
    for step in run(steps, desk, told):
        follow(standing, step)
        told.hear(desk)
        believed = {finding for _, finding in told.standing if finding in CUSTOMERS}
        assert believed <= standing


def follow(standing: set[str], step: Step) -> None:
    """Which findings stand after the step."""
    if step.what == "stands":
        standing.add(step.finding)
    elif step.what in ("over", "withdrawn"):
        standing.discard(step.finding)


class Folds:
    """What is folded, stands and was not told by itself, as the stored rows tell: severity and instant of each.

    `open` is what is in no summary that was said, `said` what is in one.
    """

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], tuple[Severity, Micros]] = {}
        self.said: dict[tuple[str, str], tuple[Severity, Micros]] = {}
        self._read = 0

    def follow(self, desk: Desk, step: Step) -> None:
        if step.what in ("stands", "over", "withdrawn"):
            gone = None if step.what != "stands" else step.severity
            for folds in (self.open, self.said):
                for where, (severity, _) in list(folds.items()):
                    if where[1] == step.finding and severity != gone:
                        del folds[where]
        for row in desk.rows[self._read :]:
            where = (row.destination, row.finding_id)
            if row.finding_id.startswith("flood:"):
                if row.status == "delivered" and row.kind == "folded":
                    self._said(row.destination, row.severity, row.version + desk.policy.flood_window)
            elif (row.status, row.reason) == ("suppressed", "flood"):
                self.open[where] = (row.severity, row.at)
                self.said.pop(where, None)
            elif row.kind in STANDS and row.status == "pending":
                self.open.pop(where, None)
                self.said.pop(where, None)
        self._read = len(desk.rows)

    def _said(self, destination: str, severity: Severity, until: Micros) -> None:
        for where, (folded, at) in list(self.open.items()):
            if where[0] == destination and folded == severity and at < until:
                self.said[where] = self.open.pop(where)

    def of(self, destination: str, severity: Severity, until: Micros) -> list[str]:
        """The findings that a summary of what was folded before `until` may count."""
        return [
            finding
            for (where, finding), (folded, at) in self.open.items()
            if where == destination and folded == severity and at < until
        ]


@given(FLOODS)
@settings(max_examples=150, deadline=None)
def test_a_summary_counts_what_stands_and_was_not_told_each_once_and_names_nobody_else(
    steps: list[Step],
) -> None:
    desk, told = Desk(rules(flood_limit=1, flood_window=30 * MINUTE, cool_down=0)), Told()
    folds, standing = Folds(), set[str]()
    for step in run(steps, desk, told):
        follow(standing, step)
        folds.follow(desk, step)
        waits = {
            (receipt.destination, notice.severity): notice
            for _, notice, receipt in desk.waits()
            if notice.kind == "folded"
        }
        for destination in desk.policy.destinations:
            for severity in SEVERITIES:
                guard = desk.book(flood_key("overcharge", severity)).flood
                began = desk.now if guard is None else guard.window
                counted = folds.of(destination, severity, began)
                assert set(counted) <= standing
                notice = waits.get((destination, severity))
                if notice is None:
                    assert counted == [], "a fold of which no summary tells"
                    continue
                assert notice.folded is not None
                assert notice.folded.findings == len(counted) > 0
                assert set(notice.folded.examples) == {CUSTOMERS[finding] for finding in counted}


@given(INCIDENTS)
@settings(max_examples=150, deadline=None)
def test_the_incident_of_a_flood_stands_as_long_as_a_finding_does_that_it_told_of(steps: list[Step]) -> None:
    desk, told, folds = Desk(rules(flood_limit=1, flood_window=30 * MINUTE, cool_down=0)), Told(), Folds()
    for step in run(steps, desk, told):
        folds.follow(desk, step)
        desk.until(desk.now)
        told.hear(desk)
        folds.follow(desk, Step("told", "", "minor", 0))
        for destination in ("pager", "am"):
            for severity in SEVERITIES:
                believed = (destination, f"flood:overcharge:{severity}") in told.standing
                is_true = where(folds.said, destination, severity)
                assert believed or not is_true, "an incident was closed although what it told of stands"
                is_news = where(folds.open, destination, severity)
                assert is_true or is_news or not believed, "an incident is open of which nothing stands"


def where(
    folds: dict[tuple[str, str], tuple[Severity, Micros]], destination: str, severity: Severity
) -> bool:
    """Whether anything of this severity is folded for this destination."""
    return any((at, folded) == (destination, severity) for (at, _), (folded, _) in folds.items())


@given(INCIDENTS)
@settings(max_examples=100, deadline=None)
def test_guards_count_what_books_say_wherever_a_worker_dies(steps: list[Step]) -> None:
    desk, told = Desk(rules(flood_limit=1, flood_window=30 * MINUTE, cool_down=0)), Told()
    for _ in run(steps, desk, told):
        before = dict(desk.books)
        desk.take_over()
        assert desk.books == before, "a step leaves other counts than there are marks"


@given(COOL_DOWNS)
@settings(max_examples=150, deadline=None)
def test_nothing_is_held_back_by_the_cool_down_of_what_was_withdrawn_or_never_said(steps: list[Step]) -> None:
    desk, told = Desk(rules()), Told()
    untrue: set[str] = set()
    for step in run(steps, desk, told):
        if step.what == "withdrawn":
            untrue.add(step.finding)
        elif step.what == "stands":
            untrue.discard(step.finding)
        told.hear(desk)
        desk.until(desk.now)
        told.hear(desk)
        for customer in set(CUSTOMERS.values()):
            book = desk.book(customer.encode())
            for record in book.records:
                if record.state != "open" or any(hush.covers(record) for hush in book.hushes):
                    continue
                for thread in record.threads:
                    if thread.held == "cool_down":
                        true = causes(desk, customer, thread.destination, record.severity) - untrue
                        assert true, f"{record.finding_id} is hidden from {thread.destination}"


def causes(desk: Desk, customer: str, destination: str, least: Severity) -> set[str]:
    """Findings of the customer, at least so severe, that this destination was told of within the cool-down."""
    return {
        row.finding_id
        for row in desk.rows
        if (row.customer, row.destination, row.status) == (customer, destination, "delivered")
        and row.kind in STANDS
        and rank(row.severity) >= rank(least)
        and desk.now < row.at + desk.policy.cool_down
    }


@given(HUSHES)
@settings(max_examples=150, deadline=None)
def test_a_destination_is_reminded_only_of_what_was_hushed_there(steps: list[Step]) -> None:
    desk, told = Desk(rules()), Told()
    hushed: dict[str, Severity] = {}
    for step in run(steps, desk, told):
        about = {"acknowledge": [step.finding], "snooze": ["f1", "f2", "f3"]}.get(step.what, [])
        for finding in about:
            hushed[finding] = max(hushed.get(finding, "minor"), step.severity, key=rank)
        for _, notice, receipt in desk.waits():
            if notice.kind == "reminded":
                highest = hushed.get(receipt.finding_id)
                assert rank(notice.told) <= rank(highest) or spared(desk, receipt), "nothing was hushed there"


def spared(desk: Desk, receipt: Receipt) -> bool:
    """Whether an acknowledgement or a snooze ever held this finding back from this destination."""
    return any(
        (row.finding_id, row.destination) == (receipt.finding_id, receipt.destination)
        and row.reason in ("acknowledged", "snoozed")
        for row in desk.rows
    )
