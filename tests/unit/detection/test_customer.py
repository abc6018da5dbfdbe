"""Detection of one customer from batch to batch, through `advance_batch`: what is told, remembered and let go."""

from collections.abc import Sequence

import pytest

from schemas.findings import FindingChange, Light
from schemas.interaction import DAY, Interaction, Micros
from streams.catalogue.rule_files import load_rules
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.detection.draft import changeable_for
from streams.core.detection.remembered import (
    NOTHING_REMEMBERED,
    Remembered,
    decode_remembered,
    encode_remembered,
)
from streams.core.policy import JourneyPolicy
from streams.core.state import decode_state
from tests.builders import call, instant

ANN = b"crm:ann"


class Customer:
    """One customer's state, advanced batch by batch."""

    def __init__(self) -> None:
        self.detection = Detection(load_rules())
        self.states: dict[bytes, bytes] = {}
        self.changes: list[FindingChange] = []
        self.lights: list[Light] = []
        self.due: Micros | None = None

    def computed(self, arrivals: Sequence[Interaction], at: str | Micros) -> BatchResult:
        now = instant(at) if isinstance(at, str) else at
        return advance_batch(self.states.get, arrivals, [ANN], now, JourneyPolicy(), self.detection)

    def advance(self, at: str | Micros, *arrivals: Interaction) -> list[tuple[str, str]]:
        result = self.computed(arrivals, at)
        self.states.update({key: value for key, value in result.states.items() if value is not None})
        self.changes += result.changes
        self.lights += result.lights
        self.due = result.due[ANN]
        return [(change.kind, change.finding.rule) for change in result.changes]


@pytest.fixture
def ann() -> Customer:
    return Customer()


def test_a_long_wait_is_told_once(ann: Customer) -> None:
    told = ann.advance("2026-03-02T10:01Z", call("2026-03-02T10:00Z", by="crm:ann", wait=601))
    assert told == [("raised", "slow_answer")]
    assert ann.advance("2026-03-02T10:02Z", call("2026-03-02T10:01:30Z", by="crm:ann", wait=5)) == []
    assert [light.colour for light in ann.lights] == ["green"]


def test_a_correction_withdraws_and_says_which(ann: Customer) -> None:
    first = call("2026-03-02T10:00Z", by="crm:ann", wait=601, id="c")
    ann.advance("2026-03-02T10:01Z", first)
    corrected = call("2026-03-02T10:00Z", by="crm:ann", wait=60, id="c", revision=1)
    assert ann.advance("2026-03-02T11:00Z", corrected) == [("withdrawn", "slow_answer")]
    last = ann.changes[-1]
    assert (last.reason, last.cause) == ("corrected", (first.source, "c"))
    assert ann.lights[-1].contributions == ()


def test_changes_are_numbered_and_a_repeated_batch_numbers_them_alike(ann: Customer) -> None:
    first = call("2026-03-02T10:00Z", by="crm:ann", wait=601, id="c")
    corrected = call("2026-03-02T10:00Z", by="crm:ann", wait=60, id="c", revision=1)
    ann.advance("2026-03-02T10:01Z", first)
    again = [ann.computed([corrected], "2026-03-02T11:00Z").changes for _ in range(2)]
    assert [change.sequence for change in ann.changes] == [1]
    assert [[change.sequence for change in changes] for changes in again] == [[2], [2]]


def test_an_absence_is_raised_when_its_time_comes_and_not_before(ann: Customer) -> None:
    ann.advance("2026-03-02T10:01Z", call("2026-03-02T10:00Z", by="crm:ann", about="bill", ends="unresolved"))
    assert ann.due is not None
    assert ann.advance(ann.due - 1) == []
    assert ann.advance(ann.due) == [("raised", "unresolved")]


def test_other_rules_are_applied_without_an_arrival(ann: Customer) -> None:
    arrival = call("2026-03-02T10:00Z", by="crm:ann", wait=601)
    complete, ann.detection = ann.detection, Detection(load_rules(horizon=29 * DAY))
    ann.advance("2026-03-02T10:01Z", arrival)
    ann.changes.clear()
    ann.detection = complete
    ann.advance("2026-03-02T10:02Z")
    assert decode_remembered(decode_state(ann.states[ANN]).detection).version == complete.version


def test_another_key_of_ids_names_findings_anew_and_leaves_none_twice(ann: Customer) -> None:
    ann.advance("2026-03-02T10:01Z", call("2026-03-02T10:00Z", by="crm:ann", wait=601))
    ann.detection = Detection(ann.detection.rules, id_key=b"any key")
    told = ann.advance("2026-03-02T10:02Z", call("2026-03-02T10:01:30Z", by="crm:ann", wait=5))
    assert sorted(told) == [("raised", "slow_answer"), ("withdrawn", "slow_answer")]
    raised = {change.finding.finding_id for change in ann.changes if change.kind == "raised"}
    withdrawn = {change.finding.finding_id for change in ann.changes if change.kind == "withdrawn"}
    assert len(raised) == 2
    assert len(withdrawn) == 1
    assert withdrawn < raised
    assert ann.advance("2026-03-02T10:03Z", call("2026-03-02T10:02:30Z", by="crm:ann", wait=5)) == []


def test_a_silent_customer_is_let_go_in_the_end(ann: Customer) -> None:
    ann.advance("2026-03-02T10:01Z", call("2026-03-02T10:00Z", by="crm:ann", wait=601))
    for _ in range(20):
        if ann.due is None:
            break
        ann.advance(ann.due)
    remembered = decode_remembered(decode_state(ann.states[ANN]).detection)
    assert (ann.due, remembered.held, remembered.aside) == (None, 0, b"")
    assert [change.kind for change in ann.changes] == ["raised", "settled"]
    assert ann.lights[-1].colour == "green"


def test_steps_that_leave_the_timeline_are_looked_back_on(ann: Customer) -> None:
    for day in (1, 20, 40, 60):
        at = instant("2026-03-01T10:00Z") + day * DAY
        ann.advance(at + 1, call(at, by="crm:ann"))
    state = decode_state(ann.states[ANN])
    remembered = decode_remembered(state.detection)
    assert remembered.held > 0
    assert remembered.held + state.held == 4


def test_what_is_remembered_survives_its_encoding(ann: Customer) -> None:
    ann.advance("2026-03-02T10:01Z", call("2026-03-02T10:00Z", by="crm:ann", wait=601))
    stored = decode_state(ann.states[ANN]).detection
    assert encode_remembered(decode_remembered(stored)) == stored
    assert (encode_remembered(NOTHING_REMEMBERED), decode_remembered(b"")) == (b"", NOTHING_REMEMBERED)


def test_what_has_run_out_stays_so_though_the_clock_of_a_new_owner_is_behind(ann: Customer) -> None:
    promise = call(
        "2026-03-02T10:00Z", by="crm:ann", promise_what="a call", promise_due_at=instant("2026-03-03T10:00Z")
    )
    assert ann.advance("2026-03-04T10:00Z", promise) == [("raised", "broken_promise")]
    assert ann.advance("2026-03-02T12:00Z", call("2026-03-02T11:00Z", by="crm:ann", about="tariff")) == []


DUE = instant("2028-01-10T10:00Z")


def promised(ann: Customer) -> None:
    """A promise that is due when everything else of its day is forgotten, and a call the day after it."""
    ann.advance(
        "2026-03-02T10:01Z",
        call("2026-03-02T10:00Z", by="crm:ann", id="p", promise_what="a pipe", promise_due_at=DUE),
    )
    ann.advance("2026-03-03T10:01Z", call("2026-03-03T10:00Z", by="crm:ann"))


def remembered_of(ann: Customer) -> Remembered:
    return decode_remembered(decode_state(ann.states[ANN]).detection)


def test_a_promise_is_held_up_to_the_last_instant_at_which_it_may_be_kept(ann: Customer) -> None:
    promised(ann)
    last = DUE + changeable_for(ann.detection.rules.horizon)
    ann.advance(last + 1, call(last, by="crm:ann"))
    assert remembered_of(ann).held == 1
    ann.advance(last + 2, call(last + 1, by="crm:ann"))
    assert remembered_of(ann).held == 0
