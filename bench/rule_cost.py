"""What detection costs: the whole catalogue and each rule alone, over timelines of five interactions.

    python -m bench.rule_cost [--customers N]

prints microseconds a customer touched: `usual` timelines (of `bench.core_cost`), and `troubled` ones, in which
something stands. `marks` is the work done once for an interaction; the rest is done at each touch.
"""

import argparse
import json
from collections.abc import Sequence

import msgspec

from bench.core_cost import interaction, microseconds
from schemas.findings import Finding
from schemas.interaction import SECOND, Interaction
from streams.core.detection.detect import detect
from streams.core.detection.lifecycle import transition
from streams.core.detection.light import light_of
from streams.core.detection.ruleset import RuleSet
from streams.rule_files import CATALOGUE, compile_files, load_rules, read_rules

HELD = 5


def usual(customer: int) -> list[Interaction]:
    """A timeline as the core's benchmark has it: one matter that is resolved in the end."""
    return [interaction(customer, nth) for nth in range(HELD)]


def troubled(customer: int) -> list[Interaction]:
    """The same with a long wait, a rude clerk and no answer."""
    changes = ({"wait_seconds": 900.0}, {"reason": "billing.overcharge"}, {}, {"treatment": "rude"}, {})
    return [
        msgspec.structs.replace(one, **change) for one, change in zip(usual(customer), changes, strict=True)
    ]


def measure(customers: int, rounds: int) -> dict[str, float | dict[str, float]]:
    """Microseconds a customer touched; of `marks`, an interaction."""
    rules = load_rules()
    alone = {rule.id: compile_files([rule]) for rule in read_rules(sorted(CATALOGUE.glob("*.yaml")))}
    figures: dict[str, float | dict[str, float]] = {"rules": len(rules.rules)}
    for name, make in (("usual", usual), ("troubled", troubled)):
        lines = [make(customer) for customer in range(customers)]
        figures[f"{name}: catalogue, marks at hand"] = _cost(lines, rules, rounds, at_hand=True)
        figures[f"{name}: catalogue, marks to make"] = _cost(lines, rules, rounds, at_hand=False)
        figures[f"{name}: transition, nothing new"] = _transitions(lines, rules, rounds)
        figures[f"{name}: each rule alone"] = {
            rule: _cost(lines, one, rounds, at_hand=True) for rule, one in alone.items()
        }
    lines = [usual(customer) for customer in range(customers)]
    figures["marks of one interaction"] = round(
        microseconds(lambda: [rules.mark(one) for line in lines for one in line], customers * HELD, rounds), 2
    )
    return figures


def _cost(lines: Sequence[list[Interaction]], rules: RuleSet, rounds: int, *, at_hand: bool) -> float:
    marks = [[rules.mark(one) for one in line] if at_hand else None for line in lines]

    def work() -> None:
        for line, known in zip(lines, marks, strict=True):
            detect("crm:A", line, line[-1].occurred_at + SECOND, rules, marks=known)

    return round(microseconds(work, len(lines), rounds), 2)


def _transitions(lines: Sequence[list[Interaction]], rules: RuleSet, rounds: int) -> float:
    stood = []
    for line in lines:
        now = line[-1].occurred_at + SECOND
        detected = detect("crm:A", line, now, rules)
        known: Sequence[Finding] = transition((), detected, line, now, rules).known
        stood.append((known, detected, line[-1:], now))

    def work() -> None:
        for known, detected, arrivals, now in stood:
            transition(known, detected, arrivals, now, rules)
            if known:
                light_of("crm:A", known, now)

    return round(microseconds(work, len(lines), rounds), 2)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(measure(options.customers, options.rounds), indent=2))


if __name__ == "__main__":
    main()
