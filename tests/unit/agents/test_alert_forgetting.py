"""Forgetting customers where people are told: rows and debts first, then books, then that it is done."""

import pytest

from schemas.erasures import ErasureDone, Forgetting, erasure_parts
from streams.agents.owed import OWED_KEYS
from streams.core.alerting.policy import AlertPolicy
from tests.alert_builders import START, alert
from tests.unit.agents.fakes import HASHES
from tests.unit.agents.notify_world import NOBODY, PAGER, Worker, World, tell


def forgetting(world: World, customer: str) -> Forgetting:
    world.known.erase(*erasure_parts("e1", START, [HASHES.erased_customer(customer)], []))
    return Forgetting(("e1",))


@pytest.mark.parametrize("rules", [PAGER, NOBODY], ids=["told", "led nowhere"])
async def test_where_somebody_is_forgotten_rows_and_debts_come_before_books(rules: AlertPolicy) -> None:
    world = World()
    async with Worker(world, rules) as worker:
        worker.freeze()
        await tell(worker, alert(), forgetting(world, "crm:ann"), Forgetting(("e1",), done=True))
        assert len(world.owed) > 0
        assert world.erasures == []
        worker.thaw()
        await worker.until_done()
        assert world.effects[-1] == "done"
        owed = [value for key, value in world.changelog if key in OWED_KEYS]
        assert owed[-1] is None
        assert world.owed == []
        assert b"crm:ann" not in world.books
    assert world.erasures == [ErasureDone("e1", 0)]
    count = len(world.inserts)
    async with Worker(world, rules, generation=2) as second:
        await second.notify.tick()
        await second.settled()
    assert len(world.inserts) == count, "nothing is left that a next owner would write"


async def test_what_is_owed_of_whoever_was_forgotten_before_a_takeover_is_not_written_after_it_is_done() -> (
    None
):
    world = World()
    async with Worker(world, PAGER) as first:
        first.freeze()
        await tell(first, alert(), forgetting(world, "crm:ann"))
    world.say(Forgetting(("e1",), done=True))
    async with Worker(world, PAGER, generation=2) as second:
        second.freeze()
        await second.settled()
        assert world.inserts == []
        second.thaw()
        await second.until_done()
    assert world.effects[-1] == "done"
    assert world.owed == []


async def test_that_an_erasure_is_done_is_not_said_before_all_rows_are_written() -> None:
    world = World()
    async with Worker(world, NOBODY) as worker:
        worker.freeze()
        await tell(worker, alert(), Forgetting(("e1",), done=True))
        assert world.erasures == []
        worker.thaw()
        await worker.until_done()
        assert world.owed == []
    assert world.effects == ["changelog", "rows", "changelog", "done"]
