"""The journeys agent: the order of its effects, and a record that alone makes the core raise."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from schemas.dead_letters import parse_dead_letter
from schemas.interaction import (
    CONTROL_KEY,
    DAY,
    Interaction,
    WatermarkReport,
    decode_interaction,
    encode_interaction,
    encode_watermarks,
    routing_key,
)
from schemas.records import SinkBatch
from schemas.rule_sets import RULES_KEY, encode_rules
from streams.agents import effects
from streams.agents import journeys as module
from streams.agents.clocks import CLOCK_KEY
from streams.agents.effects import Effects
from streams.agents.journeys import Journeys
from streams.agents.lanes import Fenced, Unavailable, finish
from streams.agents.owed import OWED_KEYS
from streams.agents.refusals import Refusals
from streams.agents.sink import Persister
from streams.catalogue.rule_sets import compile_record, read_folder, rules_folder
from streams.core.batch import advance_batch
from streams.core.detection.customer import Detection
from streams.core.detection.light import DEFAULT_LIGHT
from streams.core.policy import JourneyPolicy
from streams.kafka.delivery import SharedDelivery
from streams.kafka.store import State
from tests.builders import call, instant, visit
from tests.unit.agents.fakes import App, Epochs, Known, Producer, Record, Sink, pauses

GAP = 7 * DAY


class Bench:
    """A journeys agent with everything around it."""

    def __init__(
        self,
        order: list[str] | None = None,
        sink: Sink | None = None,
        *,
        knowledge: Known | None = None,
        partitions: int = 1,
    ) -> None:
        order = [] if order is None else order
        self.app = App()
        self.states: dict[int, State] = {}
        self.sink = sink or Sink(lambda _batch: order.append("rows"))
        self.producer = Producer(order.append)
        self.written: list[tuple[int, int]] = []
        self.knowledge = knowledge or Known()
        producer: Any = self.producer
        self.persister = Persister(self.sink)

        def detection(rules: bytes) -> Detection:
            return Detection(compile_record(rules, 30 * DAY))

        self.agent = Journeys(
            effects=Effects(
                producer=lambda: producer,
                persister=self.persister,
                epochs=Epochs(),
                changelog=lambda: "changelog",
                changelog_written=lambda partition, offset: self.written.append((partition, offset)),
                interactions_topic="interactions",
                interactions=SharedDelivery(lambda: producer, "interactions"),
                refusals=Refusals(lambda: producer, "dead", partitions),
                alerts_topic="alerts",
                detection=detection,
                fading=DEFAULT_LIGHT.fading,
            ),
            policy=JourneyPolicy(gap=GAP),
            timelines=lambda number: self.states.setdefault(number, {}),
            sources=["touchline.phone/0"],
            detection=detection,
            partitions=partitions,
            knowledge=self.knowledge,
        )

    async def handle(self, *records: Record) -> None:
        batch = self.app.batch(records)
        await finish(batch, await self.agent(batch))


def records(*interactions: Interaction, first: int = 0) -> list[Record]:
    return [
        Record(offset, encode_interaction(one), routing_key(one))
        for offset, one in enumerate(interactions, first)
    ]


def watermark(offset: int, at: int) -> Record:
    return Record(offset, encode_watermarks(WatermarkReport({"touchline.phone/0": at})), CONTROL_KEY)


ANN = call("2026-03-01T10:00Z", by="crm:ann")
BOB = visit("2026-03-01T11:00Z", by="crm:bob")


async def test_changelog_then_state_then_rows_then_acknowledgement() -> None:
    order: list[str] = []
    bench = Bench(order)
    await bench.handle(*records(ANN))
    assert order == ["interactions", "changelog", "rows"], "first its own control record, when it takes over"
    assert set(bench.states[0]) == {b"crm:ann", CLOCK_KEY}
    assert dict(bench.producer.sent["changelog", 0]) == bench.states[0]
    assert bench.written == [(0, 1)]
    assert bench.app.acks == [(bench.app.batch([]).tp, 0)]


async def test_version_is_the_epochs_base_and_the_last_offset_of_the_batch() -> None:
    bench = Bench()
    await bench.handle(*records(ANN, BOB, first=40))
    (rows,) = bench.sink.written
    assert rows.version == 1_000 + 41
    assert rows.incarnation == 77


@pytest.mark.parametrize("lost_at", ["rows", "changelog"])
async def test_a_partition_lost_on_the_way_acknowledges_nothing_and_changes_no_state_that_is_not_stored(
    lost_at: str,
) -> None:
    bench = Bench()

    def lose(step: str) -> None:
        if step == lost_at:
            bench.app.rebalancing_count += 1

    bench.sink._before = lambda _batch: lose("rows")
    bench.producer._before = lose
    with pytest.raises(Fenced):
        await bench.handle(*records(ANN))
    assert set(bench.states[0]) == ({b"crm:ann", CLOCK_KEY} if lost_at == "rows" else set())
    assert bench.app.acks == []
    assert len(bench.written) == (lost_at == "rows")
    assert ("changelog", 0) in bench.producer.sent


async def test_the_same_batch_again_in_the_next_generation_ends_in_the_same_state() -> None:
    bench, again = Bench(), Bench()
    await bench.handle(*records(ANN, BOB))
    again.producer._before = lambda _topic: setattr(again.app, "consumer_generation_id", 2)
    with pytest.raises(Fenced):
        await again.handle(*records(ANN, BOB))
    again.producer._before = lambda _topic: None
    batch = again.app.batch(records(ANN, BOB), generation=2)
    await finish(batch, await again.agent(batch))
    assert again.states == bench.states
    assert again.sink.written[-1] == bench.sink.written[-1]


async def test_a_sink_that_is_down_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pauses(monkeypatch)

    def down(_batch: object) -> None:
        if len(asked) < 5:
            raise Unavailable("refused")

    bench = Bench(sink=Sink(down))
    await bench.handle(*records(ANN))
    assert len(asked) == 5
    assert len(bench.sink.written) == 1
    assert bench.producer.headers == [], "a sink that is down makes no dead letters"


async def test_a_journey_closes_when_the_watermark_is_more_than_the_gap_after_it() -> None:
    bench = Bench()
    end = ANN.occurred_at
    await bench.handle(*records(ANN))
    await bench.handle(watermark(1, end + GAP))
    assert [journey.closed for batch in bench.sink.written for journey in batch.journeys] == [False]
    await bench.handle(watermark(2, end + GAP + 1))
    assert [journey.closed for batch in bench.sink.written for journey in batch.journeys] == [False, True]
    assert len(bench.app.acks) == 3


async def test_a_journey_from_before_the_first_rules_closes_all_the_same() -> None:
    bench = Bench()
    await bench.handle(*records(ANN))
    rules = read_folder(rules_folder(None), 30 * DAY)
    await bench.handle(Record(1, encode_rules(rules), RULES_KEY))
    await bench.handle(watermark(2, ANN.occurred_at + GAP + 1))
    closed = [
        journey.customer for batch in bench.sink.written for journey in batch.journeys if journey.closed
    ]
    assert closed == ["crm:ann"]


async def test_a_watermark_that_changes_nothing_writes_nothing_and_is_acknowledged() -> None:
    bench = Bench()
    await bench.handle(watermark(0, instant("2026-03-01")))
    assert bench.sink.written == []
    assert set(bench.producer.sent) == {("interactions", 0)}
    assert len(bench.app.acks) == 1


async def test_clock_and_agenda_come_back_from_the_state() -> None:
    bench = Bench()
    await bench.handle(*records(ANN), watermark(1, ANN.occurred_at))
    successor = Bench()
    successor.states = bench.states
    await successor.handle(watermark(2, ANN.occurred_at + GAP + 1))
    (rows,) = successor.sink.written
    assert [journey.closed for journey in rows.journeys] == [True]


async def test_more_customers_are_due_than_one_step_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DUE_AT_ONCE", 2)
    bench = Bench()
    people = [call("2026-03-01T10:00Z", by=f"crm:{number}") for number in range(5)]
    await bench.handle(*records(*people))
    await bench.handle(watermark(9, ANN.occurred_at + GAP + 1))
    closed = [
        journey.customer for batch in bench.sink.written for journey in batch.journeys if journey.closed
    ]
    assert sorted(closed) == [f"crm:{number}" for number in range(5)]
    assert [len(batch.journeys) for batch in bench.sink.written] == [5, 2, 2, 1]


def core_that_raises_on(bad: Callable[[Interaction], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(lookup: Any, interactions: Sequence[Interaction], *rest: Any) -> Any:
        for one in interactions:
            if bad(one):
                raise ArithmeticError(f"cannot digest {one.id}")
        return advance_batch(lookup, interactions, *rest)

    monkeypatch.setattr(module, "advance_batch", advance)


async def test_a_record_that_alone_makes_the_core_raise_becomes_a_dead_letter_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core_that_raises_on(lambda one: one.id == "poison", monkeypatch)
    poison = msgspec.structs.replace(BOB, id="poison", topic="touchline.visit", partition=3, offset=42)
    bench = Bench()
    await bench.handle(*records(ANN, poison, BOB))
    (rows,) = bench.sink.written
    assert [placed.interaction.id for placed in rows.interactions] == [ANN.id, BOB.id]
    (letter,) = rows.dead_letters
    assert (letter.topic, letter.partition, letter.offset) == ("touchline.visit", 3, 42)
    assert (letter.stage, letter.error, letter.message) == (
        "process",
        "ArithmeticError",
        "cannot digest poison",
    )
    assert letter.value is not None
    assert decode_interaction(letter.value) == poison
    ((topic, partition, key, value, headers),) = bench.producer.headers
    assert (topic, partition) == ("dead", 0)
    assert parse_dead_letter(key, value, headers, letter.occurred_at) == letter
    assert set(bench.states[0]) == {b"crm:ann", b"crm:bob", CLOCK_KEY}
    assert len(bench.app.acks) == 1


async def test_an_error_that_no_record_is_to_blame_for_goes_up_and_blames_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> Any:
        raise ArithmeticError("broken")

    monkeypatch.setattr(module, "advance_batch", broken)
    bench = Bench()
    with pytest.raises(ArithmeticError, match="broken"):
        await bench.handle(*records(ANN, BOB))
    assert bench.producer.headers == []
    assert bench.app.acks == []


async def test_foreign_bytes_on_the_topic_are_a_dead_letter_and_their_neighbours_pass() -> None:
    bench = Bench()
    before, after = records(ANN), records(BOB, first=4)
    foreign = Record(1, b'{"id": 1}', b"k"), Record(2, None, b"crm:ann"), Record(3, b"no mark", CONTROL_KEY)
    await bench.handle(*before, *foreign, *after)
    refused, good = bench.sink.written
    assert [(one.offset, one.value, one.key, one.error) for one in refused.dead_letters] == [
        (1, b'{"id": 1}', b"k", "foreign"),
        (2, None, b"crm:ann", "foreign"),
        (3, b"no mark", CONTROL_KEY, "foreign"),
    ]
    assert [where.offset for where in refused.received] == [1, 2, 3]
    assert refused.incarnation == 77
    assert {placed.interaction.customer for placed in good.interactions} == {"crm:ann", "crm:bob"}
    assert len(bench.app.acks) == 1


class SlowSink(Sink):
    """Lets a batch be written when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[SinkBatch] = []
        self._open = asyncio.Semaphore(0)

    async def write(self, batch: SinkBatch) -> None:
        self.asked.append(batch)
        await self._open.acquire()
        await super().write(batch)

    def let_through(self, number: int = 1) -> None:
        for _ in range(number):
            self._open.release()


async def test_states_go_on_while_rows_are_written() -> None:
    bench = Bench(sink=(sink := SlowSink()))
    await bench.agent(bench.app.batch(records(ANN)))
    second = bench.app.batch(records(BOB, first=1))
    rest = await bench.agent(second)
    assert {b"crm:ann", b"crm:bob"} < set(bench.states[0]), "both are in the changelog"
    assert sink.written == []
    sink.let_through(2)
    await finish(second, rest)
    assert [batch.version for batch in sink.written] == [1_000, 1_001]


async def test_rows_that_count_as_much_as_others_wait_until_those_are_written() -> None:
    bench = Bench(sink=(sink := SlowSink()))
    bench.producer.sent["interactions", 0] = [(b"k", b"v")] * 20
    first = bench.app.batch(records(ANN))
    rest = await bench.agent(first)
    handling = asyncio.create_task(bench.agent(bench.app.batch(records(BOB, first=1))))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not handling.done(), "before the owner's own record is read all rows have one version"
    assert len(sink.asked) == 1
    sink.let_through()
    await finish(first, rest)
    await handling
    await asyncio.sleep(0)
    assert [batch.version for batch in sink.asked] == [1_020, 1_020]


async def succeeded(bench: Bench, *records: Record, behind: int = 0) -> Bench:
    """The next owner, who finds the states of one that died and reads its records again; its own record lies behind so
    many others.
    """
    successor = Bench()
    successor.producer.sent["interactions", 0] = [(b"k", b"v")] * behind
    successor.states = bench.states
    successor.app.consumer_generation_id = 2
    batch = successor.app.batch(records, generation=2)
    await finish(batch, await successor.agent(batch))
    return successor


async def test_what_time_had_closed_is_written_by_the_next_owner_if_the_rows_were_not() -> None:
    bench = Bench()
    await bench.handle(*records(ANN))
    bench.sink = bench.persister._sink = SlowSink()
    end = watermark(1, ANN.occurred_at + GAP + 1)
    await bench.agent(bench.app.batch([end]))
    successor = await succeeded(bench, end)
    closed = [one.closed for batch in successor.sink.written for one in batch.journeys]
    assert closed == [True]
    again = await succeeded(successor, end)
    assert [one.closed for batch in again.sink.written for one in batch.journeys] == [True], (
        "until another step"
    )
    await again.agent(again.app.batch(records(BOB, first=30), generation=2))
    assert not again.states[0].keys() & set(OWED_KEYS)


async def test_findings_are_told_by_the_next_owner_if_they_were_not() -> None:
    bench = Bench(sink=SlowSink())
    rules = Record(0, encode_rules(read_folder(rules_folder(None), 30 * DAY)), RULES_KEY)
    rude = records(msgspec.structs.replace(ANN, treatment="rude"), first=1)
    await bench.agent(bench.app.batch([rules, *rude]))
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(bench.producer.sent["alerts", 0]) == 1, "alerts do not wait for rows"
    assert bench.sink.written == []
    changed = [key for key, _ in bench.producer.sent["changelog", 0]]
    assert changed.index(OWED_KEYS[0]) < changed.index(b"crm:ann"), (
        "of a delivery that breaks off any prefix arrives"
    )
    successor = await succeeded(bench, *rude, behind=20)
    told = [batch for batch in successor.sink.written if batch.findings or batch.lights]
    assert [change.finding.rule for batch in told for change in batch.findings] == ["bad_treatment"]
    assert [light.colour for batch in told for light in batch.lights] == ["red"]
    assert [batch.version for batch in told] == [1_020], (
        "as they are by now: above all that the dead one can have told"
    )
    assert len(successor.producer.sent["alerts", 0]) == 1


async def test_what_is_paid_leaves_the_changelog_with_the_next_step_wherever_it_stood() -> None:
    bench = Bench(sink=(sink := SlowSink()))
    rules = Record(0, encode_rules(read_folder(rules_folder(None), 30 * DAY)), RULES_KEY)
    ann, bob = records(*(msgspec.structs.replace(one, treatment="rude") for one in (ANN, BOB)), first=1)
    first, second = bench.app.batch([rules, ann]), bench.app.batch([bob])
    rests = [await bench.agent(first), await bench.agent(second)]
    assert bench.states[0].keys() & set(OWED_KEYS) == set(OWED_KEYS[:2])
    sink.let_through(2)
    for batch, rest in zip((first, second), rests, strict=True):
        await finish(batch, rest)
    await bench.agent(bench.app.batch(records(call("2026-03-02T10:00Z", by="crm:cid"), first=3)))
    assert not bench.states[0].keys() & set(OWED_KEYS), (
        "or the next owner would tell what has been overtaken since"
    )


async def test_with_more_to_keep_than_a_debt_may_hold_rows_come_before_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(effects, "MOST_ROWS", 2)
    order: list[str] = []
    bench = Bench(order)
    await bench.handle(*records(*(call("2026-03-01T10:00Z", by=f"crm:{number}") for number in range(3))))
    order.clear()
    await bench.handle(watermark(9, ANN.occurred_at + GAP + 1))
    assert order == ["rows", "changelog"]
    assert not bench.states[0].keys() & set(OWED_KEYS)


async def test_so_many_steps_are_owed_at_the_most() -> None:
    bench = Bench(sink=(sink := SlowSink()))
    for number in range(len(OWED_KEYS)):
        await bench.agent(
            bench.app.batch(records(call("2026-03-01T10:00Z", by=f"crm:{number}"), first=number))
        )
    handling = asyncio.create_task(bench.agent(bench.app.batch(records(BOB, first=99))))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not handling.done()
    assert b"crm:bob" not in bench.states[0]
    sink.let_through()
    await handling
    assert b"crm:bob" in bench.states[0]
