"""What detection costs: the whole catalogue and each rule alone, over timelines of five interactions.

    python -m bench.rule_cost [--customers N]

prints microseconds a customer touched: `untroubled` timelines, in which nothing stands, and `troubled` ones, in which
five findings stand. Traits at hand: what is worked out once for an interaction, and what stood before, is given.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import msgspec

from bench.core_cost import interaction
from schemas.interaction import SECOND, Interaction
from streams.core.detection.detect import detect
from streams.core.detection.lifecycle import transition
from streams.core.detection.light import light_of
from streams.core.detection.ruleset import RuleSet
from streams.rule_files import CATALOGUE, compile_files, load_rules, read_rules

HELD = 5


def microseconds(work: Callable[[], object], items: int, rounds: int) -> float:
    """The best of several rounds, per item; processor time, so that what else runs on the machine shows less."""
    best = float("inf")
    for _ in range(rounds):
        begun = process_time()
        work()
        best = min(best, process_time() - begun)
    return best / items * 1e6


def untroubled(customer: int) -> list[Interaction]:
    """A matter that is resolved at once, a letter that is answered, a visit, pages."""
    line = [interaction(customer, nth) for nth in range(HELD)]
    line[0] = msgspec.structs.replace(line[0], outcome="resolved")
    line[2] = msgspec.structs.replace(
        line[2], channel="email", type="message", direction="outbound", thread_id=f"T-{customer}",
        occurred_at=line[1].occurred_at + 3600 * SECOND,
    )  # fmt: skip
    line[4] = msgspec.structs.replace(
        line[4],
        type="sms",
        case_id=f"L-{customer}",
        reason="tariff.change",
        outcome="resolved",
        transfers=None,
    )
    return line


def troubled(customer: int) -> list[Interaction]:
    """No answer to a letter, no solution in three days, a long wait, a rude clerk, the same thing again."""
    changes: tuple[dict[str, Any], ...] = (
        {"wait_seconds": 900.0},
        {"reason": "billing.overcharge"},
        {},
        {"treatment": "rude"},
        {},
    )
    line = [interaction(customer, nth) for nth in range(HELD)]
    return [msgspec.structs.replace(one, **change) for one, change in zip(line, changes, strict=True)]


def measure(customers: int, rounds: int) -> dict[str, float | dict[str, float]]:
    """Microseconds a customer touched; of `marks`, an interaction."""
    rules = load_rules()
    alone = {rule.id: compile_files([rule]) for rule in read_rules(sorted(CATALOGUE.glob("*.yaml")))}
    figures: dict[str, float | dict[str, float]] = {"rules": len(rules.rules)}
    for name, make in (("untroubled", untroubled), ("troubled", troubled)):
        lines = [make(customer) for customer in range(customers)]
        figures[f"{name}: catalogue, traits at hand"] = _cost(lines, rules, rounds, at_hand=True)
        figures[f"{name}: catalogue, from nothing"] = _cost(lines, rules, rounds, at_hand=False)
        figures[f"{name}: light"] = _light(lines, rules, rounds)
        figures[f"{name}: transition, nothing new"] = _transitions(lines, rules, rounds)
        figures[f"{name}: each rule alone"] = {
            rule: _cost(lines, one, rounds, at_hand=True) for rule, one in alone.items()
        }
    lines = [untroubled(customer) for customer in range(customers)]
    figures["marks of one interaction"] = round(
        microseconds(lambda: [rules.mark(one) for line in lines for one in line], customers * HELD, rounds), 2
    )
    return figures


def _cost(lines: Sequence[list[Interaction]], rules: RuleSet, rounds: int, *, at_hand: bool) -> float:
    """At hand: traits and what was found before, as the state keeps them."""
    nows = [line[-1].occurred_at + SECOND for line in lines]
    traits = [rules.traits(line) if at_hand else None for line in lines]
    found = [
        detect("crm:A", line, now, rules).findings if at_hand else ()
        for line, now in zip(lines, nows, strict=True)
    ]

    def work() -> None:
        for line, now, its, known in zip(lines, nows, traits, found, strict=True):
            detect("crm:A", line, now, rules, traits=its, known=known)

    return round(microseconds(work, len(lines), rounds), 2)


def _light(lines: Sequence[list[Interaction]], rules: RuleSet, rounds: int) -> float:
    found = [detect("crm:A", line, line[-1].occurred_at, rules).findings for line in lines]
    return round(
        microseconds(
            lambda: [light_of("crm:A", one, one[-1].raised_at) for one in found if one], len(lines), rounds
        ),
        2,
    )


def _transitions(lines: Sequence[list[Interaction]], rules: RuleSet, rounds: int) -> float:
    stood = []
    for line in lines:
        now = line[-1].occurred_at + SECOND
        detected = detect("crm:A", line, now, rules)
        stood.append((transition((), detected, line, now, rules).known, detected, line[-1:], now))

    def work() -> None:
        for known, detected, arrivals, now in stood:
            transition(known, detected, arrivals, now, rules)

    return round(microseconds(work, len(lines), rounds), 2)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(measure(options.customers, options.rounds), indent=2))


if __name__ == "__main__":
    main()
