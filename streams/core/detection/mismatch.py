"""More than was agreed: amounts that differ across channels, in either order of arrival."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal, NamedTuple

from schemas.findings import Finding, Severity
from schemas.interaction import Interaction, Micros
from streams.core.detection.draft import NOTHING, Draft, Expectation, Seen, changeable_for
from streams.core.detection.line import Line
from streams.core.detection.prices import Charge, parted, to_hold
from streams.core.detection.sentences import worded
from streams.core.detection.sums import Entry, fewest_to_go, sums_above

Read = Callable[[Interaction], Any]


class Tie(NamedTuple):
    """What ties amounts together (`key`) and how they are compared."""

    key: Read
    name: str
    compare: Literal["each", "sum"]


class Excess(NamedTuple):
    """From so many percent of what was expected, or so many units, on it is of another severity."""

    severity: Severity
    percent: Decimal
    units: Decimal


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An actual amount above the expected one by more than `tolerance`.

    Amounts of one key, equal in the fields of `same`, with no silence longer than `within` between them, belong
    together, from a horizon before the first expected one on. `each` compares every actual amount with the latest
    expected one at or before it, or with the first after it if there is none. `sum` compares the sum of
    the actual amounts with the latest expected one, as time goes by: it stands since it was first above, with the
    amounts as they are at last. A tie is used for what no earlier tie could compare. Negative actual amounts are
    refunds: a later one that takes the excess back puts it right.
    """

    has_expected: int
    has_actual: int
    expected: Read
    actual: Read
    same: Sequence[Read]
    ties: Sequence[Tie]
    tolerance: Decimal
    within: Micros
    severity: Severity
    from_excess: Excess | None
    lookback: Micros = 0

    def see(self, line: Line, final: Sequence[Finding]) -> Seen:  # noqa: ARG002 - the shape of a detector
        """What stands. It never waits for anything."""
        if not line.union & self.has_expected:
            return NOTHING
        priced = line.having(self.has_expected | self.has_actual)
        holds = line.asks_for(priced[0])
        if not holds and not line.union & self.has_actual:
            return NOTHING
        drafts: list[Draft] = []
        until: dict[int, Micros] = {}
        compared: set[int] = set()
        comparable = len([index for index in priced if line.marks[index] & self.has_actual])
        for order, tie in enumerate(self.ties):
            if len(compared) == comparable and not holds:
                break
            for name, chain in self._chains(line, priced, tie, compared):
                if self._can_differ(line, chain, compared):
                    if tie.compare == "each":
                        drafts.extend(self._each(line, name, chain, compared))
                    else:
                        drafts.extend(self._sum(line, name, chain, compared, self.ties[:order]))
                if holds:
                    held = self._priced(line, chain) if tie.compare == "each" else chain
                    last = line.at[chain[-1]]
                    end = last + max(self.within + changeable_for(line.horizon), self.lookback)
                    for index in held:
                        until[index] = max(end, until.get(index, end))
        if not until:
            return Seen(drafts)
        expects = [
            Expectation(line.identity(index), end)
            for index, end in until.items()
            if end > line.at[index] + self.lookback and line.asks_for(index)
        ]
        return Seen(drafts, None, expects)

    def _can_differ(self, line: Line, chain: Sequence[int], compared: set[int]) -> bool:
        """Whether a chain has an expected amount, and an actual one that was not compared yet."""
        union = 0
        for index in chain:
            mark = line.marks[index]
            union |= mark & ~self.has_actual if index in compared else mark
        return bool(union & self.has_expected and union & self.has_actual)

    def _chains(
        self, line: Line, priced: Sequence[int], tie: Tie, compared: set[int]
    ) -> list[tuple[str, list[int]]]:
        """The amounts that belong together, in order of time; at one instant what is expected comes first. Where
        nothing is expected nothing can be compared, so nothing need be held: that is left out.
        """
        groups: dict[tuple[Hashable, tuple[Any, ...]], list[int]] = {}
        for index in priced:
            if index in compared and not line.marks[index] & self.has_expected:
                continue
            interaction = line.interactions[index]
            value = tie.key(interaction)
            if value is not None:
                same = tuple([read(interaction) for read in self.same])
                groups.setdefault((value, same), []).append(index)
        chains: list[tuple[str, list[int]]] = []
        for members in groups.values():
            places = [(line.at[index], not line.marks[index] & self.has_expected, index) for index in members]
            places.sort()
            name = worded(tie.name, tie.key(line.interactions[members[0]]))
            for part in parted([index for _, _, index in places], line.at, self.within):
                chain = self._from_first(line, part)
                if chain:
                    chains.append((name, chain))
        return chains

    def _from_first(self, line: Line, chain: list[int]) -> list[int]:
        """A chain from a horizon before its first expected amount on; nothing if there is none."""
        for place, index in enumerate(chain):
            if line.marks[index] & self.has_expected:
                if not place:
                    return chain
                since = line.at[index] - line.horizon
                return [one for one in chain[:place] if line.at[one] >= since] + chain[place:]
        return []

    def _priced(self, line: Line, chain: Sequence[int]) -> list[int]:
        """What must be held of amounts that are compared one by one."""
        prices = [index for index in chain if line.marks[index] & self.has_expected]
        times = [line.at[index] for index in prices]
        above: list[Charge] = []
        refunds: list[int] = []
        for index in chain:
            if line.marks[index] & self.has_actual:
                amount = self._actual(line, index)
                basis = prices[max(0, bisect_right(times, line.at[index]) - 1)]
                if amount < 0:
                    refunds.append(index)
                elif amount - self._expected(line, basis) > self.tolerance:
                    above.append(Charge(index, max(line.at[index], line.at[basis]) + line.horizon))
        since = line.at[-1] - self.lookback
        return to_hold(chain, prices, above, refunds, line.at, since, line.horizon, self.within)

    def _each(self, line: Line, name: str, chain: Sequence[int], compared: set[int]) -> Iterator[Draft]:
        expected = [index for index in chain if line.marks[index] & self.has_expected]
        actual = [index for index in chain if line.marks[index] & self.has_actual]
        if not expected or not actual:
            return
        times = [line.at[index] for index in expected]
        amounts = [(index, self._actual(line, index)) for index in actual]
        refunds: list[list[Any]] = [[index, -amount] for index, amount in amounts if amount < 0]
        for index, amount in amounts:
            basis = expected[max(0, bisect_right(times, line.at[index]) - 1)]
            if line.at[basis] > line.at[index] + line.horizon:
                continue
            compared.add(index)
            wanted = self._expected(line, basis)
            excess = amount - wanted
            if excess <= self.tolerance or amount <= 0:
                continue
            raised_at = max(line.at[index], line.at[basis])
            used, resolved_at = self._take_back(line, refunds, index, excess - self.tolerance, raised_at)
            if resolved_at is not None and resolved_at <= raised_at:
                continue
            yield Draft(
                index,
                sorted({basis, index, *used}),
                (index,),
                raised_at,
                raised_at,
                self._severity(wanted, excess),
                resolved_at,
                line.keys[index],
                facts=partial(self._told, line, index, name, wanted, amount, excess),
            )

    def _take_back(
        self, line: Line, refunds: list[list[Any]], charge: int, excess: Decimal, raised_at: Micros
    ) -> tuple[list[int], Micros | None]:
        """Use refunds later than a charge, oldest first, until its excess is gone."""
        used: list[int] = []
        for refund in refunds:
            index, left = refund
            if line.at[index] <= line.at[charge] or not left or line.at[index] > raised_at + line.horizon:
                continue
            taken = min(left, excess)
            refund[1] = left - taken
            excess -= taken
            used.append(index)
            if excess <= 0:
                return used, line.at[index]
        return used, None

    def _sum(
        self, line: Line, name: str, chain: Sequence[int], compared: set[int], earlier: Sequence[Tie]
    ) -> Iterator[Draft]:
        entries = [self._entry(line, index, compared, earlier) for index in chain]
        least = min([one.expected for one in entries if one.expected is not None])
        charged = sum([one.actual for one in entries if one.actual is not None and one.actual > 0])
        if charged <= least + self.tolerance:
            return
        for above in sums_above(entries, self.tolerance, line.horizon, self._severity):
            anchor, opener, righted = above.anchor, entries[above.opened].which, above.righted
            yield Draft(
                anchor,
                sorted({*above.evidence} if righted is None else {*above.evidence, righted}),
                fewest_to_go(entries, above, self.tolerance, line.horizon),
                above.raised_at,
                above.raised_at,
                above.severity,
                None if righted is None else line.at[righted],
                line.keys[anchor],
                "" if opener == anchor else "\x1f".join(line.identity(opener)),
                partial(self._told, line, anchor, name, above.wanted, above.total, above.excess),
            )

    def _entry(self, line: Line, index: int, compared: set[int], earlier: Sequence[Tie]) -> Entry:
        mark = line.marks[index]
        return Entry(
            index,
            line.at[index],
            self._expected(line, index) if mark & self.has_expected else None,
            self._actual(line, index) if mark & self.has_actual and index not in compared else None,
            tuple([tie.key(line.interactions[index]) for tie in earlier]),
        )

    def _severity(self, wanted: Decimal, excess: Decimal) -> Severity:
        limit = self.from_excess
        if limit is not None and (excess * 100 >= abs(wanted) * limit.percent or excess >= limit.units):
            return limit.severity
        return self.severity

    def _told(
        self, line: Line, index: int, name: str, expected: Decimal, actual: Decimal, excess: Decimal
    ) -> dict[str, str]:
        same = (read(line.interactions[index]) for read in self.same)
        return {
            "key": name,
            "expected": f"{expected:f}",
            "actual": f"{actual:f}",
            "excess": f"{excess:f}",
            "unit": " ".join(str(value) for value in same if value is not None),
        }

    def _expected(self, line: Line, index: int) -> Decimal:
        return _decimal(self.expected(line.interactions[index]))

    def _actual(self, line: Line, index: int) -> Decimal:
        return _decimal(self.actual(line.interactions[index]))


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
