"""A teller keeps what waits for one destination, and paces itself by what it answers."""

import asyncio
import time
from collections.abc import Callable

from schemas.notices import Delivered, Outcome, Passing, Refused
from streams.agents.tellers import PARALLEL, Place, Teller


def place(finding: str) -> Place:
    return Place(0, b"crm:ann", finding)


class Log:
    """Answers as it is told, and keeps what was asked and when."""

    def __init__(self, answer: Callable[[int], Outcome | None]) -> None:
        self.asked: list[str] = []
        self.at: list[float] = []
        self.at_once = 0
        self.most_at_once = 0
        self.beside: list[int] = []
        """How many were under way at each attempt, itself among them."""
        self._answer = answer

    async def tell(self, where: Place) -> Outcome | None:
        self.asked.append(where.finding_id)
        self.at.append(time.monotonic())
        number = len(self.asked)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.beside.append(self.at_once)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self._answer(number)


async def emptied(teller: Teller) -> None:
    async with asyncio.timeout(10):
        while teller.backlog:
            await asyncio.sleep(0.001)


async def test_what_waits_is_told_a_few_at_a_time() -> None:
    log = Log(lambda _: Delivered())
    teller = Teller("chat", log.tell)
    for number in range(20):
        teller.put(place(f"f{number}"))
        teller.put(place(f"f{number}"))
    await emptied(teller)
    await teller.close()
    assert sorted(log.asked) == sorted(f"f{number}" for number in range(20))
    assert log.most_at_once == PARALLEL


async def test_a_destination_that_is_not_well_gets_one_attempt_at_a_time_and_nothing_is_dropped() -> None:
    log = Log(lambda number: Passing("down") if number <= PARALLEL + 3 else Delivered())
    teller = Teller("chat", log.tell, first_pause=0.001, longest_pause=0.004)
    for number in range(10):
        teller.put(place(f"f{number}"))
    await emptied(teller)
    await teller.close()
    assert set(log.asked) == {f"f{number}" for number in range(10)}
    assert len(log.asked) == 10 + PARALLEL + 3
    assert log.beside[PARALLEL : PARALLEL + 4] == [1] * 4, "until it has taken something"
    assert teller.failures == 0


async def test_a_place_that_alone_fails_lets_the_others_pass() -> None:
    log = Log(lambda _: Delivered())
    failing = {"bad": 3}

    async def tell(where: Place) -> Outcome | None:
        if failing.get(where.finding_id, 0):
            failing[where.finding_id] -= 1
            return Passing("HTTP 500")
        return await log.tell(where)

    teller = Teller("chat", tell, first_pause=0.001)
    for name in ("bad", "f1", "f2"):
        teller.put(place(name))
    await emptied(teller)
    await teller.close()
    assert log.asked[-1] == "bad"
    assert sorted(log.asked) == ["bad", "f1", "f2"]


async def test_the_pause_that_is_asked_for_counts_more_than_the_own() -> None:
    log = Log(lambda number: Passing("HTTP 429", retry_after=0.3) if number == 1 else Delivered())
    teller = Teller("chat", log.tell, first_pause=0.001)
    teller.put(place("f1"))
    await emptied(teller)
    await teller.close()
    assert log.at[1] - log.at[0] >= 0.3


async def test_a_refusal_is_an_answer_and_makes_no_pause() -> None:
    log = Log(lambda _: Refused("HTTP 400"))
    teller = Teller("chat", log.tell, first_pause=60.0)
    for number in range(5):
        teller.put(place(f"f{number}"))
    await emptied(teller)
    await teller.close()
    assert len(log.asked) == 5


async def test_news_that_comes_during_an_attempt_makes_another() -> None:
    started, go = asyncio.Event(), asyncio.Event()
    asked: list[str] = []

    async def tell(where: Place) -> Outcome | None:
        asked.append(where.finding_id)
        started.set()
        await go.wait()
        return Delivered()

    teller = Teller("chat", tell)
    teller.put(place("f1"))
    await started.wait()
    teller.put(place("f1"))
    teller.put(place("f1"))
    go.set()
    await emptied(teller)
    await teller.close()
    assert asked == ["f1", "f1"]
