"""Laws of identity: whatever order links come in, the same customers; and what those customers may never be."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interaction import DAY, Interaction
from schemas.links import (
    Link,
    Name,
    Record,
    Statement,
    decode_record,
    encode_record,
    is_strong,
    order_of,
    record_key,
)
from streams.core.identification.index import IdentityIndex
from streams.core.identification.policy import IdentityPolicy
from streams.core.policy import JourneyPolicy
from tests.properties.identity_protocol import World, known_from_the_start

STRONG = ("crm:A", "crm:B", "crm:C", "contract:K", "contract:L", "loyalty:M")
WEAK = (
    "phone:+1",
    "phone:+2",
    "phone:+3",
    "email:a@x.bg",
    "email:b@x.bg",
    "device:d1",
    "device:d2",
    "device:d3",
)
POLICIES = (
    IdentityPolicy(),
    IdentityPolicy(
        customers={"contract": 1, "loyalty": 1, "phone": 2, "email": 1, "device": 2},
        companions={"phone": 1, "email": 2, "device": 1},
        hub=3,
    ),
    IdentityPolicy(hub=2),
)

names = st.sampled_from(STRONG + WEAK)
pairs = st.lists(names, min_size=2, max_size=2, unique=True).map(
    lambda pair: tuple(sorted(pair, key=order_of))
)
links = st.builds(
    lambda pair, at, evidence: Link(*pair, at * DAY // 4, at * DAY // 4 // DAY * DAY, evidence),
    pairs,
    st.integers(0, 12),
    st.sampled_from(["web\x1f1", "web\x1f2", "pbx\x1f1"]),
)
statements = st.builds(
    lambda source, id_, revision, at, linked, told: Statement(
        source, id_, revision, at, linked, tuple(sorted(told, key=order_of))
    ),
    st.sampled_from(["crm", "billing", "operator:ann"]),
    st.sampled_from(["1", "2", "3"]),
    st.integers(0, 2),
    st.integers(0, 5),
    st.booleans(),
    st.lists(names, min_size=2, max_size=4, unique=True),
)
records = st.lists(st.one_of(links, links, statements), max_size=24)


def customers(index: IdentityIndex) -> dict[Name, tuple[Name, bool]]:
    return {name: tuple(index.place(name)) for name in STRONG + WEAK}


def cut(items: Sequence[Record], rng: Random) -> Iterable[Sequence[Record]]:
    start = 0
    while start < len(items):
        size = rng.choice((1, 1, 2, 5))
        yield items[start : start + size]
        start += size


@settings(max_examples=400, deadline=None)
@given(records, st.randoms(use_true_random=False), st.sampled_from(POLICIES))
def test_any_order_any_repetition_any_batching_gives_what_all_at_once_gives(
    told: list[Record], rng: Random, policy: IdentityPolicy
) -> None:
    whole = IdentityIndex(policy, told)
    shuffled = [*told, *rng.sample(told, len(told) // 2)]
    rng.shuffle(shuffled)
    live = IdentityIndex(policy)
    followed = dict.fromkeys(STRONG + WEAK)
    before = customers(live)
    for batch in cut(shuffled, rng):
        for name, (old, new) in live.apply(batch).items():
            assert before[name] == tuple(old)
            followed[name] = new  # type: ignore[assignment]
        after = customers(live)
        changed = {name for name in after if after[name] != before[name]}
        assert all(tuple(followed[name] or ()) == after[name] for name in changed)
        before = after
    assert before == customers(whole)


JOURNEYS = JourneyPolicy(gap=DAY, horizon=400 * DAY, max_interactions=1_000, id_key=b"any key")
VALUES = {name: name.partition(":") for name in STRONG + WEAK}
FIELDS = {"crm": "crm_id"}

events = st.builds(
    lambda number, revision, at, told, odd: Interaction(
        "web",
        str(number),
        revision,
        "phone",
        "call",
        20_000 * DAY + at * DAY // 2,
        direction="inbound",
        unnormalised=("phone",) if odd else (),
        **{FIELDS.get(kind, kind): value for kind, _, value in map(VALUES.__getitem__, told)},
    ),
    st.integers(0, 7),
    st.integers(0, 2),
    st.integers(0, 12),
    st.lists(names, max_size=3),
    st.sampled_from([False] * 9 + [True]),
)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(events, max_size=14, unique_by=lambda one: (one.id, one.revision)),
    st.lists(statements, max_size=5),
    st.sampled_from(POLICIES),
    st.sampled_from([0.0, 0.0, 0.05, 0.2]),
    st.randoms(use_true_random=False),
)
def test_any_run_ends_in_the_tables_of_one_that_knew_the_links_from_the_start(
    told: list[Interaction], facts: list[Statement], policy: IdentityPolicy, deaths: float, rng: Random
) -> None:
    world = World(policy, JOURNEYS, rng)
    world.deaths = deaths
    incoming: list[Interaction | Statement] = [*told, *rng.sample(told, len(told) // 3), *facts]
    rng.shuffle(incoming)
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
                world.work(rng.randrange(len(world.partitions)), rng.choice((1, 2, 5)))
            case "kill" if rng.random() < deaths:
                world.kill(rng.choice(world.workers))
            case "assign" if rng.random() < 0.3:
                world.assign(rng.randrange(len(world.partitions)))
            case _:
                pass
    world.settle()
    assert world.tables.shown() == known_from_the_start(policy, JOURNEYS, world.links, told).shown()


def called(number: int, day: int, **identifiers: str) -> Interaction:
    return Interaction(
        "pbx", str(number), 0, "phone", "call", (20_000 + day) * DAY, direction="inbound", **identifiers
    )


@pytest.mark.parametrize("chances", range(14))
@pytest.mark.parametrize("taken_back", [True, False])
def test_a_worker_may_die_between_any_two_steps_of_an_unmerge_also_of_one_that_is_taken_back(
    chances: int, taken_back: bool
) -> None:
    """The dead worker knew that they were told apart; who comes after it knows that this was taken back."""
    together = ("phone:+1", "email:a@x.bg")
    world = World(IdentityPolicy(), JOURNEYS, Random(chances), partitions=2, workers=1)
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
    for number, partition in enumerate(world.partitions):
        partition.log.append((None, 0))
        world.work(number, len(partition.log))
    world.steps_to_death = None
    world.settle()
    assert world.tables.shown() == known_from_the_start(IdentityPolicy(), JOURNEYS, world.links, told).shown()


@settings(max_examples=150, deadline=None)
@given(records, st.sampled_from(POLICIES))
def test_strong_identifiers_share_a_customer_only_through_strong_ones(
    told: list[Record], policy: IdentityPolicy
) -> None:
    index = IdentityIndex(policy, told)
    group = {name: {name} for name in STRONG}
    for record in told:
        named = (record.a, record.b) if isinstance(record, Link) else record.identifiers
        strong = [name for name in named if is_strong(name)]
        for one, other in combinations(strong, 2):
            joined = group[one] | group[other]
            group.update(dict.fromkeys(joined, joined))
    for one, other in combinations(STRONG, 2):
        if index.customer(one) == index.customer(other):
            assert other in group[one]


@settings(max_examples=150, deadline=None)
@given(records, st.sampled_from(POLICIES))
def test_a_customer_is_named_by_the_strongest_then_the_smallest_of_its_identifiers(
    told: list[Record], policy: IdentityPolicy
) -> None:
    index = IdentityIndex(policy, told)
    found: dict[Name, list[Name]] = {}
    for name in STRONG + WEAK:
        found.setdefault(index.customer(name), []).append(name)
    for customer, members in found.items():
        assert customer == min(members, key=order_of)


@settings(max_examples=150, deadline=None)
@given(
    records.map(lambda told: [one for one in told if isinstance(one, Link) or one.source != "operator:ann"]),
    st.lists(pairs, max_size=4),
    st.sampled_from(POLICIES),
)
def test_whom_an_operator_told_apart_are_never_one_customer(
    told: list[Record], apart: list[tuple[Name, Name]], policy: IdentityPolicy
) -> None:
    said = [Statement("operator", str(number), 0, 0, False, pair) for number, pair in enumerate(apart)]
    index = IdentityIndex(policy, [*told, *said])
    for one, other in apart:
        assert index.customer(one) != index.customer(other)


@given(records)
def test_a_log_that_is_written_and_read_back_and_compacted_says_the_same(told: list[Record]) -> None:
    index = IdentityIndex(records=told)
    kept = {record_key(one): encode_record(one) for one in index.records()}
    assert customers(IdentityIndex(records=map(decode_record, kept.values()))) == customers(index)
