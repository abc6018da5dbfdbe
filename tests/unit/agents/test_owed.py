"""What was about to be told when an owner died: told again as far as the states are there. How debts are kept."""

import asyncio

import msgspec
import pytest

from streams.agents.owed import OWED_KEYS, Debt, Debts, dump_findings, stored_debts, tell_again
from streams.catalogue.rule_files import load_rules
from streams.catalogue.rule_sets import rules_folder
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.detection.light import DEFAULT_LIGHT
from streams.core.identification.handover import Handover
from streams.core.policy import DEFAULT_POLICY
from streams.kafka.store import State
from tests.builders import call

RULES = Detection(load_rules(rules_folder(None)))
RUDE = [call(f"2026-03-0{day}", by=by, treatment="rude") for day in (1, 2) for by in ("crm:ann", "crm:bob")]


def owed(result: BatchResult) -> Debt:
    stored = dump_findings(result, 7)
    assert stored is not None
    return msgspec.msgpack.decode(stored, type=Debt)


def found() -> tuple[BatchResult, Debt]:
    result = advance_batch({}.get, RUDE, (), 0, DEFAULT_POLICY, RULES)
    return result, owed(result)


def test_with_all_states_there_all_is_told_as_it_was() -> None:
    result, debt = found()
    states: State = {key: state for key, state in result.states.items() if state is not None}
    told = tell_again(debt, states, 0, DEFAULT_LIGHT)
    assert list(told.changes) == list(result.changes)
    assert {light.customer: light.contributions for light in told.lights} == {
        light.customer: light.contributions for light in result.lights
    }


def test_of_a_state_that_is_not_there_nothing_is_told_but_that_its_light_is_out() -> None:
    result, debt = found()
    anns = result.states[b"crm:ann"]
    assert anns is not None
    told = tell_again(debt, {b"crm:ann": anns}, 0, DEFAULT_LIGHT)
    assert {change.finding.customer for change in told.changes} == {"crm:ann"}
    assert {light.customer: bool(light.contributions) for light in told.lights} == {
        "crm:ann": True,
        "crm:bob": False,
    }


def test_nothing_to_tell_is_not_stored() -> None:
    assert dump_findings(advance_batch({}.get, (), (), 0, DEFAULT_POLICY), 7) is None


def test_that_findings_were_erased_is_told_again_once_no_state_knows_them() -> None:
    result, debt = found()
    held = {key: state for key, state in result.states.items() if state is not None}
    handover = Handover({b"crm:ann": [one.key for one in RUDE]}, {}, erased={b"crm:ann"})
    forgotten = advance_batch(held.get, (), (), 0, DEFAULT_POLICY, RULES, handover)
    debt = owed(forgotten)
    assert forgotten.changes
    assert forgotten.states == {b"crm:ann": None}
    assert tell_again(debt, held, 0, DEFAULT_LIGHT).changes == [], (
        "the state is still there: it will be told as new"
    )
    del held[b"crm:ann"]
    told = tell_again(debt, held, 0, DEFAULT_LIGHT)
    assert list(told.changes) == list(forgotten.changes)
    assert [(light.customer, light.contributions) for light in told.lights] == [("crm:ann", ())]


def test_debts_are_paid_in_the_order_in_which_they_were_made_wherever_they_stand() -> None:
    versions = {OWED_KEYS[0]: 9, OWED_KEYS[1]: 7, OWED_KEYS[5]: 8}
    stored = {key: msgspec.msgpack.encode(Debt(version, 0)) for key, version in versions.items()}
    assert [debt.version for debt in stored_debts(stored)] == [7, 8, 9]


async def nothing() -> None:
    """A payment that is made at once."""


async def failing() -> None:
    """A payment that is not made."""
    raise ArithmeticError


async def test_a_payment_that_fails_leaves_the_debt_where_it_is_and_who_waits_hears_of_it() -> None:
    debts = Debts(())
    key = debts.open(1, ())
    debts.stored({key: b"of both"})
    debts.pay(key, asyncio.create_task(failing()))
    with pytest.raises(ArithmeticError):
        await debts.all_paid()
    assert debts.stale == []
    assert debts.newest == key


def test_rows_go_before_others_of_their_version_and_before_what_leaves_their_customers_timeline() -> None:
    debts = Debts(())
    debts.open(5, [b"crm:ann"])
    assert debts.comes_before(5, ())
    assert not debts.comes_before(6, ())
    assert not debts.comes_before(6, [b"crm:bob"])
    assert debts.comes_before(6, [b"crm:bob", b"crm:ann"]), (
        "reading the records again would not bring them again"
    )


async def test_a_debt_that_is_shared_is_paid_when_all_that_is_owed_with_it_is() -> None:
    debts = Debts(())
    key, paid = debts.open(1, ()), asyncio.Event()
    debts.stored({key: b"of both"})
    debts.pay(key, asyncio.create_task(nothing()))
    debts.share(key)  # while the first is being paid
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    assert debts.stale == []
    waiting = asyncio.create_task(paid.wait())
    debts.pay(key, asyncio.create_task(_after(waiting)))
    everything = asyncio.create_task(debts.all_paid())
    await asyncio.sleep(0.0)
    assert not everything.done()
    paid.set()
    await everything
    assert debts.stale == [key]
    assert debts.newest is None


async def test_what_an_owner_before_left_takes_room_until_it_is_paid() -> None:
    debts = Debts(OWED_KEYS)
    for key in OWED_KEYS:
        debts.inherit(key, 0, ())
    assert debts.is_full
    assert debts.stale == []
    debts.pay(OWED_KEYS[3], asyncio.create_task(nothing()))
    await debts.room()
    assert debts.stale == [OWED_KEYS[3]]
    assert debts.open(1, ()) == OWED_KEYS[3]


async def _after(other: "asyncio.Task[bool]") -> None:
    await other
