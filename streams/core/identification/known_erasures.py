"""The erasures that one worker knows: who was forgotten, and which interactions are not to come back."""

from typing import NamedTuple, Protocol

import msgspec

from schemas.erasures import Erasure
from schemas.links import Name


class Hashes(Protocol):
    """How customers, interactions and facts stand in the log of erasures: 16 bytes (`Pseudonyms`)."""

    def erased_customer(self, name: Name, /) -> bytes: ...
    def erased_identity(self, source: str, id_: str, /) -> bytes: ...
    def erased_fact(self, source: str, id_: str, /) -> bytes: ...


class Forgotten(NamedTuple):
    """A complete erasure."""

    id: str
    customers: frozenset[bytes]
    links_seen: int
    """See `Erasure.links_seen`."""
    news: int
    """The position of the record that last named somebody, or something, for the first time."""


class KnownErasures:
    """Erasures by id. What their interactions take stays in memory: some 90 bytes each."""

    def __init__(self, hashes: Hashes) -> None:
        self._customer, self._identity, self._fact = (
            hashes.erased_customer,
            hashes.erased_identity,
            hashes.erased_fact,
        )
        self._gone: set[bytes] = set()
        self._parts: dict[str, dict[int, Erasure]] = {}
        self._news: dict[str, int] = {}
        self._complete: dict[str, tuple[int, Forgotten]] = {}

    def __len__(self) -> int:
        return len(self._complete)

    def note(self, erasure: Erasure, offset: int) -> None:
        """Take a record of the log; offsets rise. A part that comes again replaces the one before."""
        known, before = len(self._gone), self._parts.get(erasure.id, {})
        self._gone.update(erasure.interactions)
        named = {name for one in before.values() for name in one.customers}
        if not before or len(self._gone) > known or not named.issuperset(erasure.customers):
            self._news[erasure.id] = offset
        # The interactions are in the set: of a part only its customers have to be kept, and that it came.
        part = msgspec.structs.replace(erasure, interactions=())
        parts = self._parts[erasure.id] = {**before, part.part: part}
        alike = [
            one for one in parts.values() if (one.parts, one.links_seen) == (part.parts, part.links_seen)
        ]
        if len(alike) == part.parts:
            customers = frozenset(name for one in alike for name in one.customers)
            self._complete.pop(erasure.id, None)
            complete = Forgotten(erasure.id, customers, erasure.links_seen, self._news[erasure.id])
            self._complete[erasure.id] = offset, complete

    def is_erased(self, source: str, id_: str) -> bool:
        """Whether an interaction was erased: one hash."""
        return bool(self._gone) and self._identity(source, id_) in self._gone

    def is_erased_fact(self, source: str, id_: str) -> bool:
        """Whether a fact was erased."""
        return bool(self._gone) and self._fact(source, id_) in self._gone

    def is_of(self, customer: Name, erasures: frozenset[bytes]) -> bool:
        """Whether a customer is among hashes of customers."""
        return self._customer(customer) in erasures

    def get(self, id_: str) -> Forgotten | None:
        """An erasure that is complete."""
        found = self._complete.get(id_)
        return found[1] if found is not None else None

    def since(self, position: int) -> list[Forgotten]:
        """What became complete, once more perhaps, at that position of the log or later."""
        found: list[Forgotten] = []
        for offset, erasure in reversed(self._complete.values()):
            if offset < position:
                break
            found.append(erasure)
        return found[::-1]
