"""Bisection finds whatever makes a pure step raise, in few calls."""

from collections.abc import Callable, Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agents.isolate import poisonous


class Step:
    """A pure step that raises when `spoilt` says so of the batch; counts its calls."""

    def __init__(self, spoilt: Callable[[Sequence[int]], object]) -> None:
        self.calls = 0
        self._spoilt = spoilt

    def __call__(self, items: Sequence[int]) -> None:
        self.calls += 1
        if reason := self._spoilt(items):
            raise ValueError(str(reason))


@given(st.integers(0, 300), st.data())
def test_any_set_of_bad_records_is_found(size: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, size - 1), max_size=12)) if size else set()
    step = Step(lambda items: bad & set(items))
    assert [poison.position for poison in poisonous(range(size), step)] == sorted(bad)
    assert step.calls <= (len(bad) + 2) + len(bad) * ceil(log2(max(size, 2)))


def test_each_record_is_told_with_its_own_error() -> None:
    def step(items: Sequence[int]) -> None:
        for item in items:
            if item in (3, 7):
                raise ValueError(f"number {item}")

    assert [(found.position, str(found.error)) for found in poisonous(range(10), step)] == [
        (3, "number 3"),
        (7, "number 7"),
    ]


def test_a_batch_that_passes_is_not_searched() -> None:
    step = Step(lambda _items: None)
    assert poisonous(range(1_000), step) == []
    assert step.calls == 2


def test_records_that_only_together_raise_leave_a_batch_that_passes() -> None:
    step = Step(lambda items: {2, 5} <= set(items))
    assert [poison.position for poison in poisonous(range(8), step)] == [5]


@pytest.mark.parametrize("items", [[], [1, 2, 3]])
def test_no_record_is_blamed_when_the_step_raises_without_any(items: list[int]) -> None:
    assert poisonous(items, Step(lambda _items: True)) == []


@given(st.lists(st.integers(0, 5), max_size=30))
def test_what_is_left_always_passes(items: list[int]) -> None:
    def spoilt(some: Sequence[int]) -> object:
        return sum(some) > 12 or list(some[-1:]) == [4]

    bad = {poison.position for poison in poisonous(items, Step(spoilt))}
    assert not spoilt([item for index, item in enumerate(items) if index not in bad])
