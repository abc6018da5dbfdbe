"""What the pure core costs: one interaction for each customer and batch, a few held before it.

    python -m bench.core_cost [--customers N] [--held N]

prints microseconds an interaction for the whole step (decode the state, apply, evaluate, tell the difference, encode)
and for its parts, and the bytes of a state.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from schemas.interaction import DAY, SECOND, Interaction
from streams.core.batch import advance_batch
from streams.core.journeys import evaluate
from streams.core.policy import DEFAULT_POLICY
from streams.core.state import decode_state, encode_state, next_due
from streams.core.timeline import Timeline, step_of

START = 20_500 * DAY
TEXTS = (
    "Клиентът пита защо сметката за март е по-висока от договорената.",
    "Asked again about the refund; promised a call back by tomorrow noon.",
    None,
    "Не может войти в личный кабинет, код из СМС не приходит.",
    None,
    None,
)


def interaction(customer: int, nth: int) -> Interaction:
    """The nth touchpoint of a customer: calls, mails, visits and page views in turn, 20 hours apart."""
    at = START + nth * 20 * 3600 * SECOND + customer
    name = f"C{customer:07d}"
    common: dict[str, Any] = {
        "revision": 0,
        "occurred_at": at,
        "customer": f"crm:{name}",
        "crm_id": name,
        "text": TEXTS[nth % len(TEXTS)],
        "partition": customer % 8,
        "offset": 1_000_000 + customer,
        "received_at": at + 2 * SECOND,
    }
    number = f"{customer:07d}-{nth:03d}"
    match nth % 4:
        case 0:
            return Interaction(
                "telephony", f"call-{number}", channel="phone", type="call", direction="inbound", phone="+359888123456",
                reason="billing.overcharge", case_id=f"K-{customer}", wait_seconds=95.0, talk_seconds=310.5,
                hold_seconds=20.0, transfers=1, outcome="unresolved", staff_id="agent-17", topic="touchline.phone",
                **common,
            )  # fmt: skip
        case 1:
            return Interaction(
                "mail", f"msg-{number}", channel="email", type="message", direction="inbound", email="ann@example.com",
                thread_id=f"T-{customer}", topic="touchline.email", **common,
            )  # fmt: skip
        case 2:
            return Interaction(
                "web", f"view-{number}", channel="online", type="page_view", session_id=f"s{customer}",
                target="/help/invoices", duration_seconds=41.0, topic="touchline.online", **common,
            )  # fmt: skip
        case _:
            return Interaction(
                "offices", f"visit-{number}", channel="visit", type="visit", office_id="sofia-3", ticket="B042",
                wait_seconds=600.0, service_seconds=420.0, outcome="resolved", topic="touchline.visit", **common,
            )  # fmt: skip


def microseconds(work: Callable[[], object], items: int, rounds: int) -> float:
    """The best of several rounds, per item."""
    best = float("inf")
    for _ in range(rounds):
        begun = perf_counter()
        work()
        best = min(best, perf_counter() - begun)
    return best / items * 1e6


def measure(customers: int, held: int, rounds: int) -> dict[str, float]:
    """Fill the states with `held` interactions a customer, then time one more for each."""
    states: dict[bytes, bytes | None] = {}
    for nth in range(held):
        batch = [interaction(customer, nth) for customer in range(customers)]
        states.update(advance_batch(states.get, batch, (), batch[0].occurred_at, DEFAULT_POLICY).states)
    arrivals: Sequence[Interaction] = [interaction(customer, held) for customer in range(customers)]
    now = arrivals[0].occurred_at
    encoded = [state for state in states.values() if state is not None]
    decoded = [decode_state(state) for state in encoded]
    lines = [Timeline("crm:A", state.steps(), state.carried) for state in decoded]
    parts: dict[str, Callable[[], object]] = {
        "whole step": lambda: advance_batch(states.get, arrivals, (), now, DEFAULT_POLICY),
        "due, not yet": lambda: advance_batch(states.get, (), list(states), now, DEFAULT_POLICY),
        "decode state": lambda: [decode_state(state) for state in encoded],
        "evaluate": lambda: [evaluate(line, now, DEFAULT_POLICY) for line in lines],
        "step of arrival": lambda: [step_of(arrival) for arrival in arrivals],
        "encode state": lambda: [encode_state(state) for state in decoded],
        "read next due": lambda: [next_due(state) for state in encoded],
    }
    figures = {f"{name}, us": round(microseconds(work, customers, rounds), 2) for name, work in parts.items()}
    figures["state, bytes"] = round(sum(map(len, encoded)) / len(encoded))
    return figures


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument(
        "--held", type=int, default=5, help="interactions a timeline holds before the one measured"
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(json.dumps(measure(options.customers, options.held, options.rounds), indent=2))


if __name__ == "__main__":
    main()
