"""More than was agreed: amounts that differ across channels, in either order of arrival."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal, NamedTuple

from schemas.findings import SEVERITIES, Finding, Severity
from schemas.interaction import Interaction, Micros
from streams.core.detection.draft import NOTHING, Draft, Expectation, Seen, changeable_for
from streams.core.detection.line import Line

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


class _Standing(NamedTuple):
    """A sum that is above, with its worst so far."""

    raised_at: Micros
    anchor: int
    opener: int
    severity: Severity
    wanted: Decimal
    total: Decimal
    excess: Decimal
    evidence: tuple[int, ...]
    charges: tuple[int, ...]


class _Sums:
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

    def expect(self, index: int, amount: Decimal, named: tuple[Any, ...]) -> None:
        if any(name is not None for name in named):
            self._named = amount, index
            self._names.add(named)
        else:
            self._total = amount, index

    def add(self, index: int, amount: Decimal, named: tuple[Any, ...]) -> None:
        self._all.append((index, amount))
        if all(name is None for name in named):
            self._nameless.append((index, amount))

    def wanted(self) -> tuple[Decimal | None, int]:
        """The amount expected by now, and who said so."""
        if self._total is not None:
            return self._total
        return self._named if self._named is not None and len(self._names) == 1 else (None, -1)

    def actual(self) -> tuple[Decimal, list[int], int | None]:
        """What may be compared with it: the sum, its parts, the last part that is no refund."""
        parts = self._all if self._total is not None else self._nameless
        charges = [index for index, amount in parts if amount > 0]
        return (
            sum((amount for _, amount in parts), Decimal(0)),
            [index for index, _ in parts],
            charges[-1] if charges else None,
        )


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An actual amount above the expected one by more than `tolerance`.

    Amounts of one key, equal in the fields of `same`, with no silence longer than `within` between them, belong
    together. `each` compares every actual amount with the latest expected one at or before it, or with the first
    after it (within a horizon) if there is none. `sum` compares, as time goes by, the sum of the actual amounts with
    the latest expected one. A tie is used for what no earlier tie could compare. Negative actual amounts are
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
        priced = line.having(self.has_expected | self.has_actual)
        if not priced:
            return NOTHING
        holds = line.asks_for(priced[0])
        if not holds and not (line.union & self.has_expected and line.union & self.has_actual):
            return NOTHING
        drafts: list[Draft] = []
        expects: list[Expectation] = []
        compared: set[int] = set()
        comparable = len([index for index in priced if line.marks[index] & self.has_actual])
        for order, tie in enumerate(self.ties):
            if len(compared) == comparable and not holds:
                break
            for name, chain in self._chains(line, priced, tie):
                if self._can_differ(line, chain, compared):
                    if tie.compare == "each":
                        drafts.extend(self._each(line, name, chain, compared))
                    else:
                        drafts.extend(self._sum(line, name, chain, compared, self.ties[:order]))
                if holds:
                    until = line.at[chain[-1]] + self.within + changeable_for(line.horizon)
                    expects.extend(
                        Expectation(line.identity(index), until)
                        for index in chain
                        if until > line.at[index] + self.lookback and line.asks_for(index)
                    )
        return Seen(drafts, None, expects)

    def _can_differ(self, line: Line, chain: Sequence[int], compared: set[int]) -> bool:
        """Whether a chain has an expected amount, and an actual one that was not compared yet."""
        union = 0
        for index in chain:
            mark = line.marks[index]
            union |= mark & ~self.has_actual if index in compared else mark
        return bool(union & self.has_expected and union & self.has_actual)

    def _chains(self, line: Line, priced: Sequence[int], tie: Tie) -> list[tuple[str, list[int]]]:
        """The amounts that belong together, in order of time; at one instant what is expected comes first."""
        groups: dict[tuple[Hashable, tuple[Any, ...]], list[int]] = {}
        for index in priced:
            interaction = line.interactions[index]
            value = tie.key(interaction)
            if value is not None:
                same = tuple([read(interaction) for read in self.same])
                groups.setdefault((value, same), []).append(index)
        chains: list[tuple[str, list[int]]] = []
        for members in groups.values():
            places = [(line.at[index], not line.marks[index] & self.has_expected, index) for index in members]
            places.sort()
            indices = [index for _, _, index in places]
            name = str(tie.key(line.interactions[indices[0]]))
            chain = indices[:1]
            for index in indices[1:]:
                if line.at[index] - line.at[chain[-1]] > self.within:
                    chains.append((name, chain))
                    chain = []
                chain.append(index)
            chains.append((name, chain))
        return chains

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
        sums = _Sums()
        standing: _Standing | None = None
        stale = False  # still above from a finding that is settled: only a further charge makes a new one
        for index in chain:
            at, mark = line.at[index], line.marks[index]
            named = tuple(tie.key(line.interactions[index]) for tie in earlier)
            if standing is not None and at > standing.raised_at + line.horizon:
                yield self._summed(line, name, standing, None)
                standing, stale = None, True
            if mark & self.has_expected:
                sums.expect(index, self._expected(line, index), named)
            amount = Decimal(0)
            if mark & self.has_actual and index not in compared:
                amount = self._actual(line, index)
                sums.add(index, amount, named)
            wanted, basis = sums.wanted()
            total, counted, last_charge = sums.actual()
            if wanted is None or last_charge is None:
                continue
            excess = total - wanted
            if excess <= self.tolerance:
                if standing is not None and at > standing.raised_at:
                    yield self._summed(line, name, standing, index)
                standing, stale = None, False
                continue
            severity = self._severity(wanted, excess)
            if standing is None:
                if stale and amount <= 0:
                    continue
                standing = _Standing(at, last_charge, index, severity, wanted, total, excess, (), ())
            elif excess > standing.excess:
                severity = max(severity, standing.severity, key=SEVERITIES.index)
                standing = standing._replace(severity=severity, wanted=wanted, total=total, excess=excess)
            standing = standing._replace(
                evidence=tuple(dict.fromkeys((*standing.evidence, basis, *counted))), charges=tuple(counted)
            )
        if standing is not None:
            yield self._summed(line, name, standing, None)

    def _summed(self, line: Line, name: str, standing: "_Standing", righted: int | None) -> Draft:
        anchor, opener = standing.anchor, standing.opener
        evidence = {*standing.evidence} if righted is None else {*standing.evidence, righted}
        return Draft(
            anchor,
            sorted(evidence),
            self._fewest(line, standing.charges, standing.excess),
            standing.raised_at,
            standing.raised_at,
            standing.severity,
            None if righted is None else line.at[righted],
            line.keys[anchor],
            "" if opener == anchor else "\x1f".join(line.identity(opener)),
            partial(self._told, line, anchor, name, standing.wanted, standing.total, standing.excess),
        )

    def _fewest(self, line: Line, charges: Sequence[int], excess: Decimal) -> list[int]:
        """The fewest charges, greatest first, without which the sum would not be above."""
        found: list[int] = []
        for index in sorted(charges, key=lambda one: (-self._actual(line, one), one)):
            if excess <= self.tolerance:
                break
            excess -= self._actual(line, index)
            found.append(index)
        return sorted(found)

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
