"""Finding the one record that makes a pure step raise, so that its good neighbours pass."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


class Poison(NamedTuple):
    """The position of a record that alone makes the step raise, and what it raised."""

    position: int
    error: Exception


def poisonous(items: Sequence[Item], step: Callable[[Sequence[Item]], object]) -> list[Poison]:
    """The items that make `step` raise when they are added to the good ones before them.

    `step` is a pure function of a batch, order kept. Bisection: with k bad items among n it is called about
    k log2 n times. When `step` still raises without the items returned (the fault is in their interplay only), the
    remaining half that raises is narrowed further, so the loop always ends with a batch that passes. When `step`
    raises on no items at all, none of them is to blame and none is returned.
    """
    bad: list[Poison] = []
    if _error(step, []) is not None:
        return bad
    good = list(range(len(items)))
    while (error := _error(step, [items[i] for i in good])) is not None:
        low, high = 0, len(good)  # the shortest prefix that raises ends at `high`
        while high - low > 1:
            middle = (low + high) // 2
            earlier = _error(step, [items[i] for i in good[:middle]])
            if earlier is None:
                low = middle
            else:
                high, error = middle, earlier
        bad.append(Poison(good.pop(high - 1), error))
    return sorted(bad)


def _error(step: Callable[[Sequence[Item]], object], items: Sequence[Item]) -> Exception | None:
    try:
        step(items)
    except Exception as error:  # whatever the core raises on a record is that record's dead letter
        return error
    return None
