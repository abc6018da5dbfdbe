"""Workers that die in the middle of telling: nothing is lost, nothing shown or told twice."""

import pytest

from schemas.alerts import AlertRecord
from schemas.interaction import SECOND
from tests.alert_builders import START, acknowledged, alert, over
from tests.unit.agents.notify_world import PAGER, Worker, World, tell

STORY: list[AlertRecord] = [
    alert("f1"),
    alert("f2", customer="crm:bob"),
    acknowledged("f1"),
    over("f1"),
    over("f2", state="withdrawn", customer="crm:bob"),
    alert("f3", severity="severe"),
    alert("f3", 2, severity="severe"),
    *(alert(f"f{number}") for number in range(4, 8)),
]


async def played(worker: Worker, story: list[AlertRecord]) -> int:
    """Tell of it until all is told or the worker is dead; how much was told of."""
    for number, record in enumerate(story, 1):
        await tell(worker, record)
        if worker.dead.is_set():
            return number
    return len(story)


async def undisturbed() -> World:
    world = World()
    async with Worker(world, PAGER) as worker:
        await played(worker, STORY)
        await worker.until_done()
    return world


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@pytest.mark.parametrize("late", ["never", "first", "last"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_effect_loses_no_row_shows_none_twice_and_tells_nobody_twice(
    after: bool, late: str, frozen: bool
) -> None:
    expected = await undisturbed()
    assert len(expected.told) == 11
    dies_at = 0
    while True:
        dies_at += 1
        world = World()
        async with Worker(world, PAGER, dies_at=dies_at, after=after) as first:
            if frozen:
                first.freeze()
            done = await played(first, STORY)
            if not first.dead.is_set():
                break
            stranded = list(first.late)
        unsettled = [name for name in world.effects if name != "rows"][-1:] == ["told"]
        if late == "first":
            for rows in stranded:
                world.insert(rows)
        # The next owner's clock is behind, as clocks of machines are.
        async with Worker(world, PAGER, generation=2, now=START - 5 * SECOND) as second:
            await second.notify.tick()
            await second.settled()
            await played(second, STORY[done:])
            await second.until_done()
        if late == "last":
            for rows in stranded:
                world.insert(rows)
        assert world.statuses == expected.statuses, dies_at
        told = [notice.delivery for notice in world.told]
        assert len(set(told)) == len(expected.told), dies_at
        assert len(told) - len(set(told)) <= unsettled, f"told twice: {told}, died at {dies_at}"
    assert dies_at > 2 * len(expected.told)
