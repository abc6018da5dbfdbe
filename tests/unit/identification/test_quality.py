"""Identity against the simulator's ground truth: the figures that are asked for, on a simulation of 2,000 people."""

import json
from datetime import timedelta

import pytest

from bench.identity_quality import FUTURE, QUALITY_PEOPLE, QUALITY_SEED, REGION, UNTIL, evaluate
from schemas.identity import FactDecoder
from schemas.links import Statement
from streams.simulation.facts import identity_facts
from streams.simulation.simulation import Simulation


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, float]]:
    return evaluate(QUALITY_SEED, QUALITY_PEOPLE)


def test_precision_and_recall_with_facts(scores: dict[str, dict[str, float]]) -> None:
    found = scores["with learnt links and the CRM's facts"]
    assert found["precision"] >= 0.99
    assert found["recall"] >= 0.95


def test_links_find_what_identifiers_alone_do_not(scores: dict[str, dict[str, float]]) -> None:
    alone, learnt = scores["strongest identifier alone"], scores["with learnt links"]
    assert learnt["recall"] > alone["recall"] + 0.03
    assert learnt["precision"] >= 0.99


def test_the_simulated_facts_are_valid_deterministic_and_one_a_customer() -> None:
    simulation = Simulation(11, 300, UNTIL, timedelta(days=30))
    facts = list(identity_facts(simulation))
    assert facts == list(identity_facts(simulation))
    decoder = FactDecoder(REGION, FUTURE)
    decoded = [decoder.decode(json.dumps(fact).encode(), (), 0) for fact in facts]
    assert all(isinstance(one, Statement) for one in decoded)
    assert len({fact["id"] for fact in facts}) == 300
    assert {fact["revision"] for fact in facts} == {0, 1}
