"""What the contestants read, and how they are put on their core."""

import os
import subprocess
import sys

import msgspec

from bench.budget import Stopwatch
from bench.load import CUSTOMERS, count_events
from bench.memory import INTERACTIONS, fill
from bench.pinned import command
from streams.agents.agenda import Agenda
from streams.core.state import decode_state
from streams.kafka.store import State


def test_the_same_seed_gives_the_same_records() -> None:
    assert list(count_events(50)) == list(count_events(50))
    assert list(count_events(50)) != list(count_events(50, seed=2))


def test_a_record_is_of_its_key_and_of_the_promised_size() -> None:
    events = list(count_events(2_000))
    decoded = [msgspec.json.decode(event.value) for event in events]
    assert [one["customer"].encode() for one in decoded] == [event.key for event in events]
    assert all(200 <= len(event.value) <= 240 for event in events)
    assert 0.9 * 2_000 < len({event.key for event in events}) <= min(2_000, CUSTOMERS)


def test_a_program_is_put_on_its_core_and_its_arguments_reach_it() -> None:
    core = max(os.sched_getaffinity(0))
    script = "import os, sys; print(os.sched_getaffinity(0), sys.argv[1:])"
    done = subprocess.run(
        command(core, [sys.executable, "-c", script, "an argument"]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{{{core}}} ['an argument']"


def test_without_a_core_to_give_away_the_program_stays_as_it_is() -> None:
    assert command(None, ["a", "b"]) == ["a", "b"]


def test_a_stage_is_charged_for_its_own_time_only() -> None:
    watch = Stopwatch()
    with watch.running("busy"):
        sum(range(200_000))
    with watch.running("idle"):
        pass
    assert watch.seconds["busy"] > watch.seconds["idle"] >= 0


def test_what_is_weighed_are_open_journeys_of_five_interactions_that_are_due() -> None:
    timelines: State = {}
    agenda = Agenda()
    fill(timelines, agenda, 50)
    states = [decode_state(state) for state in timelines.values()]
    assert len(states) == len(agenda) == 50
    assert {(state.held, len(state.journeys), state.journeys[0].closed) for state in states} == {
        (INTERACTIONS, 1, False)
    }
