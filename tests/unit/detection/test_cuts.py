"""Cuts: the fewest interactions without which too few findings are left."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.findings import Identity
from streams.core.detection.cuts import Cut, Place, fewest_interactions

A, B, C, D = ((at, "s", name) for at, name in enumerate("abcd"))


def cut(at: int, *rests_on: Place) -> Cut:
    return Cut(at, frozenset(rests_on))


def test_an_interaction_that_carries_several_findings_goes_alone() -> None:
    found = [cut(1, A), cut(2, B), cut(3, C), cut(3, C), cut(4, D)]
    assert fewest_interactions(found, (), 4, 9) == (Identity("s", "c"),)


def test_a_finding_that_rests_on_two_goes_only_with_both() -> None:
    found = [cut(2, A, B), cut(2, A, B), cut(3, C), cut(4, D)]
    gone = fewest_interactions(found, (), 2, 9)
    assert gone == (Identity("s", "a"), Identity("s", "b"), Identity("s", "d"))


def test_of_several_the_latest_goes() -> None:
    assert fewest_interactions([cut(1, A), cut(2, B), cut(3, C)], (), 3, 9) == (Identity("s", "c"),)


def test_a_window_in_which_a_grave_one_stays_needs_nothing() -> None:
    found = [cut(1, A), cut(2, B), cut(3, C), cut(9, D)]
    assert fewest_interactions(found, [cut(8, (8, "s", "x"))], 2, 7) == (
        Identity("s", "b"),
        Identity("s", "c"),
    )


def test_what_takes_a_grave_one_along_makes_others_count() -> None:
    found = [cut(1, A), cut(2, B), cut(3, C), cut(4, D)]
    assert fewest_interactions(found, [cut(4, A)], 2, 1) == (Identity("s", "b"),)
    assert fewest_interactions(found, [cut(4, B)], 2, 1) == (Identity("s", "b"), Identity("s", "d"))


def test_beyond_its_effort_it_still_tells_a_set_that_does() -> None:
    found = [cut(at, (at, "s", f"{at:02}"), (at // 3, "t", f"{at // 3}")) for at in range(60)]
    gone = {(one.source, one.id) for one in fewest_interactions(found, (), 2, 90)}
    left = [one for one in found if not {place[1:] for place in one.rests_on} <= gone]
    assert len(left) < 2


PLACES: list[Place] = [(at, "s", f"{at}") for at in range(7)]
drawn = st.lists(
    st.tuples(st.integers(0, 12), st.frozensets(st.sampled_from(PLACES), min_size=1, max_size=2)),
    min_size=3,
    max_size=9,
).map(lambda pairs: [Cut(at, rests_on) for at, rests_on in sorted(pairs, key=lambda pair: pair[0])])


@given(drawn, st.lists(drawn.map(lambda some: some[0]), max_size=1), st.integers(2, 4), st.integers(0, 12))
@settings(max_examples=300, deadline=None)
def test_no_smaller_set_does(found: list[Cut], graver: list[Cut], at_least: int, within: int) -> None:
    def stands_without(gone: frozenset[Place]) -> bool:
        left = [one.at for one in found if not one.rests_on <= gone]
        grave = [one.at for one in graver if not one.rests_on <= gone]
        return any(
            sum(end - within <= at <= end for at in left[: last + 1]) >= at_least
            and not any(end - within <= at <= end for at in grave)
            for last, end in enumerate(left)
        )

    places = {(one.source, one.id) for one in fewest_interactions(found, graver, at_least, within)}
    fewest = frozenset(place for place in PLACES if place[1:] in places)
    assert len(fewest) == len(places)
    assert not stands_without(fewest)
    for size in range(len(fewest)):
        assert all(stands_without(frozenset(gone)) for gone in combinations(PLACES, size))
