"""What is owed when a state is in the changelog: rows that are not written yet, and findings that are not told yet.

A step stores what it owes in front of the states that it changes. Who finds that when a partition is taken over pays
it: writes the rows, and tells of the findings as far as the states know them. Of the rows only those are stored that
reading the step's records again would not bring again (`streams.core.repetition`), since those records are read again:
they are not acknowledged before the rows are written.

What rules find goes out (rows, alerts) once the state that knows it is in the changelog, never before: so nothing is
ever told that an owner who comes later does not know.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from schemas.findings import ERASED, FindingChange, Light
from schemas.interaction import Micros
from schemas.records import Coordinates, Journey, PlacedInteraction
from streams.core.batch import BatchResult
from streams.core.detection.light import LightPolicy, light_of
from streams.core.detection.remembered import NOTHING_REMEMBERED, Remembered, decode_remembered
from streams.core.state import decode_state

OWED_KEYS: Final = tuple(b"\x00owed%x" % number for number in range(64))
"""Where debts are stored: one step's under each. So many batches of a partition may wait for their rows: where ten a
second are decided and a group of rows takes two seconds, with sixteen alerts would wait for rows.
"""

MOST_ROWS: Final = 1_000
"""Rows that a debt has at the most (some 500 kB): a step with more to keep writes them before its states."""


class Debt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one step owes. `version` and `links_seen` are those of its rows (`SinkBatch`)."""

    version: int
    links_seen: int
    interactions: tuple[PlacedInteraction, ...] = ()
    journeys: tuple[Journey, ...] = ()
    retracted: tuple[tuple[str, str], ...] = ()
    superseded: tuple[Coordinates, ...] = ()
    changes: tuple[FindingChange, ...] = ()
    """Of findings, in the order in which they are told."""
    lit: tuple[str, ...] = ()
    """Customers whose lights are written anew."""


class Telling(NamedTuple):
    """What is to be told now."""

    changes: Sequence[FindingChange]
    lights: Sequence[Light]
    erasures: Sequence[str] = ()
    """Erasures, by id, whose withdrawals are among the changes."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Debt).decode


def dump_rows_and_findings(result: BatchResult, version: int, links_seen: int) -> bytes | None:
    """What to store of a step of which nothing is written. None: nothing, reading its records brings all again."""
    if not result.states or not (rows_to_keep(result) or result.changes or result.lights):
        return None
    return _encode(
        Debt(
            version,
            links_seen,
            tuple(result.unrepeated_interactions),
            tuple(result.unrepeated_journeys),
            tuple(result.retracted),
            tuple(result.superseded),
            tuple(result.changes),
            _customers(result.lights),
        )
    )


def dump_findings(result: BatchResult, version: int) -> bytes | None:
    """What a step owes whose rows are written; None: nothing."""
    if not result.changes and not result.lights:
        return None
    return _encode(Debt(version, 0, changes=tuple(result.changes), lit=_customers(result.lights)))


def rows_to_keep(result: BatchResult) -> int:
    """How many rows a debt has to have."""
    kept = len(result.unrepeated_interactions) + len(result.unrepeated_journeys)
    return kept + len(result.retracted) + len(result.superseded)


def stored_debts(stored: Mapping[bytes, bytes]) -> list[Debt]:
    """The debts of an owner before, in their order. Raises `msgspec.DecodeError` on foreign bytes."""
    found = [_decode(stored[key]) for key in OWED_KEYS if key in stored]
    return sorted(found, key=lambda debt: debt.version)


def tell_again(debt: Debt, timelines: Mapping[bytes, bytes], now: Micros, policy: LightPolicy) -> Telling:
    """Of what was about to be told, what the states know; the lights as they are by now.

    A state that did not get into the changelog says less than the change of it; then the records that led to it are
    read again, and what they change is told as new. Raises `msgspec.DecodeError` on foreign bytes.
    """
    customers = dict.fromkeys((*(change.finding.customer for change in debt.changes), *debt.lit))
    remembered = {customer: _remembered(timelines.get(customer.encode())) for customer in customers}
    changes = [change for change in debt.changes if _is_known(change, remembered[change.finding.customer])]
    lights = [light_of(customer, known.known, now, policy) for customer, known in remembered.items()]
    return Telling(changes, lights)


class Debts:
    """What one partition owes, in one generation. `room` first, then `open`, then `pay` with the task that does it."""

    def __init__(self, stored: Iterable[bytes]) -> None:
        """`stored`: the keys under which debts stand in the changelog, paid by now."""
        self._stored = set(stored)
        self._free = [*reversed(OWED_KEYS)]
        self._open: dict[bytes, _Open] = {}

    async def room(self) -> None:
        """Return when another debt may be made. Raises what a task raises that pays."""
        while not self._free:
            await self._first_paid()

    async def all_paid(self) -> None:
        """Return when nothing is owed any more. Raises what a task raises that pays."""
        while self._open:
            await self._first_paid()

    def comes_before(self, version: int, left: Collection[bytes]) -> bool:
        """Whether something is owed that must be written before a step of that version: rows that count as much as its
        own, or of a customer off whose timeline it takes something (`left`), so that they could not come again.
        """
        return any(
            debt.version >= version or not debt.customers.isdisjoint(left) for debt in self._open.values()
        )

    @property
    def is_full(self) -> bool:
        """Whether another debt has to wait until one is paid."""
        return not self._free

    def open(self, version: int, customers: Iterable[bytes]) -> bytes:
        """The key for another debt, whose rows are those of these customers."""
        key = self._free.pop()
        self._open[key] = _Open(version, frozenset(customers))
        return key

    @property
    def newest(self) -> bytes | None:
        """The key of the debt that was opened last; None when nothing is owed."""
        return next(reversed(self._open), None)

    def share(self, key: bytes) -> None:
        """Another step is owed under this key: `pay` follows once more, and it is paid when all of it is."""
        self._open[key].unpaid += 1

    def inherit(self, key: bytes, version: int, customers: Iterable[bytes]) -> None:
        """What an owner before left under this key is owed from now on. Before anything is opened."""
        self._free.remove(key)
        self._open[key] = _Open(version, frozenset(customers))

    def pay(self, key: bytes, task: "asyncio.Task[None]") -> None:
        """Once the task ends well, it is not owed any more."""
        self._open[key].tasks.append(task)
        task.add_done_callback(lambda done: self._paid(key, done))

    def settle(self, key: bytes) -> None:
        """It is paid."""
        del self._open[key]
        self._free.append(key)

    def stands_at(self, key: bytes) -> bool:
        """Whether a debt, paid or not, stands in the changelog under this key."""
        return key in self._stored

    @property
    def stale(self) -> list[bytes]:
        """Keys under which debts stand in the changelog that are paid."""
        return [key for key in self._stored if key not in self._open]

    def stored(self, changes: Mapping[bytes, bytes | None]) -> None:
        """These changes are in the changelog."""
        for key in OWED_KEYS:
            if key in changes:
                if changes[key] is None:
                    self._stored.discard(key)
                else:
                    self._stored.add(key)

    def _paid(self, key: bytes, done: "asyncio.Task[None]") -> None:
        if done.cancelled() or done.exception() is not None:
            return
        debt = self._open[key]
        debt.tasks.remove(done)
        debt.unpaid -= 1
        if not debt.unpaid:
            self.settle(key)

    async def _first_paid(self) -> None:
        tasks = [task for debt in self._open.values() for task in debt.tasks]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        await asyncio.sleep(0)  # for what is to be done when one is done


class _Open:
    """A debt: of which version, whose rows, how many steps' that are not paid, and what pays these."""

    def __init__(self, version: int, customers: frozenset[bytes]) -> None:
        self.version, self.customers = version, customers
        self.unpaid = 1
        self.tasks: list[asyncio.Task[None]] = []


def _customers(lights: Sequence[Light]) -> tuple[str, ...]:
    return tuple([light.customer for light in lights])


def _is_known(change: FindingChange, remembered: Remembered) -> bool:
    """Whether the state knows a change; that a finding was erased shows in that it does not know the finding."""
    finding_id = change.finding.finding_id
    if change.reason == ERASED:
        return all(finding.finding_id != finding_id for finding in remembered.known)
    return remembered.sequences.get(finding_id, 0) >= change.sequence


def _remembered(state: bytes | None) -> Remembered:
    return decode_remembered(decode_state(state).detection) if state is not None else NOTHING_REMEMBERED
