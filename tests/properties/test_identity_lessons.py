"""A run that has all interactions at once learns of them what workers learn one by one, in whatever order."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interaction import DAY, Interaction
from streams.core.identification.index import IdentityIndex
from streams.core.identification.lessons import Lessons
from streams.core.identification.moves import customer_of
from streams.core.identification.policy import IdentityPolicy

POLICIES = st.sampled_from((IdentityPolicy(), IdentityPolicy(hub=2)))


def told(
    number: int, at: int, crm: str | None, phone: str | None, email: str | None, unread: bool
) -> Interaction:
    return Interaction(
        "s",
        f"i{number}",
        0,
        "visit",
        "visit",
        at * DAY // 3,
        crm_id=crm,
        phone=phone,
        email=email,
        unnormalised=("phone",) if unread and phone else (),
    )


one_of = st.builds(
    told,
    st.integers(0, 99),
    st.integers(0, 9),
    st.sampled_from((None, "A", "B", "unknown")),
    st.sampled_from((None, "+3591", "+3592", "0000")),
    st.sampled_from((None, "a@x.bg", "noreply@x.bg")),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(one_of, max_size=20), POLICIES, st.randoms(use_true_random=False))
def test_all_at_once_and_one_by_one_are_the_same_links(
    events: list[Interaction], policy: IdentityPolicy, rng: Random
) -> None:
    lessons = Lessons(policy)
    for one in events:
        assert lessons.add(one) == one.identifiers
    at_once = IdentityIndex(policy, lessons.records())

    in_turn = IdentityIndex(policy)
    shuffled = rng.sample(events, len(events))
    for one in shuffled:
        in_turn.apply(in_turn.learn(one.identifiers, one.unnormalised, one.occurred_at, one.source, one.id))

    for one in events:
        assert customer_of(one, at_once.customer_of) == customer_of(one, in_turn.customer_of)
        assert not at_once.learn(one.identifiers, one.unnormalised, one.occurred_at, one.source, one.id), (
            "nothing is left to learn"
        )
