"""Which timeline holds an interaction: every one that was added is found, whatever its marks have in common."""

import sys
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.identification.holders import IdentityHolders
from streams.core.state import identity_mark

keys = st.sampled_from([b"crm:a", b"crm:b", b"phone:+1", b"email:x@y.bg"])
identities = st.tuples(st.sampled_from(["pbx", "web"]), st.integers(0, 30).map(str))


@settings(deadline=None)
@given(st.lists(st.tuples(keys, identities)))
def test_whoever_was_said_to_hold_an_interaction_is_found(told: list[tuple[bytes, tuple[str, str]]]) -> None:
    holders = IdentityHolders()
    for key, identity in (*told, *told):
        holders.add(key, identity_mark(*identity))
    for _, identity in told:
        assert holders.find(identity) == {key for key, one in told if one == identity}
    assert holders.find(("nobody", "never")) == set()


def test_an_interaction_takes_less_than_sixty_bytes_even_where_the_runs_are_short() -> None:
    chance = Random(7)
    holders = IdentityHolders()
    empty = _size(holders)
    for customer in range(7_000):
        marks = b"".join(chance.randbytes(4) for _ in range(15))
        holders.add(b"crm:%d" % customer, marks)
    assert (_size(holders) - empty) / len(holders) < 60
    assert len(holders) > 104_000


def _size(holders: IdentityHolders) -> int:
    runs = sum(sys.getsizeof(run) for run in holders._runs if run)
    return runs + sys.getsizeof(holders._numbers) + sum(map(sys.getsizeof, holders._numbers.values()))
