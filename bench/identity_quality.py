"""How well identity finds out who is whom, against the simulator's ground truth.

    python -m bench.identity_quality [--seed N] [--customers N]

prints, as JSON, pairwise precision and recall over the interactions whose person the simulation knows: of all pairs of
interactions that share a customer, how many share a person, and the other way round. Three times: by the strongest
identifier of each interaction alone, with the links that interactions teach, and with the CRM's facts besides.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import comb
from typing import Any, Final, NamedTuple

from schemas.codec import Decoder, Rejected
from schemas.identity import FactDecoder
from schemas.interaction import DAY, Interaction
from streams.core.identification.index import IdentityIndex
from streams.core.identification.moves import customer_of
from streams.simulation.facts import identity_facts
from streams.simulation.simulation import Simulation

UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
FUTURE = 400_000 * DAY
REGION = "BG"

QUALITY_SEED: Final = 7
QUALITY_PEOPLE: Final = 2_000

Known = list[tuple[Interaction, str]]
"""Interactions, each in its highest revision, and the person behind."""


class Score(NamedTuple):
    """Pairwise precision and recall, and how many customers were found."""

    precision: float
    recall: float
    customers: int


def interactions_of(simulation: Simulation) -> tuple[Known, list[Interaction]]:
    """Those whose person is known, and all of them in the order of their arrival."""
    decoder = Decoder(REGION, FUTURE, lambda *_: None)
    latest: dict[tuple[str, str], tuple[Interaction, str]] = {}
    arrived: list[Interaction] = []
    for event in simulation.events():
        decoded = decoder.decode(event.value, event.headers, event.channel, 0, 0, None, 0)
        if isinstance(decoded, Rejected):
            continue
        arrived.append(decoded)
        if event.customer is not None and (
            decoded.key not in latest or decoded.revision > latest[decoded.key][0].revision
        ):
            latest[decoded.key] = decoded, event.customer
    return list(latest.values()), arrived


def learn(index: IdentityIndex, arrived: Iterable[Interaction]) -> None:
    """Teach an index what interactions say."""
    for one in arrived:
        index.apply(index.learn(one.identifiers, one.unnormalised, one.occurred_at, one.source, one.id))


def tell(index: IdentityIndex, simulation: Simulation) -> None:
    """Tell an index what the CRM says; every fact must be valid."""
    decoder = FactDecoder(REGION, FUTURE)
    for fact in identity_facts(simulation):
        statement = decoder.decode(json.dumps(fact).encode(), (), 0)
        if isinstance(statement, Rejected):
            raise ValueError(f"the simulation told a fact that is not valid: {statement.message}")
        index.apply((statement,))


def score(known: Known, index: IdentityIndex) -> Score:
    """Precision and recall of the customers that an index names."""
    cells: Counter[tuple[str, object]] = Counter()
    for one, person in known:
        cells[person, customer_of(one, index.customer_of) or one.key] += 1
    persons: Counter[str] = Counter()
    customers: Counter[object] = Counter()
    for (person, customer), count in cells.items():
        persons[person] += count
        customers[customer] += count
    both = sum(comb(count, 2) for count in cells.values())
    return Score(
        both / sum(comb(count, 2) for count in customers.values()),
        both / sum(comb(count, 2) for count in persons.values()),
        len(customers),
    )


def evaluate(seed: int, customers: int) -> dict[str, Any]:
    """The three scores of one simulation of 30 days."""
    simulation = Simulation(seed, customers, UNTIL, timedelta(days=30))
    known, arrived = interactions_of(simulation)
    alone, learnt, told = IdentityIndex(), IdentityIndex(), IdentityIndex()
    learn(learnt, arrived)
    tell(told, simulation)
    learn(told, arrived)
    return {
        "seed": seed,
        "people": customers,
        "interactions": len(known),
        "strongest identifier alone": score(known, alone)._asdict(),
        "with learnt links": score(known, learnt)._asdict(),
        "with learnt links and the CRM's facts": score(known, told)._asdict(),
    }


def main() -> None:
    """Evaluate and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=QUALITY_SEED)
    parser.add_argument("--customers", type=int, default=QUALITY_PEOPLE)
    options = parser.parse_args()
    print(json.dumps(evaluate(options.seed, options.customers), indent=2))


if __name__ == "__main__":
    main()
