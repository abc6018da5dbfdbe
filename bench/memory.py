"""What a customer with an open journey weighs in a worker's memory.

    python -m bench.memory [CUSTOMERS]

fills a process with what the journeys agent holds of so many customers (encoded timeline, key, agenda entry), five
interactions each that arrive one after the other, texts included, and prints the growth of its resident memory.
"""

import gc
import json
import sys
from typing import Final

import psutil

from bench.core_cost import interaction
from streams.agents.agenda import Agenda
from streams.core.batch import advance_batch
from streams.core.policy import DEFAULT_POLICY
from streams.kafka.store import State

CUSTOMERS: Final = 100_000
INTERACTIONS: Final = 5
BATCH: Final = 5_000


def bytes_per_customer(customers: int) -> float:
    """Resident bytes for each; each customer's state is replaced with every interaction, as in life."""
    process = psutil.Process()
    warm: State = {}
    fill(warm, Agenda(), min(customers, BATCH))
    warm.clear()
    gc.collect()
    before = process.memory_info().rss
    timelines: State = {}
    agenda = Agenda()
    fill(timelines, agenda, customers)
    gc.collect()
    if len(timelines) != customers or len(agenda) != customers:
        raise RuntimeError(f"{len(timelines)} states of {customers} customers, {len(agenda)} due")
    return (process.memory_info().rss - before) / customers


def fill(timelines: State, agenda: Agenda, customers: int) -> None:
    """Let that many customers live through their interactions, in turn."""
    for nth in range(INTERACTIONS):
        for start in range(0, customers, BATCH):
            batch = [interaction(customer, nth) for customer in range(start, min(start + BATCH, customers))]
            now = batch[0].occurred_at
            result = advance_batch(timelines.get, batch, (), now, DEFAULT_POLICY)
            for key, state in result.states.items():
                if state is not None:
                    timelines[key] = state
            for key, due in result.due.items():
                agenda.put(key, due)


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS
    print(json.dumps({"customers": number, "bytes_per_customer": round(bytes_per_customer(number))}))
