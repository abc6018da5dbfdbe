"""How few interactions must go so that too few findings are left: one interaction may carry several of them."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from schemas.findings import Identity
from schemas.interaction import Micros

Place = tuple[Micros, str, str]
"""An interaction: when it occurred, its source, its id."""

_TRIES: Final = 500
"""So many sets are tried; then it is the one that is found without trying."""


class Cut(NamedTuple):
    """A finding that counts, or one that outweighs those: raised when, and all that must go for it to."""

    at: Micros
    rests_on: frozenset[Place]
    member: bool = True
    """Whether it is counted as things are; else it may come to be."""
    touched_by: frozenset[Place] = frozenset()
    """Any of which may take it along, or make another of it, as `without` tells."""


Left = tuple[Sequence[Cut], Sequence[Cut]]
"""Cuts in order of time, and graver ones."""


def fewest_interactions(
    cuts: Sequence[Cut],
    graver: Sequence[Cut],
    at_least: int,
    within: Micros,
    without: Callable[[frozenset[Place]], Left | None] | None = None,
) -> tuple[Identity, ...]:
    """A smallest set of interactions, of those on which members rest, without which no `within` that ends at a cut
    holds `at_least` of them, a member among them, and none of the `graver`. `cuts` are in order of time. `without` says
    what there would be without some interactions, where it is not what there is less what rests on them.

    Exact up to a bounded effort, where nothing goes but with all that it rests on; then window by window what takes
    the most cuts with it, a set that does but may not be the smallest. Of several of a size it is the first that is
    met, the latest interactions (by time, source, id) of the earliest window being tried first.
    """
    found = _Search(cuts, graver, at_least, within, without).fewest()
    return tuple(sorted(Identity(source, name) for _, source, name in found))


class _Search:
    """The search, which goes deeper by one interaction at a time."""

    def __init__(
        self,
        cuts: Sequence[Cut],
        graver: Sequence[Cut],
        at_least: int,
        within: Micros,
        without: Callable[[frozenset[Place]], Left | None] | None,
    ) -> None:
        self.cuts = cuts
        self.without = without
        first, last = cuts[0].at - within, cuts[-1].at
        self.graver = [one for one in graver if first <= one.at <= last]
        self.at_least = at_least
        self.within = within
        self.left = _TRIES
        carried: dict[Place, int] = {}
        for cut in cuts:
            for place in cut.rests_on | cut.touched_by:
                carried[place] = carried.get(place, 0) + 1
        self.may_go: frozenset[Place] = frozenset().union(
            *[cut.rests_on | cut.touched_by for cut in cuts if cut.member]
        )
        self.carries = carried
        self.most = max(carried.values(), default=1)
        """So many cuts go with one interaction at the most."""

    def fewest(self) -> frozenset[Place]:
        """The set, as places."""
        nothing: frozenset[Place] = frozenset()
        found = self._greedy()
        size = self._needed(nothing)
        while size < len(found) and self.left > 0:
            better = self._within(nothing, size, set())
            if better is not None:
                return better
            size += 1
        return found

    def _within(
        self, gone: frozenset[Place], size: int, seen: set[frozenset[Place]]
    ) -> frozenset[Place] | None:
        """A set that does, of at most `size` places, `gone` among them; None: there is none, or no tries are left."""
        if gone in seen or self.left <= 0:
            return None
        seen.add(gone)
        self.left -= 1
        window = self._window(gone)
        if not window:
            return gone
        if len(gone) + self._needed(gone) > size:
            return None
        for more in self._ways(window, gone):
            further = gone | more
            if len(further) <= size:
                found = self._within(further, size, seen)
                if found is not None:
                    return found
        return None

    def _greedy(self) -> frozenset[Place]:
        """Out of each window in turn what takes the most cuts with it for each interaction that goes."""
        gone: frozenset[Place] = frozenset()
        window = self._window(gone)
        while window:
            best = self.may_go - gone
            if not best:
                break
            worth = -1.0
            for more in self._ways(window, gone):
                carried = sum([self.carries[place] for place in more]) / len(more)
                if carried > worth:
                    best, worth = more, carried
            gone |= best
            window = self._window(gone)
        return gone

    def _ways(self, window: Sequence[Cut], gone: frozenset[Place]) -> list[frozenset[Place]]:
        """What else must go for one of a window's cuts to go, the latest first: one of them has to."""
        ways = {way for cut in window if (way := cut.rests_on - gone) and way <= self.may_go}
        for cut in window:
            ways.update([frozenset((place,)) for place in cut.touched_by - gone if place in self.may_go])
        return sorted(ways, key=_descending, reverse=True)

    def _window(self, gone: frozenset[Place]) -> Sequence[Cut]:
        """`at_least` cuts of the earliest window that stands without `gone`, the last with a member among them; none:
        nothing stands.
        """
        there: Left | None = self.without(gone) if self.without is not None and gone else None
        cuts, heavy = there if there is not None else (self.cuts, self.graver)
        left = [cut for cut in cuts if not _goes(cut, gone)]
        graver = [one.at for one in heavy if not _goes(one, gone)]
        for last in range(self.at_least - 1, len(left)):
            first = last - self.at_least + 1
            if self._stands(left[first].at, left[last].at, graver):
                window = left[first : last + 1]
                member = last
                while (
                    member >= 0 and not left[member].member and left[last].at - left[member].at <= self.within
                ):
                    member -= 1
                if member >= first:
                    return window
                if member >= 0 and left[member].member and left[last].at - left[member].at <= self.within:
                    return [left[member], *window[1:]]
        return ()

    def _needed(self, gone: frozenset[Place]) -> int:
        """So many more interactions must go at the least: the cuts that must (fewest, if the latest of each window
        in turn does), divided by as many as one interaction carries at the most.
        """
        graver = [one.at for one in self.graver if not _goes(one, gone)]
        kept: list[Micros] = []
        taken = 0
        for cut in self.cuts:
            if not cut.member or _goes(cut, gone) or not cut.touched_by.isdisjoint(gone):
                continue
            kept.append(cut.at)
            if len(kept) >= self.at_least and self._stands(kept[-self.at_least], cut.at, graver):
                kept.pop()
                taken += 1
        return -(-taken // self.most)

    def _stands(self, first: Micros, last: Micros, graver: Sequence[Micros]) -> bool:
        """Whether a window that is full from `first` to `last` counts."""
        since = last - self.within
        if first < since:
            return False
        for at in graver:  # noqa: SIM110 - a generator would cost more than the comparisons
            if since <= at <= last:
                return False
        return True


def _goes(cut: Cut, gone: frozenset[Place]) -> bool:
    return bool(gone) and cut.rests_on <= gone


def _descending(way: frozenset[Place]) -> list[Place]:
    return sorted(way, reverse=True)
