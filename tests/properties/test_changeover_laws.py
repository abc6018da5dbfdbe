"""A change of rules is told as what it is: an edit that detects the same is told nowhere, and it does not matter
whether what arrives comes with it or after it.
"""

from functools import cache
from random import Random
from typing import Any

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from schemas.findings import Finding
from schemas.interaction import DAY, Interaction
from streams.catalogue.rule_files import CATALOGUE, compile_files, read_rules
from streams.core.batch import BatchResult
from streams.core.detection.customer import Detection
from streams.core.detection.rule import RuleFile
from tests.properties.test_detection_laws import long_stories, stories
from tests.properties.test_remembered_laws import KEY, Customer, lives

SHIPPED = read_rules(sorted(CATALOGUE.glob("*.yaml")))
seeds = st.integers(0, 10**9)


@cache
def edited(edition: int) -> Detection:
    """The catalogue with other titles: every version is another, and all detect the same."""
    return Detection(
        compile_files([rule.model_copy(update={"title": f"{rule.title} {edition}"}) for rule in SHIPPED])
    )


@cache
def another(seed: int) -> Detection:
    """Some rules of the catalogue, some of their cases."""
    rng = Random(seed)
    rules: list[RuleFile] = []
    for rule in SHIPPED:
        if rng.random() < 0.3:
            continue
        cases = rule.stands_when if rng.random() < 0.6 else rng.sample(rule.stands_when, 1)
        rules.append(rule.model_copy(update={"stands_when": cases}))
    return Detection(compile_files(rules))


def told(result: BatchResult) -> Any:
    """What people are told of findings, but for the version that says it, and for the reason of an update: what time
    adds to a finding at the very evaluation at which the rules change is put down to these.
    """
    changes = []
    for one in result.changes:
        said = (None, None) if one.kind == "updated" else (one.reason, one.cause)
        changes.append((one.kind, one.at, one.sequence, of_no_version(one.finding), said))
    return changes, result.due


def of_no_version(finding: Finding) -> Finding:
    return msgspec.structs.replace(finding, rule_version="")


def known(customer: Customer) -> tuple[list[Finding], Any]:
    """What is known once all is told, and the colours."""
    if KEY not in customer.states:
        return [], None
    remembered = customer.remembered()
    return [of_no_version(one) for one in remembered.known], (remembered.outlived, remembered.colours)


@given(st.one_of(stories, long_stories), seeds)
@settings(max_examples=100, deadline=None)
def test_an_edit_that_detects_the_same_is_told_nowhere(line: list[Interaction], seed: int) -> None:
    rng = Random(seed)
    left_alone, changed = Customer(edited(0), False), Customer(edited(0), False)
    for batch, now in lives(line, Random(seed)):
        if rng.random() < 0.3:
            changed.detection = edited(rng.randint(0, 2))
        here, there = left_alone.read(batch, now), changed.read(batch, now)
        assert told(here) == told(there)
        if line[-1].occurred_at - line[0].occurred_at < 100 * DAY:  # later on what is final is forgotten
            assert here.lights == there.lights
            assert known(left_alone) == known(changed)


@given(st.one_of(stories, long_stories), seeds, st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_what_arrives_with_other_rules_might_as_well_arrive_after_them(
    line: list[Interaction], seed: int, number: int
) -> None:
    rng = Random(seed)
    together, apart = Customer(edited(0), False), Customer(edited(0), False)
    sets = [edited(0), another(number), edited(1)]
    for batch, now in lives(line, Random(seed)):
        if rng.random() < 0.3:
            for one in (together, apart):  # whom time has told what it had to tell
                one.read((), now)
            together.detection = apart.detection = rng.choice(sets)
            apart.read((), now)
        together.read(batch, now)
        apart.read(batch, now)
        assert known(together) == known(apart)
        event(f"outlived: {bool(KEY in together.states and together.remembered().outlived)}")
