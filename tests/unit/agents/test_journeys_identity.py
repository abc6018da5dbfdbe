"""The journeys agent when interactions change hands: what is sent on, taken back, superseded, and in which order."""

import msgspec
import pytest

from schemas.interaction import (
    CONTROL_KEY,
    Interaction,
    WatermarkReport,
    decode_interaction,
    decode_watermarks,
    encode_watermarks,
    routing_key,
)
from schemas.links import Link
from schemas.rule_sets import RULES_KEY, encode_rules
from schemas.topics import partition_of
from streams.agents import journeys as module
from streams.agents.lanes import Fenced
from streams.agents.owed import stored_debts
from streams.agents.reserved import (
    IDENTITIES_KEY,
    INTENT_KEY,
    dump_intent,
    load_intent,
    load_limits,
    load_position,
)
from streams.catalogue.rule_sets import read_folder, rules_folder
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy
from streams.core.journeys import journey_id_of
from streams.core.timeline import coordinates_of
from tests.builders import call, instant, mail, revised
from tests.unit.agents.fakes import Known, Record
from tests.unit.agents.test_journeys import Bench, records

DAY_OF_LINK = instant("2026-03-01")
JOINED = Link("crm:ann", "phone:+359888123456", DAY_OF_LINK, DAY_OF_LINK, "web\x1f1")
BY_PHONE = call("2026-03-01T10:00Z", by="phone:+359888123456")
BY_PHONE_LATER = call("2026-03-02T10:00Z", by="phone:+359888123456")
OF_ANN = mail("2026-03-02T12:00Z", by="crm:ann")


def named_at(offset: int, links_seen: int) -> Record:
    return Record(offset, encode_watermarks(WatermarkReport({}, links_seen)), CONTROL_KEY)


def sent_on(bench: Bench, partition: int = 0) -> list[Interaction | int]:
    """What was put on the interactions topic behind the control record of the taking over: positions, interactions."""
    return [
        decode_watermarks(value or b"").links_seen if key == CONTROL_KEY else decode_interaction(value or b"")
        for key, value in bench.producer.sent["interactions", partition]
    ][1 if partition == 0 else 0 :]


def as_anns(interaction: Interaction) -> Interaction:
    return msgspec.structs.replace(interaction, customer="crm:ann")


class Untouched:
    """An index that must not be asked."""

    def customer_of(self, *_: object) -> None:
        raise AssertionError("nothing has changed, so nothing is asked")


async def test_a_partition_is_taken_over_with_no_less_knowledge_behind_a_record_of_its_own() -> None:
    bench = Bench(knowledge=Known(JOINED))
    bench.producer.sent["interactions", 0] = [(b"k", b"v")] * 40  # what lies there already
    await bench.handle(named_at(0, 1), *records(OF_ANN, first=1))
    assert bench.knowledge.waited == ["end", 1]
    (rows,) = bench.sink.written
    assert rows.version == 1_000 + 40, "above all that a dead owner can have written"
    assert rows.links_seen == 1_000 + 1
    await bench.handle(named_at(41, 1), *records(BY_PHONE, first=42))
    assert bench.knowledge.waited == ["end", 1, 1], "once in a generation"
    assert bench.sink.written[-1].version == 1_000 + 42


async def test_arrivals_are_asked_for_nothing_while_nothing_was_read_that_their_sender_did_not_know() -> None:
    bench = Bench(knowledge=Known(JOINED))
    await bench.handle(named_at(0, 1), *records(OF_ANN, first=1))
    bench.knowledge.index = Untouched()  # type: ignore[assignment]
    later = mail("2026-03-03T12:00Z", by="crm:ann")
    await bench.handle(named_at(2, 1), *records(later, first=3))
    assert [row.interaction for row in bench.sink.written[-1].interactions] == [later]


async def test_an_arrival_of_somebody_who_is_another_customer_by_now_is_sent_on_and_not_stored() -> None:
    bench = Bench()
    bench.knowledge.learn(JOINED)
    await bench.handle(named_at(0, 0), *records(BY_PHONE, OF_ANN, first=1))
    (rows,) = bench.sink.written
    assert [row.interaction for row in rows.interactions] == [OF_ANN]
    assert set(bench.states[0]) >= {b"crm:ann"}
    assert b"phone:+359888123456" not in bench.states[0]
    assert sent_on(bench) == [1, as_anns(BY_PHONE)], "behind what was known when it was named anew"
    assert rows.superseded == ()


async def test_an_arrival_named_before_all_that_is_remembered_is_asked_for_again() -> None:
    bench = Bench(
        knowledge=Known(JOINED)
    )  # what position 0 changed is not known any more: anybody may be concerned
    await bench.handle(named_at(0, 0), *records(BY_PHONE, OF_ANN, first=1))
    assert [row.interaction for row in bench.sink.written[-1].interactions] == [OF_ANN]
    assert sent_on(bench) == [1, as_anns(BY_PHONE)]


async def test_arrivals_of_several_senders_are_judged_by_what_the_least_knowing_one_knew() -> None:
    bench = Bench()
    bench.knowledge.learn(JOINED)
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1), named_at(2, 1), *records(OF_ANN, first=3))
    assert [row.interaction for row in bench.sink.written[-1].interactions] == [OF_ANN]
    assert sent_on(bench) == [1, as_anns(BY_PHONE)]


async def test_it_is_sent_to_the_partition_of_its_customer() -> None:
    bench = Bench(partitions=7)
    bench.knowledge.learn(JOINED)
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1))
    there = partition_of(b"crm:ann", 7)
    assert there != 0
    assert sent_on(bench, there) == [1, as_anns(BY_PHONE)]


async def test_what_an_earlier_owner_may_have_accepted_is_taken_back_with_the_refusal() -> None:
    bench = Bench()
    bench.producer.sent["interactions", 0] = [(b"k", b"v")] * 2
    bench.knowledge.learn(JOINED)
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1))
    begun = "phone:+359888123456", journey_id_of("phone:+359888123456", *BY_PHONE.key, b"")
    assert bench.sink.written[-1].retracted == (begun,)
    await bench.handle(named_at(3, 0), *records(BY_PHONE_LATER, first=4))
    assert bench.sink.written[-1].retracted == (), "behind its own record nobody else was"


async def test_a_link_that_is_learnt_takes_a_timeline_apart_in_this_order() -> None:
    order: list[str] = []
    bench = Bench(order)
    await bench.handle(named_at(0, 0), *records(BY_PHONE, BY_PHONE_LATER, first=1))
    bench.knowledge.learn(JOINED)
    order.clear()
    del bench.producer.sent["changelog", 0]
    await bench.handle(named_at(3, 0))
    assert order == ["changelog", "interactions", "changelog", "rows"]
    intent, *written = bench.producer.sent["changelog", 0]
    assert intent == (INTENT_KEY, dump_intent([b"phone:+359888123456"])), "before anything departs"
    assert (b"phone:+359888123456", None) in written
    assert (INTENT_KEY, None) in written
    rows = bench.sink.written[-1]
    assert rows.interactions == (), "their rows are written by who gets them"
    assert rows.retracted == (
        ("phone:+359888123456", journey_id_of("phone:+359888123456", *BY_PHONE.key, b"")),
    )
    assert sent_on(bench) == [1, as_anns(BY_PHONE), as_anns(BY_PHONE_LATER)]
    assert not {b"phone:+359888123456", INTENT_KEY} & bench.states[0].keys()


@pytest.mark.parametrize("lost_at", ["changelog", "interactions", "rows"])
async def test_a_partition_lost_while_a_timeline_is_taken_apart_keeps_its_state(lost_at: str) -> None:
    bench = Bench()
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1))
    before = dict(bench.states[0])
    bench.knowledge.learn(JOINED)

    def lose(step: str) -> None:
        if step == lost_at:
            bench.app.rebalancing_count += 1

    bench.producer._before = lose
    bench.sink._before = lambda _batch: lose("rows")
    with pytest.raises(Fenced):
        await bench.handle(named_at(2, 0))
    assert len(bench.app.acks) == 1
    if lost_at == "rows":
        assert b"phone:+359888123456" not in bench.states[0], "it is apart; what is not written is owed"
        (debt,) = stored_debts(bench.states[0])
        assert [customer for customer, _ in debt.retracted] == ["phone:+359888123456"]
    else:
        assert bench.states[0] == before


async def test_who_was_about_to_lose_interactions_when_the_owner_died_is_written_again_until_its_record_is_read() -> (
    None
):
    bench = Bench()
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1))
    successor = Bench()
    successor.states = bench.states
    successor.states[0][INTENT_KEY] = dump_intent([b"phone:+359888123456"]) or b""
    successor.producer.sent["interactions", 0] = [(b"k", b"v")] * 5  # its own record is number 5
    for offset in (2, 3):
        await successor.handle(named_at(offset, 0))
        assert [row.interaction for row in successor.sink.written[-1].interactions] == [BY_PHONE]
        assert [one.customer for one in successor.sink.written[-1].journeys] == ["phone:+359888123456"]
        assert load_intent(successor.states[0][INTENT_KEY]) == [b"phone:+359888123456"]
    await successor.handle(named_at(5, 0))
    assert INTENT_KEY not in successor.states[0]
    written = len(successor.sink.written)
    await successor.handle(named_at(6, 0))
    assert len(successor.sink.written) == written


async def test_all_timelines_are_looked_through_when_a_partition_is_taken_over_in_portions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "JUDGED_AT_ONCE", 2)
    people = [call("2026-03-01T10:00Z", by=f"phone:+35988812345{number}") for number in range(5)]
    bench = Bench()
    await bench.handle(named_at(0, 0), *records(*people, first=1))
    links = [Link(f"crm:a{n}", one.customer or "", 0, 0, "web\x1f1") for n, one in enumerate(people)]
    successor = Bench(knowledge=Known(*links))
    successor.states = bench.states
    lost: list[int] = []
    for offset in range(10, 14):
        await successor.handle(named_at(offset, 5))
        lost.append(sum(len(rows.retracted) for rows in successor.sink.written))
    assert lost == [2, 4, 5, 5]


async def test_a_timeline_that_waits_for_its_turn_is_judged_before_anything_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    await bench.handle(named_at(0, 0), *records(BY_PHONE, OF_ANN, first=1))
    monkeypatch.setattr(module, "JUDGED_AT_ONCE", 0)
    unmerged = Link("crm:bob", "email:a@b.example", DAY_OF_LINK, DAY_OF_LINK, "web\x1f2")
    bench.knowledge.learn(JOINED, unmerged)
    await bench.handle(named_at(3, 2))
    assert sent_on(bench) == [], "nobody's turn has come"
    await bench.handle(named_at(4, 2), *records(call("2026-03-05", by="phone:+359888999999"), first=5))
    assert b"phone:+359888123456" in bench.states[0]
    known_to_sender = call("2026-03-06", by="phone:+359888123456", id="odd")
    await bench.handle(named_at(6, 2), *records(known_to_sender, first=7))
    assert BY_PHONE.key in [one.key for one in sent_on(bench) if isinstance(one, Interaction)]


async def test_an_arrival_that_is_corrected_already_is_superseded() -> None:
    bench = Bench()
    bench.knowledge.correct(revised(BY_PHONE))
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1))
    (rows,) = bench.sink.written
    assert rows.interactions == ()
    assert rows.superseded == (coordinates_of(BY_PHONE),)
    again = revised(BY_PHONE)
    await bench.handle(named_at(2, 0), *records(again, first=3))
    assert [row.interaction for row in bench.sink.written[-1].interactions] == [again]


@pytest.mark.parametrize("anonymous", [True, False])
async def test_what_is_held_is_let_go_when_a_correction_names_somebody_else(anonymous: bool) -> None:
    held = call("2026-03-01T10:00Z", id="4711") if anonymous else BY_PHONE
    bench = Bench()
    await bench.handle(named_at(0, 0), *records(held, OF_ANN, first=1))
    key = routing_key(held)
    assert key in bench.states[0]
    bench.knowledge.correct(revised(OF_ANN))
    await bench.handle(named_at(3, 0))
    assert len(bench.sink.written) == 1, "the same customer's waits to be replaced, so that no gap shows"
    bench.knowledge.correct(revised(held, phone=None, crm_id="bob"))
    await bench.handle(named_at(4, 0))
    rows = bench.sink.written[-1]
    assert rows.superseded == (coordinates_of(held),)
    assert rows.interactions == ()
    assert key not in bench.states[0]
    assert sent_on(bench) == [], "its correction comes by itself"


async def test_findings_of_who_loses_their_evidence_are_withdrawn_and_the_light_goes_out() -> None:
    bench = Bench()
    rules = Record(0, encode_rules(read_folder(rules_folder(None), 30 * 86_400_000_000)), RULES_KEY)
    rude = [
        call(f"2026-03-0{day}T10:00Z", by="phone:+359888123456", treatment="rude", about="billing")
        for day in (1, 2, 3)
    ]
    await bench.handle(rules, named_at(1, 0), *records(*rude, first=2))
    raised = {change.finding.finding_id for rows in bench.sink.written for change in rows.findings}
    assert raised
    (light,) = bench.sink.written[-1].lights
    assert light.contributions
    told = len(bench.producer.sent["alerts", 0])
    bench.knowledge.learn(JOINED)
    await bench.handle(named_at(5, 0))
    rows = bench.sink.written[-1]
    assert {(one.kind, one.reason) for one in rows.findings} == {("withdrawn", "moved")}
    assert {one.finding.finding_id for one in rows.findings} == raised
    assert {one.cause for one in rows.findings} <= {one.key for one in rude}
    assert [(one.customer, one.colour, one.contributions) for one in rows.lights] == [
        ("phone:+359888123456", "green", ())
    ]
    assert len(bench.producer.sent["alerts", 0]) == told + len(raised)
    # They come back: the numbers of their changes go on, or nobody would hear of it.
    await bench.handle(named_at(6, 1), *records(*[as_anns(one) for one in rude], first=7))
    anns = [change for change in bench.sink.written[-1].findings if change.kind == "raised"]
    assert {one.finding.customer for one in anns} == {"crm:ann"}
    stub = bench.states[0][b"phone:+359888123456"]
    assert len(stub) < 400


async def test_a_partition_tells_of_the_identifiers_that_lie_on_it() -> None:
    bench = Bench(partitions=2)
    await bench.handle(named_at(0, 0), *records(BY_PHONE, first=1))
    names = [f"phone:+35988812345{n}" for n in range(6)]
    bench.knowledge.learn(*(Link("crm:ann", name, 0, 0, "web\x1f1") for name in names))
    ours = {name for name in names if partition_of(name.encode(), 2) == 0}
    assert 0 < len(ours) < 6
    await bench.handle(named_at(2, 0))
    rows = bench.sink.written[-1]
    assert {row.identifier for row in rows.identities} == ours
    assert {change.identifier for change in rows.identity_changes} == ours
    assert {change.after for change in rows.identity_changes} == {"crm:ann"}
    assert rows.links_seen == 1_000 + 6
    assert IDENTITIES_KEY not in bench.states[0], "it is stored once they are written"
    await bench.handle(named_at(3, 0))
    assert load_position(bench.states[0][IDENTITIES_KEY]) == 6
    assert load_limits(bench.states[0][IDENTITIES_KEY]) == DEFAULT_POLICY.basis
    bench.knowledge.index.policy = IdentityPolicy(hub=3)
    successor = Bench(knowledge=bench.knowledge, partitions=2)
    successor.states = bench.states
    await successor.handle(named_at(4, 6))
    assert {row.identifier for row in successor.sink.written[-1].identities} > ours, "as other limits have it"
