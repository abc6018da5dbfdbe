"""States before rows where people are told: ClickHouse stands still, clocks go back, partitions change hands."""

import asyncio

import pytest

from schemas.findings import FindingState
from schemas.interaction import SECOND
from streams.agents import bookkeeping
from streams.agents.alert_books import LARGEST_DEBT
from streams.agents.lanes import EXIT_BUG
from streams.agents.owed import OWED_KEYS
from streams.core.alerting.policy import Route
from tests.alert_builders import HOUR, START, alert, over, policy
from tests.unit.agents.notify_world import NOBODY, PAGER, Worker, World, tell

SPARING = policy(Route(("pager",)), destinations=PAGER.destinations, cool_down=HOUR)


async def test_who_is_to_be_told_is_told_while_no_row_is_written_and_nothing_is_acknowledged() -> None:
    world = World()
    async with Worker(world, PAGER) as worker:
        worker.freeze()
        await tell(worker, alert())
        assert [notice.kind for notice in world.told] == ["raised"]
        assert (world.inserts, world.acknowledged) == ([], set())
        worker.thaw()
        await worker.until_done()
    assert world.acknowledged == {0}
    assert world.statuses == {("f1", "pager", 1, "raised"): ("delivered", "")}


async def test_what_is_paid_leaves_the_changelog_with_the_next_step() -> None:
    world = World()
    async with Worker(world, NOBODY) as worker:
        worker.freeze()
        await tell(worker, alert("f0"), alert("f1"))
        assert len(world.owed) == 2
        worker.thaw()
        await worker.until_done()
        await tell(worker, alert("f2"))
        (owed,) = world.owed
        assert b"f2" in owed


async def test_the_seventeenth_step_waits_but_everybody_is_told_of_those_before() -> None:
    world, most = World(), len(OWED_KEYS)
    async with Worker(world, PAGER, at_once=2 * most) as worker:
        worker.freeze()
        worker.hang_up()
        await tell(worker, *(alert(f"f{number}") for number in range(most + 1)))
        worker.pick_up()
        # What came of telling is owed with what is owed, while the next step waits.
        await worker.until(lambda: len(world.told) == most and not worker.notify.backlog()["pager"])
        await worker.settled()
        assert (len(world.owed), len(world.told)) == (most, most)
        worker.thaw()
        await worker.until_done()
    assert len(world.told) == most + 1
    assert set(world.statuses.values()) == {("delivered", "")}
    assert len(world.statuses) == most + 1


async def test_what_came_of_telling_is_owed_by_itself_where_it_would_be_too_much_for_a_debt() -> None:
    world, number = World(), len(OWED_KEYS) // 2 + 1
    async with Worker(world, PAGER) as worker:
        worker.freeze()
        await tell(worker, *(alert(f"{n}{'f' * 150_000}") for n in range(number)))
        assert max(map(len, world.owed)) <= LARGEST_DEBT
        assert (len(world.owed), len(world.told)) == (len(OWED_KEYS), number - 1)
        worker.thaw()
        await worker.until_done()
    assert set(world.statuses.values()) == {("delivered", "")}
    assert len(world.told) == len(world.statuses) == number


async def test_what_is_due_waits_for_room_and_holds_up_no_other_partition() -> None:
    world = World()
    async with Worker(world, SPARING) as worker:
        worker.freeze()
        await tell(worker, alert("f0"), alert("spared"))
        for number in range(len(OWED_KEYS)):
            await tell(worker, alert(f"f{number}", customer=f"crm:c{number}"))
        assert len(world.owed) == len(OWED_KEYS)
        told = len(world.told)
        worker.now = START + HOUR
        async with asyncio.timeout(5):
            await worker.notify.tick()
        assert len(world.told) == told
        worker.thaw()
        await worker.until_done()
        await worker.notify.tick()
        await worker.until_done()
    assert world.told[-1].alert.finding_id == "spared"
    assert world.statuses["spared", "pager", 1, "raised"] == ("delivered", "")


async def test_a_worker_that_stops_writes_what_it_owes_if_that_takes_but_a_moment() -> None:
    world = World()
    async with Worker(world, PAGER, paying_patience=5.0) as worker:
        worker.freeze()
        await tell(worker, alert())
        asyncio.get_running_loop().call_later(0.1, worker.thaw)
    assert world.statuses == {("f1", "pager", 1, "raised"): ("delivered", "")}


@pytest.mark.parametrize("state", ["resolved", "withdrawn"])
async def test_who_was_told_by_an_owner_that_died_over_it_hears_the_end(state: FindingState) -> None:
    world = World(alert())
    async with Worker(world, PAGER, dies_at=2, after=True) as worker:
        await worker.dead.wait()
    assert world.effects == ["changelog", "told"]
    worker = Worker(world, PAGER, generation=2)
    worker.is_away = True
    async with worker:
        await tell(worker, over(state=state))
        worker.is_away = False
        await worker.until_done()
    assert [notice.kind for notice in world.told] == ["raised", state]


async def test_an_error_that_nobody_foresaw_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(bookkeeping, "end_process", ended.append)
    world = World()
    async with Worker(world, PAGER) as worker:
        worker.breaks = ZeroDivisionError("a bug")
        await tell(worker, alert())
    assert ended == [EXIT_BUG, EXIT_BUG], "of the alert's step, and of the step that it was told"


async def test_whoever_takes_a_partition_over_writes_what_is_owed_and_tells_nobody_again() -> None:
    world = World()
    async with Worker(world, PAGER) as first:
        first.freeze()
        await tell(first, alert())
    assert world.inserts == []
    async with Worker(world, PAGER, generation=2) as second:
        await second.until_done()
    assert world.statuses == {("f1", "pager", 1, "raised"): ("delivered", "")}
    assert len(world.told) == 1


async def test_what_came_of_telling_is_written_with_what_it_was_owed_with() -> None:
    world, findings = World(), ["f1", "f2", "f3"]
    async with Worker(world, PAGER, max_records=len(findings)) as first:
        first.freeze()
        world.say(*map(alert, findings))
        first.feed()
        await first.settled()
        assert (len(world.owed), len(world.told)) == (1, len(findings))
    async with Worker(world, PAGER, generation=2) as second:
        await second.until_done()
    assert world.statuses == {(name, "pager", 1, "raised"): ("delivered", "") for name in findings}
    assert len(world.told) == len(findings)


async def test_what_is_owed_with_an_earlier_owners_debt_leaves_that_as_it_is() -> None:
    world = World()
    async with Worker(world, SPARING, max_records=2, dies_at=2) as first:
        first.freeze()
        world.say(alert("f1"), alert("spared"))
        first.feed()
        await first.settled()
        assert first.dead.is_set()
        assert world.effects == ["changelog"]
    async with Worker(world, SPARING, generation=2) as second:
        second.freeze()
        await second.notify.tick()
        await second.settled()
        assert (len(world.owed), len(world.told)) == (1, 1)
    async with Worker(world, SPARING, generation=3) as third:
        await third.notify.tick()
        await third.until_done()
    assert world.statuses == {
        ("f1", "pager", 1, "raised"): ("delivered", ""),
        ("spared", "pager", 1, "raised"): ("suppressed", "cool_down"),
    }
    assert len(world.told) == 1


async def test_a_takeover_waits_for_no_row_either() -> None:
    world = World()
    async with Worker(world, PAGER) as first:
        first.freeze()
        await tell(first, alert())
    async with Worker(world, PAGER, generation=2) as second:
        second.freeze()
        await tell(second, alert("f2"))
        assert [notice.alert.finding_id for notice in world.told] == ["f1", "f2"]
        second.thaw()
        await second.until_done()
    assert set(world.statuses.values()) == {("delivered", "")}
    assert len(world.statuses) == 2


async def test_rows_that_lead_nowhere_are_owed_as_others_are() -> None:
    world = World()
    async with Worker(world, NOBODY) as first:
        first.freeze()
        await tell(first, alert())
        assert (len(world.owed), world.acknowledged) == (1, set())
    async with Worker(world, NOBODY, generation=2) as second:
        await second.until_done()
    assert world.statuses == {("f1", "", 1, "raised"): ("suppressed", "no_route")}


async def test_a_step_that_would_owe_too_much_writes_its_rows_first() -> None:
    world = World()
    async with Worker(world, PAGER) as worker:
        worker.freeze()
        await tell(worker, alert("f" * 300_000))
        assert (world.changelog, world.told) == ([], [])
        worker.thaw()
        await worker.until_done()
    assert world.effects[0] == "rows"
    assert [status for status, _ in world.statuses.values()] == ["delivered"]


async def test_a_clock_that_is_turned_back_shows_no_older_row() -> None:
    world = World()
    async with Worker(world, PAGER) as worker:
        worker.freeze()
        await tell(worker, alert())
        worker.now -= 60 * SECOND
        await tell(worker, over())
        worker.thaw()
        await worker.until_done()
    instants = [row.at for rows in world.inserts for row in rows.alerts]
    assert instants == sorted(set(instants))
    async with Worker(world, PAGER, generation=2, now=START - 90 * SECOND) as second:
        await tell(second, alert("f2"))
        await second.until_done()
    assert min(row.at for row in world.inserts[-1].alerts) > instants[-1]
