"""What detection remembers of a customer saves work, and changes nothing of what is told."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interaction import DAY, Interaction, Micros
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.calendars import HOUR
from streams.core.detection.customer import Detection
from streams.core.detection.light import LightPolicy
from streams.core.detection.remembered import Remembered, decode_remembered, encode_remembered
from streams.core.policy import JourneyPolicy
from streams.core.state import decode_state, encode_state
from tests.properties.test_detection_laws import ANN, long_stories, rules, stories

KEY = ANN.encode()
POLICY = JourneyPolicy(gap=3 * DAY, horizon=5 * DAY, max_interactions=6)
seeds = st.integers(0, 10**9)
BRIGHT = LightPolicy(half_life=2 * DAY, yellow=1, red=4)


class Customer:
    """One customer; a forgetful one evaluates its whole line whenever it evaluates, and lights its light anew."""

    def __init__(self, detection: Detection, forgetful: bool) -> None:
        self.detection = detection
        self.forgetful = forgetful
        self.states: dict[bytes, bytes] = {}

    def read(self, batch: Sequence[Interaction], now: Micros) -> BatchResult:
        result = advance_batch(self.states.get, batch, [KEY], now, POLICY, self.detection)
        for key, state in result.states.items():
            assert state is not None
            self.states[key] = state
        return result

    def remembered(self) -> Remembered:
        return decode_remembered(decode_state(self.states[KEY]).detection)

    def forget(self) -> None:
        """Remember marks that cannot be those of the line, and a light that is over."""
        if self.forgetful and KEY in self.states:
            state = decode_state(self.states[KEY])
            if state.detection:
                blank = msgspec.structs.replace(
                    decode_remembered(state.detection), marks=bytes(1_000), lit_until=0
                )
                state = msgspec.structs.replace(state, detection=encode_remembered(blank))
                self.states[KEY] = encode_state(state)


def told(result: BatchResult, remembered: Remembered) -> Any:
    at_hand = msgspec.structs.replace(remembered, marks=b"", lit_until=None)
    return result.changes, result.lights, result.due, at_hand


def lives(line: Sequence[Interaction], rng: Random) -> list[tuple[list[Interaction], Micros]]:
    """The line in batches: late, repeated and corrected, with batches in which only time goes by."""
    arrivals = sorted(line, key=lambda one: (one.occurred_at + rng.randint(0, 3) * DAY, rng.random()))
    for one in rng.sample(line, len(line) // 4):
        changes = rng.choice(
            ({"wait_seconds": 900.0}, {"outcome": "resolved"}, {"occurred_at": one.occurred_at + HOUR})
        )
        place = rng.randint(0, len(arrivals))
        arrivals.insert(place, msgspec.structs.replace(one, revision=rng.randint(0, 1), **changes))
    batches: list[tuple[list[Interaction], Micros]] = []
    clock = 0
    while arrivals:
        size = rng.randint(0, 3)
        batch, arrivals = arrivals[:size], arrivals[size:]
        clock = max(clock, *(one.occurred_at - rng.randint(0, 2) * DAY for one in batch), 0)
        clock += rng.choice((0, HOUR, DAY)) if clock else 0
        batches.append((batch, clock))
    return batches


@given(st.one_of(stories, long_stories), seeds, st.sampled_from((5, 30)))
@settings(max_examples=80, deadline=None)
def test_what_is_remembered_saves_work_and_nothing_else(
    line: list[Interaction], seed: int, horizon_days: int
) -> None:
    detection = Detection(rules(horizon_days), BRIGHT)
    mindful, forgetful = Customer(detection, False), Customer(detection, True)
    for batch, now in lives(line, Random(seed)):
        forgetful.forget()
        here, there = mindful.read(batch, now), forgetful.read(batch, now)
        if KEY in mindful.states:
            assert told(here, mindful.remembered()) == told(there, forgetful.remembered())


@given(st.one_of(stories, long_stories), seeds)
@settings(max_examples=40, deadline=None)
def test_the_marks_remembered_are_those_of_what_is_held(line: list[Interaction], seed: int) -> None:
    customer = Customer(Detection(rules(5)), False)
    for batch, now in lives(line, Random(seed)):
        customer.read(batch, now)
        if KEY not in customer.states:
            continue
        state, remembered = decode_state(customer.states[KEY]), customer.remembered()
        held = [step.interaction() for step in (*remembered.steps(), *state.steps())]
        width = rules(5).marker.bytes_a_mark
        assert remembered.marks == b"".join(rules(5).mark(one).to_bytes(width, "big") for one in held)
