"""Bursts: which full windows are one, and how few members must go."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.detection.bursts import Burst, bursts, fewest_to_remove, full_windows


def test_windows_that_share_a_member_are_one() -> None:
    assert bursts([0, 3, 6, 9], None, 3, 7, horizon=100) == [Burst(0, 2, 3)]


def test_windows_that_share_none_are_two() -> None:
    assert bursts([0, 1, 2, 9, 10, 11], None, 3, 5, horizon=100) == [Burst(0, 2, 2), Burst(3, 5, 5)]


def test_after_the_horizon_counting_begins_anew() -> None:
    times = list(range(0, 40, 2))
    first, second = bursts(times, None, 3, 7, horizon=20)
    assert first == Burst(0, 2, 12)  # completed at 4, grows until 24
    assert second == Burst(13, 15, 19)


def test_what_is_final_does_not_count_again() -> None:
    assert bursts([0, 1, 2, 3, 4], None, 3, 7, horizon=100, done_until=2) == []
    assert bursts([0, 1, 2, 3, 4, 5], None, 3, 7, horizon=100, done_until=2) == [Burst(3, 5, 5)]


members = st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abcd")), max_size=8).map(sorted)


@given(members, st.booleans(), st.integers(2, 3), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_no_smaller_set_empties_all_windows(
    drawn: list[tuple[int, str]], labelled: bool, at_least: int, within: int
) -> None:
    times = [at for at, _ in drawn]
    labels = [label for _, label in drawn] if labelled else None

    def is_full(gone: tuple[int, ...]) -> bool:
        left = [i for i in range(len(times)) if i not in gone]
        left_labels = [labels[i] for i in left] if labels is not None else None
        return any(full_windows([times[i] for i in left], left_labels, at_least, within))

    fewest = fewest_to_remove(times, labels, at_least, within)
    assert not is_full(tuple(fewest))
    if fewest:
        assert all(is_full(gone) for gone in combinations(range(len(times)), len(fewest) - 1))
