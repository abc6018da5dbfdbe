"""The laws of DESIGN 1: whatever the order, the repetition, the cuts of the log and the crashes, the same
final rows.

The tables are modelled as the sink has them: the row of a key with the highest version wins, the last one
among equals; interaction rows by revision first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import accumulate, count, pairwise, permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.interaction import Interaction, Micros, routing_key
from schemas.records import Coordinates, Journey
from streams.core import advance
from streams.core.advance import Advance, advance_customer
from streams.core.append import append
from streams.core.arrivals import Applied, apply_arrivals
from streams.core.batch import BatchResult, advance_batch
from streams.core.journeys import evaluate, journey_id_of
from streams.core.marks import identity_mark
from streams.core.policy import JourneyPolicy
from streams.core.state import CustomerState, decode_state, encode_state
from streams.core.timeline import Step, Timeline, timeline_of
from tests import builders

POLICY = JourneyPolicy(gap=10, horizon=100_000, id_key=b"any key")
"""A gap of ten microseconds, a horizon that nothing falls behind."""
FAR = 10_000
"""An instant after which every journey of these stories is closed, and nobody is forgotten yet."""


@dataclass
class Tables:
    """ClickHouse in small: what is left of rows written in any order, perhaps several times."""

    interactions: dict[tuple[str, str], tuple[tuple[int, int], Interaction, str | None, bool]] = field(
        default_factory=dict
    )
    journeys: dict[tuple[str, str], tuple[int, Journey | None]] = field(default_factory=dict)
    stored: set[Coordinates] = field(default_factory=set)
    superseded: set[Coordinates] = field(default_factory=set)

    def write(self, result: BatchResult, version: int) -> None:
        """Insert one batch's rows."""
        for placed in result.interactions:
            one = placed.interaction
            rank = (one.revision, 0 if placed.beyond_horizon else version)
            self.stored.add(Coordinates(one.topic, one.partition, one.offset))
            if one.key not in self.interactions or rank >= self.interactions[one.key][0]:
                self.interactions[one.key] = (rank, one, placed.journey_id, placed.beyond_horizon)
        for journey in result.journeys:
            self._put((journey.customer, journey.journey_id), version, journey)
        for key in result.retracted:
            self._put(key, version, None)
        self.superseded.update(result.superseded)

    def _put(self, key: tuple[str, str], version: int, journey: Journey | None) -> None:
        if key not in self.journeys or version >= self.journeys[key][0]:
            self.journeys[key] = (version, journey)

    def standing(self) -> set[Journey]:
        """The journeys that readers see."""
        return {journey for _, journey in self.journeys.values() if journey is not None}

    def placed(self) -> dict[tuple[str, str], tuple[int, Micros, str | None, bool]]:
        """The interactions that readers see, but for the coordinates (which of equal records is kept may
        differ).
        """
        return {
            key: (one.revision, one.occurred_at, journey_id, beyond)
            for key, (_, one, journey_id, beyond) in self.interactions.items()
        }


@dataclass
class Machine:
    """The journeys stage in small: states, and the tables behind them."""

    policy: JourneyPolicy = POLICY
    states: dict[bytes, bytes] = field(default_factory=dict)
    due: dict[bytes, Micros] = field(default_factory=dict)
    tables: Tables = field(default_factory=Tables)

    def run(
        self, batch: Sequence[Interaction], now: Micros, version: int, *, crash: bool = False
    ) -> BatchResult:
        """One batch up to the tables; unless it crashes there, its states too."""
        ready = [key for key, due in self.due.items() if due <= now]
        result = advance_batch(self.states.get, batch, ready, now, self.policy)
        self.tables.write(result, version)
        if not crash:
            for key, state in result.states.items():
                if state is None:
                    self.states.pop(key, None)
                else:
                    self.states[key] = state
            for key, instant in result.due.items():
                if instant is None:
                    self.due.pop(key, None)
                else:
                    self.due[key] = instant
        return result


@st.composite
def facts(draw: st.DrawFn) -> list[Interaction]:
    """Interactions of two customers and of nobody, with revisions that may move them in time."""
    told: list[Interaction] = []
    for number in range(draw(st.integers(1, 7))):
        by = draw(st.sampled_from(["crm:ann", "crm:ann", "crm:ann", "email:bob@example.com", None]))
        at = draw(st.integers(100, 160))
        kind = draw(st.sampled_from([builders.call, builders.mail, builders.visit, builders.page_view]))
        said = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "ends": st.sampled_from(["resolved", "promised", "unknown"]),
                    "about": st.sampled_from(["billing", "delivery.late"]),
                    "case": st.sampled_from(["K1", "K2"]),
                    "wait": st.sampled_from([0.1, 0.2, 0.7]),
                    "transfers": st.integers(0, 2),
                },
            )
        )
        first = kind(at, by, id=f"i{number}", source="one", **said)
        told.append(first)
        for revision in range(1, draw(st.sampled_from([1, 1, 2, 3]))):
            moved_to = draw(st.one_of(st.just(at), st.integers(100, 160)))
            told.append(builders.revised(first, revision, occurred_at=moved_to))
    return told


@st.composite
def logs(draw: st.DrawFn) -> list[Interaction]:
    """The same facts as a log: in any order, some published twice, some redelivered."""
    told = draw(facts())
    again = draw(st.lists(st.sampled_from(told), max_size=3))
    once_more = [builders.repeated(one)[0] for one in draw(st.lists(st.sampled_from(told), max_size=3))]
    return list(draw(st.permutations([*told, *again, *once_more])))


def expected(log: Sequence[Interaction], now: Micros = FAR, policy: JourneyPolicy = POLICY) -> set[Journey]:
    """The journeys straight from the definition: each customer's whole set, evaluated once."""
    journeys: set[Journey] = set()
    for customer in {one.customer for one in log if one.customer is not None}:
        mine = [one for one in log if one.customer == customer]
        journeys.update(evaluate(timeline_of(customer, mine), now, policy).journeys)
    return journeys


def assert_whole(machine: Machine, log: Sequence[Interaction]) -> None:
    """The tables say exactly what the definition says of the set of interactions in the log."""
    tables = machine.tables
    assert tables.standing() == expected(log)
    latest = {}
    for one in log:
        if one.key not in latest or one.revision > latest[one.key].revision:
            latest[one.key] = one
    seen = tables.placed()
    assert {key: row[:2] for key, row in seen.items()} == {
        key: (one.revision, one.occurred_at) for key, one in latest.items()
    }
    assert not any(beyond for *_, beyond in seen.values())
    counted: dict[str, int] = {}
    for key, (_, _, journey_id, _) in seen.items():
        assert (journey_id is None) == (latest[key].customer is None)
        if journey_id is not None:
            counted[journey_id] = counted.get(journey_id, 0) + 1
    assert counted == {journey.journey_id: journey.interactions for journey in tables.standing()}
    received = {Coordinates(one.topic, one.partition, one.offset) for one in log}
    assert tables.stored | tables.superseded == received
    assert len(received - tables.superseded) == len(latest)


def clock_of(log: Sequence[Interaction], shift: Micros) -> list[Micros]:
    """The clock after each record: what was read so far, `shift` before or ahead of the newest."""
    newest = list(accumulate((one.occurred_at for one in log), max))
    return [instant + shift for instant in newest]


def run_with_crashes(
    choose: Callable[[int, int], tuple[int, bool]],
    log: Sequence[Interaction],
    clock: Sequence[Micros],
    policy: JourneyPolicy = POLICY,
) -> Machine:
    """Read the log in batches; some runs write their rows and die before the state is kept, and are cut anew.

    `choose(begin, length)` gives where the next run ends and whether it dies.
    """
    machine = Machine(policy)
    begin = 0
    while begin < len(log):
        end, crash = choose(begin, len(log))
        machine.run(log[begin:end], clock[end - 1], version=end, crash=crash)
        begin = begin if crash else end
    machine.run((), FAR, version=len(log) + 1)
    return machine


def drawn(data: st.DataObject, crashes: int = 4) -> Callable[[int, int], tuple[int, bool]]:
    """Cuts and crashes as hypothesis likes them."""
    left = [crashes]

    def choose(begin: int, length: int) -> tuple[int, bool]:
        crash = left[0] > 0 and data.draw(st.booleans())
        left[0] -= crash
        return data.draw(st.integers(begin + 1, length)), crash

    return choose


@given(logs(), st.integers(-30, 15), st.data())
def test_any_order_repetition_cut_and_crash_ends_in_the_rows_of_the_definition(
    log: list[Interaction], shift: Micros, data: st.DataObject
) -> None:
    assert_whole(run_with_crashes(drawn(data), log, clock_of(log, shift)), log)


def small_world() -> list[Interaction]:
    """Three interactions of ann whose revisions meet, part, move to and fro, and change only what they
    say.
    """
    a = builders.call(100, "crm:ann", id="a")
    b = builders.mail(95, "crm:ann", id="b")
    c = builders.visit(112, "crm:ann", id="c")
    return [
        a,
        builders.revised(a, 1, outcome="resolved"),
        builders.revised(a, 2, outcome=None),
        b,
        builders.revised(b, 1, occurred_at=120),
        builders.revised(b, 2, occurred_at=95),
        c,
    ]


def every_schedule_with_one_crash(length: int) -> Iterator[list[tuple[int, bool]]]:
    """One batch that lives, one that dies, one that repeats it longer or shorter, the rest."""
    for begin in range(length):
        for died_at in range(begin + 1, length + 1):
            for end in range(begin + 1, length + 1):
                schedule = [(begin, False)] if begin else []
                schedule += [(died_at, True), (end, False)]
                yield [*schedule, (length, False)] if end < length else schedule


def failures_of_the_small_world(length: int) -> int:
    """In how many of all orders and schedules the tables do not say what the definition says."""
    failures = 0
    for log in permutations(small_world(), length):
        wanted = expected(log)
        place = {}
        for journey in wanted:
            mine = timeline_of("crm:ann", log).steps
            place.update(
                (step.identity, journey.journey_id)
                for step in mine
                if journey.started_at <= step.occurred_at <= journey.ended_at
            )
        for schedule in every_schedule_with_one_crash(length):
            runs = iter(schedule)
            machine = run_with_crashes(lambda _begin, _length, runs=runs: next(runs), log, [FAR] * length)
            placed = {key: row[2] for key, row in machine.tables.placed().items()}
            failures += machine.tables.standing() != wanted or placed != place
    return failures


def test_every_order_and_every_place_of_a_crash_in_a_small_world() -> None:
    assert failures_of_the_small_world(3) == 0


def test_a_journey_entered_and_left_again_around_a_crash_is_written_as_it_is() -> None:
    left, right = builders.call(100, "crm:ann"), builders.visit(120, "crm:ann")
    entered = builders.mail(102, "crm:ann")
    log = [left, right, entered, builders.revised(entered, occurred_at=118)]
    runs = iter([(2, False), (3, True), (4, False)])
    assert_whole(run_with_crashes(lambda _begin, _length: next(runs), log, [FAR] * 4), log)


@pytest.mark.skipif(schemas.MODE == "compiled", reason="calls within compiled modules cannot be replaced")
@pytest.mark.parametrize("wrong", ["passing", "moved"])
def test_the_small_world_notices_a_core_that_forgets_what_a_crash_may_have_written(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty: dict[str, Any] = {"passing": [], "moved": False}

    def careless(*args: Any) -> Applied:
        return apply_arrivals(*args)._replace(**{wrong: empty[wrong]})

    monkeypatch.setattr(advance, "apply_arrivals", careless)
    assert failures_of_the_small_world(3) > 0


POLICIES = st.builds(
    JourneyPolicy,
    gap=st.sampled_from([1, 5, 10]),
    horizon=st.sampled_from([5, 20, 40]),
    max_interactions=st.integers(1, 6),
)


def moves_in_time(log: Sequence[Interaction]) -> bool:
    """Whether two revisions of one interaction name different times."""
    times: dict[tuple[str, str], Micros] = {}
    return any(times.setdefault(one.key, one.occurred_at) != one.occurred_at for one in log)


@given(logs(), st.integers(-40, 4), POLICIES, st.data())
def test_cuts_and_crashes_do_not_show_beyond_the_horizon_nor_when_timelines_are_folded(
    log: list[Interaction], shift: Micros, policy: JourneyPolicy, data: st.DataObject
) -> None:
    if moves_in_time(log):
        # A revision that moves what may be folded at any moment is the one thing that cuts decide (ADR 0003).
        policy = JourneyPolicy(policy.gap, policy.horizon, max_interactions=len(log) + 1)
    before_anybody_is_forgotten = 100 + policy.horizon
    clock = [min(instant, before_anybody_is_forgotten) for instant in clock_of(log, shift)]
    ends = iter([(end, False) for end in range(1, len(log) + 1)])
    one_by_one = run_with_crashes(lambda _begin, _length: next(ends), log, clock, policy)
    otherwise = run_with_crashes(drawn(data), log, clock, policy)
    assert otherwise.tables.standing() == one_by_one.tables.standing()
    assert otherwise.tables.placed() == one_by_one.tables.placed()
    received = {Coordinates(one.topic, one.partition, one.offset) for one in log}
    for machine in (otherwise, one_by_one):
        assert machine.tables.stored | machine.tables.superseded == received


@st.composite
def late_within_the_horizon(draw: st.DrawFn) -> tuple[list[Interaction], JourneyPolicy]:
    """A long story told in almost the right order: nothing comes later than the horizon allows."""
    policy = JourneyPolicy(gap=draw(st.sampled_from([3, 10])), horizon=draw(st.sampled_from([10, 40])))
    told: list[Interaction] = []
    newest = 100
    for number in range(draw(st.integers(1, 25))):
        newest += draw(st.sampled_from([0, 0, 1, 3, 4, 10, 11, 30, 60]))
        at = newest - draw(st.one_of(st.just(0), st.integers(0, policy.horizon)))
        newest = max(newest, at) if told else at
        told.append(builders.call(at, "crm:ann", id=f"i{number}"))
        if draw(st.integers(0, 4)) == 0:
            told.append(
                draw(st.sampled_from([one for one in told if one.occurred_at >= newest - policy.horizon]))
            )
    return told, policy


@given(late_within_the_horizon(), st.integers(-30, 3), st.data())
def test_pruning_does_not_show(
    story: tuple[list[Interaction], JourneyPolicy], shift: Micros, data: st.DataObject
) -> None:
    log, policy = story
    clock = clock_of(log, shift)
    machine = run_with_crashes(drawn(data), log, clock, policy)
    assert machine.tables.standing() == expected(log, FAR, policy)
    assert not any(beyond for *_, beyond in machine.tables.placed().values())


@given(late_within_the_horizon())
def test_what_is_final_and_closed_is_not_held(story: tuple[list[Interaction], JourneyPolicy]) -> None:
    log, policy = story
    machine = Machine(policy)
    newest = 0
    for end, (one, now) in enumerate(zip(log, clock_of(log, policy.gap), strict=True), 1):
        machine.run([one], now, version=end)
        newest = max(newest, one.occurred_at)
        state = decode_state(machine.states[b"crm:ann"])
        held = evaluate(Timeline("crm:ann", state.steps(), state.carried), now, policy).journeys
        assert all(
            journey.ended_at >= newest - policy.horizon - policy.gap or not journey.closed for journey in held
        )
        whole = evaluate(timeline_of("crm:ann", log[:end]), now, policy).journeys
        assert whole[len(whole) - len(held) :] == held


@given(logs(), POLICIES)
def test_seeing_everything_before_evaluating_makes_order_and_lateness_immaterial(
    log: list[Interaction], policy: JourneyPolicy
) -> None:
    told_last = sorted(log, key=lambda one: one.revision)
    everything = {(routing_key(one), one.key): one for one in told_last}
    in_order = sorted(everything.values(), key=lambda one: one.position)
    policy = replace(policy, max_interactions=5_000)
    result = advance_batch({}.get, in_order, (), FAR, policy)
    assert set(result.journeys) == expected(log, FAR, policy)
    assert (result.superseded, result.beyond_horizon) == ([], 0)
    assert len(result.interactions) == len(in_order)
    standing = {journey.journey_id for journey in result.journeys}
    assert not standing & {journey_id for _, journey_id in result.retracted}


@given(logs(), st.integers(100, 200))
def test_next_due_is_exact(log: list[Interaction], now: Micros) -> None:
    line = timeline_of("crm:ann", [one for one in log if one.customer == "crm:ann"])
    outcome = evaluate(line, now, POLICY)
    if outcome.next_due is None:
        assert evaluate(line, now + 10 * FAR, POLICY).journeys == outcome.journeys
    else:
        assert outcome.next_due > now
        assert evaluate(line, outcome.next_due - 1, POLICY).journeys == outcome.journeys
        assert evaluate(line, outcome.next_due, POLICY).journeys != outcome.journeys


@given(logs(), st.integers(-30, 15))
def test_a_due_state_changes_at_its_due_instant_and_not_before(log: list[Interaction], shift: Micros) -> None:
    policy = JourneyPolicy(gap=10, horizon=40)
    machine = Machine(policy)
    machine.run(log, clock_of(log, shift)[-1], version=1)
    while machine.due:
        key, due = min(machine.due.items(), key=lambda item: item[1])
        early = advance_batch(machine.states.get, (), [key], due - 1, policy)
        assert (early.states, early.journeys, early.due) == ({}, [], {key: due})
        at_due = machine.run((), due, version=2)
        assert key in at_due.states
        assert machine.due.get(key, due + 1) > due
    assert all(decode_state(state).held == 0 for state in machine.states.values())


@given(logs(), logs(), POLICIES)
def test_what_comes_after_a_customer_is_forgotten_never_touches_a_final_journey(
    log: list[Interaction], late: list[Interaction], policy: JourneyPolicy
) -> None:
    machine = Machine(policy)
    machine.run(log, 0, version=1)
    machine.run((), FAR, version=2)
    final = machine.tables.standing()
    others = [msgspec.structs.replace(one, source="two") for one in late]
    machine.run(others, FAR, version=3)
    machine.run((), 3 * FAR, version=4)
    grown = machine.tables.standing()
    names = {journey.journey_id for journey in final}
    assert all(journey in final or journey.journey_id not in names for journey in grown)
    for journey in grown - final:
        for settled in final:
            assert (
                journey.customer != settled.customer or journey.started_at - settled.ended_at > policy.gap
            ), (journey, settled)


@given(logs(), st.integers(100, 200))
def test_journeys_partition_the_timeline(log: list[Interaction], now: Micros) -> None:
    line = timeline_of("crm:ann", [one for one in log if one.customer == "crm:ann"])
    journeys = evaluate(line, now, POLICY).journeys
    assert sum(journey.interactions for journey in journeys) == len(line.steps)
    assert sum(journey.contacts for journey in journeys) <= len(line.steps)
    for earlier, later in pairwise(journeys):
        assert later.started_at - earlier.ended_at > POLICY.gap
    for step in line.steps:
        assert sum(one.started_at <= step.occurred_at <= one.ended_at for one in journeys) == 1


@given(logs(), st.integers(1, 12))
def test_folding_the_beginning_into_sums_does_not_change_the_sums(log: list[Interaction], fold: int) -> None:
    line = timeline_of("crm:ann", [one for one in log if one.customer == "crm:ann"])
    carried = evaluate(Timeline(line.customer, line.steps[:fold]), 0, POLICY).journeys
    folded = evaluate(Timeline(line.customer, line.steps[fold:], carried), FAR, POLICY)
    assert folded == evaluate(line, FAR, POLICY)


@given(logs(), st.data())
def test_a_wrong_gap_is_noticed(log: list[Interaction], data: st.DataObject) -> None:
    """The negative control of the first law: a core whose gap is one microsecond off agrees only where no
    gap tells.
    """
    wrong = replace(POLICY, gap=POLICY.gap - 1)
    machine = run_with_crashes(drawn(data), log, clock_of(log, 0), wrong)
    exactly_a_gap = any(
        later.occurred_at - earlier.occurred_at == POLICY.gap
        for who in ("crm:ann", "email:bob@example.com")
        for earlier, later in pairwise(_steps(log, who))
    )
    assert (machine.tables.standing() == expected(log)) != exactly_a_gap


def encoded(state: CustomerState | None) -> bytes | None:
    return None if state is None else encode_state(state)


def assert_the_same(short: Advance, whole: Advance) -> None:
    """Nothing tells the short way from the long one, in what is written nor in what is kept."""
    assert encoded(short.state) == encoded(whole.state)
    assert short.state == whole.state
    assert [list(part) for part in short[:4]] == [list(part) for part in whole[:4]]
    assert (short.beyond, short.folded) == (whole.beyond, whole.folded)
    assert (list(short.placed), list(short.left)) == (list(whole.placed), list(whole.left))


def _steps(log: Sequence[Interaction], customer: str) -> Sequence[Step]:
    return timeline_of(customer, [one for one in log if one.customer == customer]).steps


@given(
    logs(),
    st.integers(-30, 30),
    st.integers(1, 12),
    st.sampled_from([POLICY, JourneyPolicy(gap=5, horizon=20, max_interactions=4)]),
)
def test_appending_gives_what_evaluating_the_whole_timeline_gives(
    log: list[Interaction], shift: Micros, batch: int, policy: JourneyPolicy
) -> None:
    mostly_in_order = sorted(log, key=lambda one: one.occurred_at // 8)
    clock = clock_of(mostly_in_order, shift)
    states: dict[str, CustomerState | None] = {}
    for start in range(0, len(mostly_in_order), batch):
        arrivals: dict[str, list[Interaction]] = {}
        for one in mostly_in_order[start : start + batch]:
            if one.customer is not None:
                arrivals.setdefault(one.customer, []).append(one)
        now = clock[min(start + batch, len(clock)) - 1]
        for customer, arrived in arrivals.items():
            before = states.get(customer)
            whole = advance_customer(customer, before, arrived, now, policy)
            short = append(customer, before, arrived, now, policy)
            if short is not None:
                assert_the_same(short, whole)
            states[customer] = whole.state


def test_a_customer_s_next_interaction_takes_the_short_way() -> None:
    first, second = builders.call(100, "crm:ann"), builders.mail(108, "crm:ann")
    begun = append("crm:ann", None, [first], 0, POLICY)
    assert begun is not None
    lengthened = append("crm:ann", begun.state, [second], 0, POLICY)
    assert lengthened is not None
    assert [journey.interactions for journey in lengthened.journeys] == [2]
    at_once = append("crm:ann", None, [first, second], 0, POLICY)
    assert at_once is not None
    assert at_once.state == lengthened.state


@given(logs(), st.integers(-30, 15), st.lists(st.integers(0, 60), max_size=5), POLICIES)
def test_closing_without_looking_at_the_steps_gives_what_evaluating_them_gives(
    log: list[Interaction], shift: Micros, pauses: list[Micros], policy: JourneyPolicy
) -> None:
    mine = [one for one in log if one.customer == "crm:ann"]
    now = clock_of(log, shift)[-1]
    state = advance_customer("crm:ann", None, mine, now, policy).state
    for pause in pauses:
        now += pause
        whole = advance_customer("crm:ann", state, (), now, policy)
        short = append("crm:ann", state, (), now, policy)
        if short is not None:
            assert_the_same(short, whole)
        state = whole.state


def test_time_that_closes_a_journey_takes_the_short_way() -> None:
    begun = append("crm:ann", None, [builders.call(100, "crm:ann")], 100, POLICY)
    assert begun is not None
    assert append("crm:ann", begun.state, (), 110, POLICY) is None
    closed = append("crm:ann", begun.state, (), 111, POLICY)
    assert closed is not None
    assert [journey.closed for journey in closed.journeys] == [True]
    returned = append("crm:ann", begun.state, [builders.mail(140, "crm:ann")], 140, POLICY)
    assert returned is not None
    assert [journey.closed for journey in returned.journeys] == [True, False]


def test_disorder_among_arrivals_takes_the_short_way_and_unsays_what_a_crashed_run_may_have_said() -> None:
    known = builders.call(100, "crm:ann")
    begun = append("crm:ann", None, [known], 100, POLICY)
    assert begun is not None
    later, earlier = builders.mail(120, "crm:ann"), builders.visit(115, "crm:ann")
    (twin,) = builders.repeated(later)
    better = builders.revised(later, outcome="resolved")
    short = append("crm:ann", begun.state, [later, earlier, twin, better], 120, POLICY)
    assert short is not None
    assert_the_same(
        short, advance_customer("crm:ann", begun.state, [later, earlier, twin, better], 120, POLICY)
    )
    assert short.retracted == [journey_id_of("crm:ann", later.source, later.id, POLICY.id_key)]
    assert len(short.superseded) == 2


@pytest.mark.parametrize(
    "arrival",
    [
        pytest.param(builders.mail(100, "crm:ann", id="new"), id="not later than what is known"),
        pytest.param(builders.call(130, "crm:ann", id="held"), id="held already"),
    ],
)
def test_what_meets_the_held_steps_takes_the_long_way(arrival: Interaction) -> None:
    begun = append("crm:ann", None, [builders.call(100, "crm:ann", id="held")], 100, POLICY)
    assert begun is not None
    assert append("crm:ann", begun.state, [arrival], 130, POLICY) is None


def test_a_final_journey_is_dropped_on_the_short_way_too() -> None:
    policy = JourneyPolicy(gap=10, horizon=30)
    first, second = builders.call(100, "crm:ann"), builders.mail(200, "crm:ann")
    begun = append("crm:ann", None, [first], 100, policy)
    assert begun is not None
    short = append("crm:ann", begun.state, [second], 200, policy)
    assert short is not None
    assert [step.id for step in short.left] == [first.id]
    assert_the_same(short, advance_customer("crm:ann", begun.state, [second], 200, policy))


TIGHT = JourneyPolicy(gap=10, horizon=30)


def ids_of_one_mark() -> list[str]:
    """Two ids of one source that share their mark."""
    seen: dict[bytes, str] = {}
    for number in count():
        drawn_id = sha256(number.to_bytes(4, "big")).hexdigest()
        twin = seen.setdefault(identity_mark("one", drawn_id), drawn_id)
        if twin != drawn_id:
            return [twin, drawn_id]
    raise AssertionError("marks of 32 bits must collide")


def stories_for_the_long_way() -> Iterator[Any]:
    """A state before, arrivals and the clock of which the short way must not judge."""
    old = builders.visit(85, "crm:ann")
    first, last = builders.call(100, "crm:ann", id="a"), builders.mail(200, "crm:ann", id="b")
    yield pytest.param([old], [last, first], 200, id="beyond the horizon of one that came with it")
    better = builders.revised(first, outcome="resolved")
    yield pytest.param([old], [first, last, better], 200, id="a revision of what is final by then")
    yield pytest.param([first, last], [], 111, id="closed by time, and final long since")
    one, other = ids_of_one_mark()
    alike = [builders.call(100, "crm:ann", source="one", id=one)]
    alike.append(builders.call(101, "crm:ann", source="one", id=other))
    yield pytest.param([], alike, 101, id="two of one mark")
    yield pytest.param(alike[:1], alike[1:], 101, id="the mark of one that is held")


@pytest.mark.parametrize(("held", "arrivals", "now"), list(stories_for_the_long_way()))
def test_what_the_short_way_cannot_judge_it_leaves_to_the_long_one(
    held: list[Interaction], arrivals: list[Interaction], now: Micros
) -> None:
    before = advance_customer("crm:ann", None, held, 100, TIGHT).state
    assert append("crm:ann", before, arrivals, now, TIGHT) is None


def test_nothing_comes_before_the_floor_on_the_short_way() -> None:
    state = advance_customer("crm:ann", None, [builders.call(100, "crm:ann")], 100, TIGHT).state
    assert state is not None
    left_behind = msgspec.structs.replace(state, floor=120)
    assert append("crm:ann", left_behind, [builders.mail(120, "crm:ann")], 120, TIGHT) is None
    assert append("crm:ann", left_behind, [builders.mail(121, "crm:ann")], 121, TIGHT) is not None
