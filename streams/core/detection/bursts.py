"""Many within a time: where windows are full, which of them are one, and how few must go to empty them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

from schemas.interaction import Micros

_TRIES = 2_000


class Burst(NamedTuple):
    """Full windows that overlap, as indices: the first member, the one that filled the first window, the last."""

    first: int
    completed: int
    last: int


def full_windows(
    times: Sequence[Micros], labels: Sequence[Hashable] | None, at_least: int, within: Micros
) -> Iterator[tuple[int, int]]:
    """The windows `(first, last)` that end at a member and are full: `within` or less from end to end, with
    `at_least` members, or different labels where labels are given.
    """
    first = 0
    inside: Counter[Hashable] = Counter()
    for last, at in enumerate(times):
        if labels is not None:
            inside[labels[last]] += 1
        while at - times[first] > within:
            if labels is not None:
                inside[labels[first]] -= 1
                if not inside[labels[first]]:
                    del inside[labels[first]]
            first += 1
        if (len(inside) if labels is not None else last - first + 1) >= at_least:
            yield first, last


def bursts(
    times: Sequence[Micros],
    labels: Sequence[Hashable] | None,
    at_least: int,
    within: Micros,
    *,
    horizon: Micros,
    done_until: Micros | None = None,
    counts: Callable[[int, int], bool] | None = None,
) -> list[Burst]:
    """Join full windows that share a member; a burst grows until a horizon after it was completed.

    A member counts in one burst only: after the horizon counting begins anew. Members at `done_until` or earlier
    belong to findings that are final. `counts` may refuse a full window.
    """
    found: list[Burst] = []
    start: int | None = 0 if done_until is None else bisect_right(times, done_until)
    while start is not None:
        begin, start = start, None
        rest = labels[begin:] if labels is not None else None
        for first, last in full_windows(times[begin:] if begin else times, rest, at_least, within):
            window = Burst(begin + first, begin + last, begin + last)
            if counts is not None and not counts(window.first, window.last):
                continue
            current = found[-1] if found else None
            if current is None or window.first > current.last:
                found.append(window)
            elif times[window.last] <= times[current.completed] + horizon:
                found[-1] = current._replace(last=window.last)
            else:
                start = current.last + 1
                break
    return found


def fewest_to_remove(
    times: Sequence[Micros], labels: Sequence[Hashable] | None, at_least: int, within: Micros
) -> list[int]:
    """A smallest set of members without which no window is full.

    Counting members, the latest of the earliest full window always does (any set that empties it can be moved
    there). With labels one label has to leave the window wholly: a search over which, which beyond a
    bounded effort settles for the best found.
    """
    if labels is None:
        gone: list[int] = []
        kept: list[int] = []
        for index, at in enumerate(times):
            kept.append(index)
            if len(kept) >= at_least and at - times[kept[-at_least]] <= within:
                gone.append(kept.pop())
        return gone
    best = list(range(len(times)))
    tries = 0

    def search(removed: frozenset[int]) -> None:
        nonlocal best, tries
        tries += 1
        if len(removed) >= len(best) or tries > _TRIES:
            return
        left = [index for index in range(len(times)) if index not in removed]
        window = next(
            full_windows([times[i] for i in left], [labels[i] for i in left], at_least, within), None
        )
        if window is None:
            best = sorted(removed)
            return
        inside = left[window[0] : window[1] + 1]
        for _, members in sorted(_by_label(inside, labels).items(), key=lambda item: len(item[1])):
            search(removed | frozenset(members))

    search(frozenset())
    return best


def _by_label(indices: Sequence[int], labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for index in indices:
        found.setdefault(labels[index], []).append(index)
    return found
