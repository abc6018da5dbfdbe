"""Sightings: of one identity the first counts, as long as it is known."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.interaction import Interaction
from schemas.sightings import (
    SIGHTING_BYTES,
    SIGHTINGS_A_RECORD,
    packed_sightings,
    sighting_of,
    unpacked_sightings,
)
from streams.core.identification.known_sightings import KnownSightings
from tests.builders import visit as a_visit


def visit(identity: str, **names: str) -> Interaction:
    return a_visit("2026-03-01T10:00Z", id=identity, **names)


# Few different bytes, so that entries lie in one run, and a mark is found across two of them.
marks = st.lists(st.sampled_from([0, 1]), min_size=6, max_size=6).map(lambda rest: b"ab" + bytes(rest))
sightings = st.builds(
    lambda mark, named: mark + named, marks, st.sampled_from([bytes(4), b"\0\0\1\1", b"\1" * 4])
)


@settings(deadline=None)
@given(st.lists(sightings, max_size=60))
def test_the_first_of_each_identity_counts(told: list[bytes]) -> None:
    known, model, contested = KnownSightings(), dict[bytes, bytes](), 0
    for one in told:
        known.note(one)
        contested += model.setdefault(one[:8], one) != one
    assert {one: known.first(one) for one in told} == {one: model[one[:8]] for one in told}
    assert (len(known), known.contested) == (len(model), contested)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, unique=True, max_size=60), st.integers(1, 20))
def test_at_least_the_latest_generation_is_known_and_never_more_than_two(told: list[int], size: int) -> None:
    known = KnownSightings(size)
    entries = [one.to_bytes(8, "big") + b"name" for one in told]
    for one in entries:
        known.note(one)
    assert all(known.first(one) == one for one in entries[-size:])
    assert sum(known.first(one) is not None for one in entries) == len(known) <= 2 * size


def test_a_sighting_tells_identities_and_identifiers_apart() -> None:
    ann = visit("1", crm_id="ann")
    assert sighting_of(ann) == sighting_of(visit("1", crm_id="ann"))
    assert len(sighting_of(ann)) == SIGHTING_BYTES
    other = [
        visit("1", crm_id="bob"),
        visit("1", contract="ann"),
        visit("1", crm_id="ann", phone="1"),
        visit("1"),
    ]
    assert {sighting_of(one)[:8] for one in other} == {sighting_of(ann)[:8]}
    assert len({sighting_of(one) for one in [ann, *other]}) == 5
    assert sighting_of(visit("2", crm_id="ann"))[:8] != sighting_of(ann)[:8]


@pytest.mark.parametrize("count", [0, 1, SIGHTINGS_A_RECORD, SIGHTINGS_A_RECORD + 1])
def test_what_is_packed_comes_back_in_its_order(count: int) -> None:
    told = [number.to_bytes(SIGHTING_BYTES, "big") for number in range(count)]
    records = list(packed_sightings(told))
    assert len(records) == -(-count // SIGHTINGS_A_RECORD)
    assert list(chain.from_iterable(map(unpacked_sightings, records))) == told


def test_foreign_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="13 bytes"):
        unpacked_sightings(bytes(13))
