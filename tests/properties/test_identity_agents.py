"""The journeys agent under merges, unmerges, corrections and deaths: it ends where one ends that knew all at first."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.findings import Contribution, Finding
from schemas.interaction import CONTROL_KEY, DAY, Interaction, decode_interaction
from schemas.links import Statement
from streams.agents import journeys
from streams.catalogue.rule_files import load_rules
from streams.catalogue.rule_sets import rules_folder
from streams.core.batch import advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.index import IdentityIndex
from streams.core.identification.moves import customer_of
from streams.core.identification.policy import IdentityPolicy
from tests.properties.identity_agents import AgentWorld
from tests.properties.identity_protocol import known_from_the_start
from tests.properties.test_identity_laws import JOURNEYS, POLICIES, called, events, statements

RULES = Detection(load_rules(rules_folder(None), 30 * DAY), id_key=b"any key")
offended = st.builds(
    lambda one, treatment, reason: msgspec.structs.replace(one, treatment=treatment, reason=reason),
    events,
    st.sampled_from(["rude", "indifferent", None]),
    st.sampled_from(["billing", None]),
)


def live(world: AgentWorld, incoming: list[Interaction | Statement], rng: Random, deaths: float) -> None:
    """Let everything happen in some order, with workers that die."""
    world.deaths = deaths
    while incoming:
        match rng.choice(("event", "event", "read", "corrections", "work", "work", "kill", "assign")):
            case "event":
                one = incoming.pop()
                if isinstance(one, Statement):
                    world.links.append(one)
                else:
                    world.identify(rng.choice(world.workers), [one])
            case "read":
                worker = rng.choice(world.workers)
                world.read(worker, rng.randint(worker.links_seen, len(world.links)))
            case "corrections":
                worker = rng.choice(world.workers)
                world.read_corrections(worker, rng.randint(worker.corrections_seen, len(world.corrections)))
            case "work":
                world.work(rng.randrange(len(world.partitions)), rng.choice((1, 2, 4, 10)))
            case "kill" if rng.random() < deaths:
                world.kill(rng.choice(world.workers))
            case "assign" if rng.random() < 0.3:
                world.assign(rng.randrange(len(world.partitions)))
            case _:
                pass
    world.settle()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(events, max_size=14, unique_by=lambda one: (one.id, one.revision)),
    st.lists(statements, max_size=5),
    st.sampled_from(POLICIES),
    st.sampled_from([0.0, 0.02, 0.05, 0.2]),
    st.randoms(use_true_random=False),
)
def test_any_run_of_the_agent_ends_in_the_tables_of_one_that_knew_the_links_from_the_start(
    told: list[Interaction], facts: list[Statement], policy: IdentityPolicy, deaths: float, rng: Random
) -> None:
    world = AgentWorld(policy, JOURNEYS, rng)
    incoming: list[Interaction | Statement] = [*told, *rng.sample(told, len(told) // 3), *facts]
    rng.shuffle(incoming)
    live(world, incoming, rng, deaths)
    assert world.tables.shown() == known_from_the_start(policy, JOURNEYS, world.links, told).shown()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(offended, max_size=14, unique_by=lambda one: (one.id, one.revision)),
    st.lists(statements, max_size=4),
    st.sampled_from([0.0, 0.02, 0.05, 0.2]),
    st.randoms(use_true_random=False),
)
def test_findings_and_lights_end_as_those_of_a_run_that_knew_the_links_from_the_start(
    told: list[Interaction], facts: list[Statement], deaths: float, rng: Random
) -> None:
    world = AgentWorld(IdentityPolicy(), JOURNEYS, rng, detection=RULES)
    incoming: list[Interaction | Statement] = [*told, *rng.sample(told, len(told) // 3), *facts]
    rng.shuffle(incoming)
    live(world, incoming, rng, deaths)
    findings, lights = found_from_the_start(world, told)
    standing = {key: one for key, (_, one) in world.findings.items() if one.state != "withdrawn"}
    assert standing == findings
    lit = {key: light.contributions for key, (_, light) in world.lights.items() if light.contributions}
    assert lit == lights
    for key, history in world.history.items():
        assert sorted(history) == list(range(1, len(history) + 1)), "no change goes untold"
        assert history[len(history)].finding == world.findings[key][1], "nor is one told that was not"


def found_from_the_start(
    world: AgentWorld, told: list[Interaction]
) -> tuple[dict[str, Finding], dict[str, Sequence[Contribution]]]:
    """What rules find in a run in which all links are known and nothing is late, and the lines of the lights."""
    index = IdentityIndex(world.policy, world.links)
    latest: dict[tuple[str, str], Interaction] = {}
    for one in told:
        if one.key not in latest or one.revision > latest[one.key].revision:
            latest[one.key] = msgspec.structs.replace(one, customer=customer_of(one, index.customer_of))
    ordered = sorted(latest.values(), key=lambda one: one.position)
    result = advance_batch({}.get, ordered, (), 0, JOURNEYS, RULES)
    last = {change.finding.finding_id: change.finding for change in result.changes}
    lights = {light.customer: light.contributions for light in result.lights if light.contributions}
    return last, lights


@pytest.mark.parametrize("chances", range(24))
@pytest.mark.parametrize("taken_back", [True, False])
def test_the_agent_may_die_at_any_effect_of_an_unmerge_also_of_one_that_is_taken_back(
    chances: int, taken_back: bool
) -> None:
    together = ("phone:+1", "email:a@x.bg")
    world = AgentWorld(IdentityPolicy(), JOURNEYS, Random(chances), partitions=2, workers=1)
    told = [
        called(1, 0, email="a@x.bg"),
        called(2, 1, phone="+1"),
        called(3, 2, phone="+1"),
        called(4, 9, email="a@x.bg"),
    ]
    world.links.append(Statement("crm", "1", 0, 0, True, together))
    world.read(world.workers[0], 1)
    world.identify(world.workers[0], told)
    world.settle()
    world.links.append(Statement("operator", "1", 0, 1, False, together))
    world.read(world.workers[0], len(world.links))
    if taken_back:
        world.links.append(Statement("operator", "2", 0, 2, True, together))
    world.steps_to_death = chances
    for number in range(len(world.partitions)):
        world.tick(number)
    world.steps_to_death = None
    world.settle()
    assert world.tables.shown() == known_from_the_start(IdentityPolicy(), JOURNEYS, world.links, told).shown()


@pytest.mark.parametrize("chances", range(16))
@pytest.mark.parametrize("late", [True, False])
def test_the_agent_may_die_before_its_rows_are_written_when_a_late_event_joins_two_journeys(
    chances: int, late: bool
) -> None:
    """It dies at each effect, of which the rows come last; what was in the changelog by then counts."""
    world = AgentWorld(IdentityPolicy(), JOURNEYS, Random(chances), partitions=1, workers=1)
    far, between = called(1, 0, phone="+1"), called(2, 1, phone="+1")
    told = [far, called(3, 2, phone="+1"), called(4, 9, phone="+1")]
    arriving = [
        between if late else called(5, 3, phone="+1"),
        msgspec.structs.replace(far, revision=1, text="!"),
    ]
    world.identify(world.workers[0], told)
    world.settle()
    world.identify(world.workers[0], arriving)
    world.steps_to_death = chances
    for _ in range(3):
        world.work(0, 2)
    world.steps_to_death = None
    world.settle()
    everything = [*told, *arriving]
    assert world.tables.shown() == known_from_the_start(IdentityPolicy(), JOURNEYS, [], everything).shown()


@pytest.mark.parametrize("crash", [False, True], ids=["as it is", "handled, then read again"])
@pytest.mark.parametrize("portion", [journeys.JUDGED_AT_ONCE, 0], ids=["at once", "others first"])
def test_a_second_telling_does_not_overtake_the_first_when_both_are_sent_on(
    crash: bool, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An equal revision changes nothing: what is held is the first, and is sent on before what has just come."""
    monkeypatch.setattr(journeys, "JUDGED_AT_ONCE", portion)
    world = AgentWorld(IdentityPolicy(), JOURNEYS, Random(1), partitions=2, workers=1)
    (worker,) = world.workers
    first = msgspec.structs.replace(called(1, 0, phone="+1"), text="one", offset=10)
    world.identify(worker, [first])
    world.settle()
    world.identify(worker, [msgspec.structs.replace(first, text="two", offset=20)])
    if crash:
        committed = [partition.committed for partition in world.partitions]
        for number, partition in enumerate(world.partitions):
            world.work(number, 100)
            if (ownership := worker.owns.get(number)) is not None:
                world.finish(number, ownership, 100)
            partition.committed = committed[number]
            world.assign(number)
    world.links.append(Statement("crm", "1", 0, 0, True, ("crm:K", "phone:+1")))
    world.read(worker, 1)
    world.settle()
    sent_on = [
        one.offset
        for log in world.logs
        for key, value in log
        if key != CONTROL_KEY and (one := decode_interaction(value)).customer == "crm:K"
    ]
    assert sent_on == [10, 20]
