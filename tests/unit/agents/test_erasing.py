"""The journeys agent when a customer is forgotten: what goes, what is said of it, and when it is said to be done."""

import json

import msgspec
import pytest

from schemas.alerts import Alert, decode_alert_record
from schemas.erasures import FORGETTING_KEY, NOT_YET, Erasure, Forgetting, decode_forgetting, erasure_parts
from schemas.findings import ERASED
from schemas.interaction import (
    Interaction,
    decode_interaction,
    decode_watermarks,
    encode_interaction,
    routing_key,
)
from schemas.links import Link
from schemas.rule_sets import RULES_KEY, encode_rules
from streams.agents.lanes import Fenced
from streams.agents.owed import OWED_KEYS
from streams.agents.reserved import ERASURES_KEY, load_position
from streams.catalogue.rule_sets import read_folder, rules_folder
from streams.core.detection.remembered import decode_remembered
from streams.core.state import decode_state
from streams.core.timeline import coordinates_of
from tests.builders import call, mail, revised
from tests.unit.agents.fakes import HASHES, Known, Record
from tests.unit.agents.test_journeys import Bench, records
from tests.unit.agents.test_journeys_identity import JOINED, as_anns, named_at

ANN = "crm:ann"
OLD = [
    call(f"2026-03-0{day}T10:00Z", by=ANN, treatment="rude", about="billing", id=f"old-{day}")
    for day in (1, 2, 3)
]
NEW = mail("2026-03-05T12:00Z", by=ANN, id="new")
BOBS = mail("2026-03-05T12:00Z", by="crm:bob")
RULES = Record(0, encode_rules(read_folder(rules_folder(None), 30 * 86_400_000_000)), RULES_KEY)


def erasure(*told: Interaction, of: str = ANN, links_seen: int = 0, id_: str = "e1") -> Erasure:
    (one,) = erasure_parts(
        id_,
        0,
        [HASHES.erased_customer(of)],
        [HASHES.erased_identity(one.source, one.id) for one in told],
        links_seen,
    )
    return one


def alerts(bench: Bench) -> list[Alert | Forgetting]:
    """What was put on the alerts topic."""
    said: list[Alert | Forgetting] = []
    for key, value in bench.producer.sent.get(("alerts", 0), []):
        assert value is not None
        record = decode_forgetting(value) if key == FORGETTING_KEY else decode_alert_record(value)
        assert isinstance(record, Alert | Forgetting)
        said.append(record)
    return said


async def holding(*told: Interaction, rules: bool = True) -> Bench:
    """A partition that holds interactions, behind its own record; nothing of it has been looked at by the test."""
    bench = Bench()
    first = [RULES] if rules else []
    await bench.handle(*first, named_at(1, 0), *records(*told, first=2))
    bench.producer.sent.clear()
    bench.sink.written.clear()
    return bench


async def test_a_forgotten_customers_state_goes_with_findings_light_and_all() -> None:
    bench = await holding(*OLD, BOBS)
    known = decode_remembered(decode_state(bench.states[0][b"crm:ann"]).detection).known
    journeys = {one.journey_id for one in decode_state(bench.states[0][b"crm:ann"]).journeys}
    assert known
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0))
    assert b"crm:ann" not in bench.states[0], "no stub either"
    assert b"crm:bob" in bench.states[0]
    assert (b"crm:ann", None) in bench.producer.sent["changelog", 0]
    taken, told = bench.sink.written
    assert {journey for _, journey in taken.retracted} == journeys
    assert set(taken.superseded) == {coordinates_of(one) for one in OLD}
    assert taken.interactions == ()
    assert {(one.kind, one.reason) for one in told.findings} == {("withdrawn", ERASED)}
    assert {one.finding.finding_id for one in told.findings} == {one.finding_id for one in known}
    assert [(one.customer, one.colour, one.contributions) for one in told.lights] == [(ANN, "green", ())]
    assert ("interactions", 0) not in bench.producer.sent


async def test_alerts_say_that_it_is_over_and_nothing_of_the_customer_else_then_that_all_is_said() -> None:
    bench = await holding(*OLD)
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0))
    *withdrawn, all_said, done = alerts(bench)
    assert (all_said, done) == (Forgetting(("e1",)), Forgetting(("e1",), done=True))
    assert withdrawn
    for one in withdrawn:
        assert isinstance(one, Alert)
        assert (one.state, one.reason, one.evidence, one.subjects) == ("withdrawn", ERASED, (), ())
        text = json.dumps(msgspec.to_builtins(msgspec.structs.replace(one, customer="", finding_id="")))
        assert not any(word in text for word in ("crm:", "billing", "old-"))


async def test_nothing_of_it_is_left_in_the_changelog() -> None:
    bench = await holding(*OLD)
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0))
    last = dict(bench.producer.sent["changelog", 0])
    assert {key for key, value in last.items() if value is not None} == {b"\x00clock", ERASURES_KEY}
    assert not bench.states[0].keys() & set(OWED_KEYS)
    assert load_position(bench.states[0][ERASURES_KEY]) == 1


async def test_what_is_newer_stays_as_if_it_were_all_there_ever_was() -> None:
    bench = await holding(*OLD, NEW)
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0))
    fresh = await holding(NEW)
    state, like = (decode_state(one.states[0][b"crm:ann"]) for one in (bench, fresh))
    assert state.journeys == like.journeys
    assert [step.identity for step in state.steps()] == [NEW.key]
    assert (state.carried, state.floor, state.due) == (like.carried, like.floor, like.due)
    rows = bench.sink.written[0]
    assert [row.interaction for row in rows.interactions] == [NEW]
    assert rows.journeys == state.journeys
    assert {journey for _, journey in rows.retracted}.isdisjoint(one.journey_id for one in state.journeys)


async def test_findings_that_stand_by_what_is_newer_are_told_again_behind_the_end_of_the_old_ones() -> None:
    newer = [msgspec.structs.replace(one, id=f"new-{n}") for n, one in enumerate(OLD)]
    bench = await holding(*OLD, *newer)
    before = decode_remembered(decode_state(bench.states[0][b"crm:ann"]).detection).known
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0))
    after = decode_remembered(decode_state(bench.states[0][b"crm:ann"]).detection)
    assert after.known
    assert after.sequences.keys() == {one.finding_id for one in after.known}
    said = alerts(bench)
    at = said.index(Forgetting(("e1",)))
    assert {one.kind for one in said[:at] if isinstance(one, Alert)} == {"withdrawn"}
    again = [one for one in said[at + 1 :] if isinstance(one, Alert)]
    assert {one.finding_id for one in again} == {one.finding_id for one in after.known}
    assert all(one.version > 1 for one in again if one.finding_id in {b.finding_id for b in before})
    (told,) = (rows for rows in bench.sink.written if rows.lights)
    assert {line.finding_id for line in told.lights[0].contributions} <= {
        one.finding_id for one in after.known
    }


async def test_what_is_erased_is_superseded_when_it_comes_again_and_a_later_revision_with_it() -> None:
    bench = await holding(BOBS)
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0), *records(OLD[0], revised(OLD[1]), NEW, first=10))
    assert [row.interaction for row in bench.sink.written[0].interactions] == [NEW]
    assert set(bench.sink.written[0].superseded) == {coordinates_of(OLD[0]), coordinates_of(revised(OLD[1]))}


async def test_an_anonymous_interaction_goes_too() -> None:
    nobodys = call("2026-03-01T10:00Z", id="4711")
    bench = await holding(nobodys, rules=False)
    assert routing_key(nobodys) in bench.states[0]
    bench.knowledge.erase(erasure(nobodys))
    await bench.handle(named_at(9, 0))
    assert routing_key(nobodys) not in bench.states[0]
    assert bench.sink.written[0].superseded == (coordinates_of(nobodys),)


async def test_what_is_erased_is_not_sent_on_when_links_move_it_at_the_same_time() -> None:
    by_phone = call("2026-03-01T10:00Z", by="phone:+359888123456")
    later = call("2026-03-02T10:00Z", by="phone:+359888123456", id="later")
    bench = await holding(by_phone, later, rules=False)
    bench.knowledge.learn(JOINED)
    bench.knowledge.erase(erasure(by_phone))
    await bench.handle(named_at(9, 0))
    (_, control), (_, forwarded) = bench.producer.sent["interactions", 0]
    assert decode_watermarks(control or b"").links_seen == 1
    assert decode_interaction(forwarded or b"") == as_anns(later)
    assert bench.sink.written[0].superseded == (coordinates_of(by_phone),)


@pytest.mark.parametrize("links_seen", [NOT_YET, 1])
async def test_it_is_done_once_the_tombstones_of_links_are_read_and_what_follows_is_written(
    links_seen: int,
) -> None:
    bench = await holding(*OLD)
    bench.knowledge.erase(erasure(*OLD, links_seen=links_seen))
    await bench.handle(named_at(9, 0))
    assert b"crm:ann" not in bench.states[0]
    assert Forgetting(("e1",), done=True) not in alerts(bench)
    bench.producer.sent.clear()
    if links_seen == NOT_YET:
        bench.knowledge.erase(erasure(*OLD, links_seen=1))
        await bench.handle(named_at(10, 0))
        assert alerts(bench) == []
    bench.knowledge.learn(Link("crm:bob", "phone:+359888000000", 0, 0, "web\x1f1"))
    await bench.handle(named_at(11, 0))
    assert bench.sink.written[-1].identities
    assert alerts(bench) == [], "what follows is being written"
    await bench.handle(named_at(12, 0))
    assert alerts(bench) == [Forgetting(("e1",), done=True)], "forgotten once, said to be done once"
    await bench.handle(named_at(13, 0))
    assert len(alerts(bench)) == 1


async def test_nothing_is_said_to_be_done_before_the_owners_own_record_is_read() -> None:
    before = await holding(*OLD)
    bench = Bench(knowledge=Known())
    bench.states = before.states
    bench.producer.sent["interactions", 0] = [(b"k", b"v")] * 20
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0))
    assert b"crm:ann" not in bench.states[0], "an owner before had not come to it"
    assert Forgetting(("e1",), done=True) not in alerts(bench)
    await bench.handle(named_at(20, 0))
    assert alerts(bench)[-1] == Forgetting(("e1",), done=True)


async def test_what_an_owner_before_has_forgotten_is_not_forgotten_again() -> None:
    bench = await holding(*OLD)
    bench.knowledge.erase(erasure(*OLD))
    await bench.handle(named_at(9, 0), *records(NEW, first=10))
    successor = Bench(knowledge=bench.knowledge)
    successor.states = bench.states
    await successor.handle(named_at(11, 0))
    await successor.handle(named_at(12, 0))
    assert alerts(successor) == []
    assert [step.identity for step in decode_state(successor.states[0][b"crm:ann"]).steps()] == [NEW.key]


@pytest.mark.parametrize("lost_at", ["changelog", "rows", "alerts"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_who_takes_over_in_the_middle_ends_the_same(lost_at: str, nth: int) -> None:
    bench = await holding(*OLD, BOBS)
    findings = {
        one.finding_id for one in decode_remembered(decode_state(bench.states[0][b"crm:ann"]).detection).known
    }
    bench.knowledge.erase(erasure(*OLD))
    left = nth

    def lose(step: str) -> None:
        nonlocal left
        left -= step == lost_at
        if not left and step == lost_at:
            bench.app.rebalancing_count += 1
            raise Fenced

    bench.producer._before = lose
    bench.sink._before = lambda _batch: lose("rows")
    try:
        await bench.handle(named_at(9, 0))
    except Fenced:
        pass
    else:
        assert left > 0
    successor = Bench(knowledge=bench.knowledge)
    changelog = bench.producer.sent.get(("changelog", 0), [])
    stored = dict(bench.states[0]) if left > 0 else {**bench.states[0], **dict(changelog)}
    successor.states[0] = {key or b"": value for key, value in stored.items() if value is not None}
    await successor.handle(named_at(9, 0))
    await successor.handle(named_at(10, 0))
    assert b"crm:ann" not in successor.states[0]
    assert b"crm:bob" in successor.states[0]
    assert successor.states[0].keys() >= {ERASURES_KEY}
    assert not successor.states[0].keys() & set(OWED_KEYS)
    both = [*bench.sink.written, *successor.sink.written]
    withdrawn = {one.finding.finding_id for rows in both for one in rows.findings if one.reason == ERASED}
    assert withdrawn == findings
    said = [*alerts(bench), *alerts(successor)]
    assert {one.finding_id for one in said if isinstance(one, Alert)} == findings
    assert Forgetting(("e1",), done=True) in said
    assert said[-1] == Forgetting(("e1",), done=True)
    assert encode_interaction(OLD[0]) not in b"".join(value for value in successor.states[0].values())
