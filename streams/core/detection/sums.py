"""Amounts that add up against a total that may be agreed anew: what is compared with what, and what had to go."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any, Final, NamedTuple

from schemas.findings import Severity
from schemas.interaction import Micros

_TRIES: Final = 200
"""So many sets of agreed totals are tried; then it is the fewest of those found."""


class Entry(NamedTuple):
    """An interaction with amounts; those of `named` (one a tie that was tried earlier) that are not None are meant for
    that tie.
    """

    which: int
    at: Micros
    expected: Decimal | None
    actual: Decimal | None
    named: tuple[Any, ...]


class Above(NamedTuple):
    """A sum that is, or was, above: since when, and the amounts as they were at last while it was."""

    raised_at: Micros
    anchor: int
    """The last charge when it began."""
    opened: int
    """The place of the entry that began it."""
    last: int
    """The place of the latest entry that left it above."""
    severity: Severity
    wanted: Decimal
    total: Decimal
    excess: Decimal
    evidence: tuple[int, ...]
    again: bool = False
    """Whether the sum was above before, too, which is settled: without a further charge it would not stand."""
    righted: int | None = None
    """What brought it down."""


class Sums:
    """What was expected and what came, as time goes by.

    Amounts that name an earlier tie (a reference of their own) are meant for that one. As expected they stand
    in only while no total without such a name is known and all of them have the same one, and then only for
    actual amounts that name none.
    """

    def __init__(self) -> None:
        self._total: tuple[Decimal, int] | None = None
        self._named: tuple[Decimal, int] | None = None
        self._names: set[tuple[Any, ...]] = set()
        self._all: list[tuple[int, Decimal]] = []
        self._nameless: list[tuple[int, Decimal]] = []

    def put(self, entry: Entry) -> None:
        """The next interaction."""
        nameless = all(name is None for name in entry.named)
        if entry.expected is not None:
            if nameless:
                self._total = entry.expected, entry.which
            else:
                self._named = entry.expected, entry.which
                self._names.add(entry.named)
        if entry.actual is not None:
            self._all.append((entry.which, entry.actual))
            if nameless:
                self._nameless.append((entry.which, entry.actual))

    def has_total(self) -> bool:
        """Whether a total is known that is meant for nothing else."""
        return self._total is not None

    def wanted(self) -> tuple[Decimal | None, int]:
        """The amount expected by now, and who said so."""
        if self._total is not None:
            return self._total
        return self._named if self._named is not None and len(self._names) == 1 else (None, -1)

    def actual(self) -> tuple[Decimal, list[int], int | None]:
        """What may be compared with it: the sum, its parts, the last part that is no refund."""
        parts = self._parts()
        charges = [index for index, amount in parts if amount > 0]
        return (
            sum((amount for _, amount in parts), Decimal(0)),
            [index for index, _ in parts],
            charges[-1] if charges else None,
        )

    def excess(self) -> Decimal | None:
        """By how much it is above (below zero: below); None: there is nothing to compare."""
        wanted, _ = self.wanted()
        total, _, last_charge = self.actual()
        return None if wanted is None or last_charge is None else total - wanted

    def take(self, but: frozenset[int]) -> tuple[int, Decimal] | None:
        """Take the greatest part away, the earliest of equals; None: there is no charge but those of `but`."""
        greatest = max(
            [(amount, -index) for index, amount in self._parts() if amount > 0 and index not in but],
            default=None,
        )
        if greatest is None:
            return None
        index = -greatest[1]
        self._all = [part for part in self._all if part[0] != index]
        self._nameless = [part for part in self._nameless if part[0] != index]
        return index, greatest[0]

    def _parts(self) -> list[tuple[int, Decimal]]:
        return self._all if self._total is not None else self._nameless


def sums_above(
    entries: Sequence[Entry],
    tolerance: Decimal,
    horizon: Micros,
    severity_of: Callable[[Decimal, Decimal], Severity],
) -> Iterator[Above]:
    """Each time that the sum of the actual amounts is more than `tolerance` above the latest expected one, until it is
    so no more, or a horizon has passed, which settles it: only a further charge makes a new one then.

    `severity_of` takes what was wanted and the excess.
    """
    sums = Sums()
    standing: Above | None = None
    stale = False  # above since one that is settled
    for place, entry in enumerate(entries):
        at = entry.at
        if standing is not None and at > standing.raised_at + horizon:
            yield standing
            standing, stale = None, True
        sums.put(entry)
        wanted, basis = sums.wanted()
        total, counted, last_charge = sums.actual()
        if wanted is None or last_charge is None:
            continue
        excess = total - wanted
        if excess <= tolerance:
            if standing is not None and at > standing.raised_at:
                yield standing._replace(righted=entry.which)
            standing, stale = None, False
            continue
        if standing is None:
            if stale and (entry.actual is None or entry.actual <= 0 or entry.which not in counted):
                continue
            standing = Above(at, last_charge, place, place, "minor", wanted, total, excess, (), stale)
        standing = standing._replace(
            last=place,
            severity=severity_of(wanted, excess),
            wanted=wanted,
            total=total,
            excess=excess,
            evidence=tuple(dict.fromkeys((*standing.evidence, basis, *counted))),
        )
    if standing is not None:
        yield standing


def fewest_to_go(entries: Sequence[Entry], above: Above, tolerance: Decimal, horizon: Micros) -> list[int]:
    """The fewest of its evidence without which a sum would not have been above while it was.

    Charges, expected amounts, or both. Of several sets of a size the one with the fewest expected amounts, with the
    greatest charges and among equal ones the earliest.
    """
    until = entries[above.last].at
    entries = [one for one in entries if one.at <= until]
    both = frozenset([one.which for one in entries if one.expected is not None and one.actual is not None])
    expected = [one.which for one in entries if one.expected is not None and one.which in above.evidence]
    best = _charges_to_go(entries, above.opened, tolerance, horizon, frozenset(), both, len(entries))
    if above.again:
        further = _further_charges(entries, above, tolerance)
        if further is not None and (best is None or len(further) < len(best)):
            best = further
    tries = 0
    for size in range(1, len(expected) + 1):
        if best is not None and size >= len(best):
            break
        for gone in combinations(expected, size):
            if tries == _TRIES:
                break
            tries += 1
            limit = (len(entries) if best is None else len(best) - 1) - size
            charges = _charges_to_go(entries, above.opened, tolerance, horizon, frozenset(gone), both, limit)
            if charges is not None:
                best = [*gone, *charges]
    return sorted(above.evidence if best is None else best)


def _further_charges(entries: Sequence[Entry], above: Above, tolerance: Decimal) -> list[int] | None:
    """The charges since it is above again, if without them it would at most be above as it was before; else None."""
    further = [
        one.which
        for one in entries[above.opened :]
        if one.actual is not None and one.actual > 0 and one.which in above.evidence
    ]
    sums = Sums()
    stale = True
    for place, entry in enumerate(entries):
        if entry.which not in further:
            sums.put(entry)
        excess = sums.excess() if place >= above.opened else None
        if excess is not None and excess <= tolerance:
            stale = False
        elif excess is not None and not stale:
            return None
    return further


def _charges_to_go(
    entries: Sequence[Entry],
    opened: int,
    tolerance: Decimal,
    horizon: Micros,
    gone: frozenset[int],
    but: frozenset[int],
    limit: int,
) -> list[int] | None:
    """The fewest charges, none of `but`, that must go beside `gone`; None: there are none, or more than `limit`, or
    it cannot be told: without an expected amount that names an earlier tie, what was compared with it there
    counts here, where a total is known.

    Whenever an instant leaves the sum above, one more of the charges that came until then must go; the greatest one
    serves best, then and later.
    """
    since = min([one.at for one in entries if one.expected is not None and one.which not in gone], default=0)
    sums = Sums()
    found: list[int] = []
    nameless = True
    over: Decimal | None = None  # as last compared in this instant
    for place, entry in enumerate(entries):
        if place and entries[place - 1].at < entry.at:
            over = None
        if entry.which not in gone:
            if entry.at >= since - horizon:
                sums.put(entry)
        elif any(name is not None for name in entry.named):
            nameless = False
        if not nameless and sums.has_total():
            return None
        excess = sums.excess()
        over = over if excess is None else excess
        if place < opened or (place + 1 < len(entries) and entries[place + 1].at == entry.at):
            continue
        while over is not None and over > tolerance:
            taken = sums.take(but) if len(found) < limit else None
            if taken is None:
                return None
            found.append(taken[0])
            over = over - taken[1] if sums.actual()[2] is not None else None
    return found
