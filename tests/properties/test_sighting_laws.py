"""Whoever is told of first, on whichever worker and whatever dies on the way: everybody agrees, and nothing is lost."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents.lanes import Fenced
from tests.unit.agents.fake_logs import Logs
from tests.unit.agents.test_identify import Bench, event

WORKERS = 3


class Turn(NamedTuple):
    """What one worker has in one round: number and customer of events, and whether it dies before it sends them on."""

    events: Sequence[tuple[int, str]] = ()
    dies: bool = False


events = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ann", "bob", "cid"])), max_size=4)
rounds = st.lists(st.tuples(*[st.builds(Turn, events, st.booleans())] * WORKERS), min_size=1, max_size=5)


async def handled(bench: Bench, turn: Turn) -> bool:
    """Whether the worker has lived to the end of its turn."""
    if not turn.events:
        return True
    lost = {"interactions"} if turn.dies else set()
    bench.producer._before = lambda topic: setattr(bench.app, "rebalancing_count", int(topic in lost))
    try:
        await bench.handle(*[event(number, crm_id=customer) for number, customer in turn.events])
    except Fenced:
        return False
    return True


async def play(told: Sequence[tuple[Turn, ...]]) -> list[Bench]:
    """All workers that there have been."""
    logs = Logs()
    workers = [Bench(logs) for _ in range(WORKERS)]
    everybody = list(workers)
    for one in workers:
        await one.known.start()
    for turns in told:
        logs.held_back = True  # nobody reads what others announce before all have decided
        under_way = [
            asyncio.create_task(handled(worker, turn)) for worker, turn in zip(workers, turns, strict=True)
        ]
        for _ in range(30):
            await asyncio.sleep(0)
        logs.release()
        lived = await asyncio.gather(*under_way)
        for number, turn in enumerate(turns):
            if not lived[number]:
                await workers[number].known.close()
                workers[number] = Bench(logs)
                everybody.append(workers[number])
                await workers[number].known.start()
                assert await handled(workers[number], turn._replace(dies=False))
    for one in workers:
        await one.known.close()
    return everybody


@given(rounds)
@settings(deadline=None)
def test_one_customer_is_named_of_each_interaction(told: list[tuple[Turn, ...]]) -> None:
    named = defaultdict[str, set[str | None]](set)
    for bench in asyncio.run(play(told)):
        for interaction, _ in bench.sent():
            named[interaction.id].add(interaction.customer)
    said = defaultdict[str, set[str | None]](set)
    for turns in told:
        for turn in turns:
            for number, customer in turn.events:
                said[str(number)].add(f"crm:{customer}")
    assert named.keys() == said.keys(), "what was told first is sent"
    assert all(len(customers) == 1 for customers in named.values())
    assert all(customers <= said[number] for number, customers in named.items())


def test_of_what_one_worker_is_told_the_first_counts() -> None:
    first = [Turn([(1, "ann"), (1, "bob")]), Turn([(2, "cid")]), Turn()]
    second = [Turn([(2, "ann")]), Turn([(1, "cid")]), Turn([(1, "bob"), (2, "bob")])]
    sent = {
        (interaction.id, interaction.customer)
        for bench in asyncio.run(play([tuple(first), tuple(second)]))
        for interaction, _ in bench.sent()
    }
    assert sent == {("1", "crm:ann"), ("2", "crm:cid")}
