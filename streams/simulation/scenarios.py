"""Which stories there are, how often each is told, and to whom rather."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from streams.simulation import smooth, troubles
from streams.simulation.people import HABITS, Habit
from streams.simulation.story import Story


class Scenario(NamedTuple):
    """`weight` is relative; people of the habit `typical` live it three times as often."""

    tell: Callable[[Story], None]
    weight: float
    typical: Habit | None = None

    @property
    def name(self) -> str:
        """The name in the ground truth."""
        return self.tell.__name__

    @property
    def is_troubled(self) -> bool:
        """Whether something goes wrong in it."""
        return self.tell.__module__ == troubles.__name__

    def may_follow(self, lately: int) -> bool:
        """Whether it may be told of a customer who had so many troubles lately.

        A fourth small trouble would be a thousand cuts, which nobody planted; who suffers those has no other troubles.
        """
        most = 0 if self.tell is troubles.suffers_a_thousand_cuts else troubles.THOUSAND - 2
        return not self.is_troubled or lately <= most


SCENARIOS: Final = (
    Scenario(smooth.buys_online, 14, "clicker"),
    Scenario(smooth.pays_the_bill, 13, "clicker"),
    Scenario(smooth.asks_on_the_phone, 12, "caller"),
    Scenario(smooth.asks_by_mail, 8, "writer"),
    Scenario(smooth.visits_the_office, 6, "visitor"),
    Scenario(smooth.chats, 5, "clicker"),
    Scenario(smooth.looks_around, 8, "clicker"),
    Scenario(smooth.gets_a_promise_kept, 2, "caller"),
    Scenario(smooth.complains_and_is_heard, 1.5, "writer"),
    Scenario(smooth.buys_on_the_phone, 4, "caller"),
    Scenario(troubles.is_overcharged, 2.5, "caller"),
    Scenario(troubles.is_charged_by_mistake_and_corrected, 0.6, "clicker"),
    Scenario(troubles.calls_again_and_again, 3, "caller"),
    Scenario(troubles.waits_for_an_answer, 2.5, "writer"),
    Scenario(troubles.waits_in_vain_for_a_call, 1.5, "caller"),
    Scenario(troubles.waits_for_a_parcel, 1.5, "clicker"),
    Scenario(troubles.is_treated_badly, 1.5, "visitor"),
    Scenario(troubles.fails_alone_then_calls, 2.5, "clicker"),
    Scenario(troubles.gives_up_waiting, 2, "caller"),
    Scenario(troubles.waits_too_long, 1.5, "visitor"),
    Scenario(troubles.is_passed_around, 1.5, "caller"),
    Scenario(troubles.rates_low, 1.5, None),
    Scenario(troubles.complains_in_vain, 1.2, "writer"),
    Scenario(troubles.comes_back_with_it, 1.5, "caller"),
    Scenario(troubles.stays_unsolved, 1.2, "caller"),
    Scenario(troubles.suffers_a_thousand_cuts, 0.4, None),
)

_LIMITS: Final[dict[Habit, list[float]]] = {
    habit: list(
        accumulate(scenario.weight * (3 if scenario.typical == habit else 1) for scenario in SCENARIOS)
    )
    for habit, _ in HABITS
}


def draw_scenario(habit: Habit, troubles_lately: int, rng: Random) -> Scenario:
    """One of the scenarios that may follow, as likely as it is for people of that habit."""
    limits = _LIMITS[habit]
    while True:
        drawn = SCENARIOS[min(bisect_right(limits, rng.random() * limits[-1]), len(SCENARIOS) - 1)]
        if drawn.may_follow(troubles_lately):
            return drawn
