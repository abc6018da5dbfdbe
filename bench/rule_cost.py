"""What the rules cost: each rule alone against none, and the whole catalogue, in CPU microseconds an interaction.

    python -m bench.rule_cost [--events N]

Simulated interactions go through `advance_batch` as a worker's partition gives them: one partition's share, in batches
of the size that a backlog makes. A rule's cost is what it adds to the journeys alone, marks and state included; the
whole costs less than its parts, which share all that. A rule over findings costs nothing alone: it has none.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import process_time, time_ns
from typing import Final, NamedTuple

from schemas.codec import Rejected
from schemas.interaction import Interaction, routing_key
from schemas.topics import partition_of
from streams.catalogue.rule_files import CATALOGUE, compile_files, load_rules, read_rules
from streams.core.batch import advance_batch
from streams.core.detection.customer import Detection
from streams.core.policy import JourneyPolicy
from streams.garbage import rare_collections
from streams.policies import build_decoder, journey_policy
from streams.settings import Settings
from streams.simulation.mess import SimulatedEvent
from streams.simulation.simulation import Simulation

ROUNDS: Final = 5
NO_RULES: Final = ""
ALL_RULES: Final = "*"


class RuleCosts(NamedTuple):
    """CPU microseconds an interaction: journeys `without` rules, and what each rule alone, or `together`, adds."""

    without: float
    alone: Mapping[str, float]
    together: float
    interactions: int


def measure_rules(events: Sequence[SimulatedEvent], settings: Settings, rounds: int = ROUNDS) -> RuleCosts:
    """Feed the first partition's share of the events with no rules, with each rule and with all; the best of `rounds`
    taken in turn.
    """
    detections: dict[str, Detection | None] = {NO_RULES: None}
    for rule in read_rules(sorted(CATALOGUE.glob("*.yaml"))):
        detections[rule.id] = Detection(compile_files([rule]))
    detections[ALL_RULES] = Detection(load_rules())
    batches = _batches(events, settings)
    policy = journey_policy(settings)
    best = dict.fromkeys(detections, float("inf"))
    with rare_collections():
        for _ in range(rounds):
            for name, detection in detections.items():
                best[name] = min(best[name], _seconds(batches, policy, detection))
    interactions = sum(map(len, batches))
    each = {name: seconds / interactions * 1e6 for name, seconds in best.items()}
    without, together = each.pop(NO_RULES), each.pop(ALL_RULES)
    alone = {name: cost - without for name, cost in each.items()}
    return RuleCosts(without, alone, together - without, interactions)


def _batches(events: Sequence[SimulatedEvent], settings: Settings) -> list[list[Interaction]]:
    """The interactions of one partition, as `identify` makes them, in batches."""
    decode = build_decoder(settings).decode
    now = time_ns() // 1000
    mine: list[Interaction] = []
    for offset, event in enumerate(events):
        decoded = decode(event.value, event.headers, event.channel, 0, offset, now, now)
        if not isinstance(decoded, Rejected) and not partition_of(
            routing_key(decoded), settings.kafka.partitions
        ):
            mine.append(decoded)
    size = settings.worker.batch_records
    return [mine[start : start + size] for start in range(0, len(mine), size)]


def _seconds(
    batches: Sequence[Sequence[Interaction]], policy: JourneyPolicy, detection: Detection | None
) -> float:
    states: dict[bytes, bytes] = {}
    spent = 0.0
    for batch in batches:
        now = max(interaction.occurred_at for interaction in batch)
        begun = process_time()
        result = advance_batch(states.get, batch, (), now, policy, detection)
        spent += process_time() - begun
        for key, state in result.states.items():
            if state is None:
                states.pop(key, None)
            else:
                states[key] = state
    return spent


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    simulation = Simulation.sized(1, options.events, datetime.now(UTC) - timedelta(minutes=10))
    costs = measure_rules(tuple(simulation.events()), Settings(), options.rounds)
    print(json.dumps(costs._asdict(), indent=2))


if __name__ == "__main__":
    main()
