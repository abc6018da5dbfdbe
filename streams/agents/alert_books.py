"""One partition's alert books in one generation of the group, and the rows that are owed with them.

The rows of a step stand in the changelog in front of the books that it changes until they are written (docs/adr/0007).
`alerts_raw` shows of a row's key the one with the latest instant: so each step's rows are given a later one than all
before them had, and may be written in any order, and again by whoever takes the partition over.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from schemas.alerts import AlertRow
from schemas.interaction import Micros
from streams.agents.agenda import Agenda
from streams.agents.lanes import Batch
from streams.agents.owed import OWED_KEYS, Debts
from streams.core.alerting.book import FLOOD_PREFIX, Book, encode_book, head_of
from streams.kafka.store import State

LATEST_KEY: Final = b"\x00latest"
"""Where the latest instant of any row is stored: the next owner's clock may be behind."""

LARGEST_DEBT: Final = 256 * 1024
"""Bytes: a step that would owe more writes its rows first. A record must fit into a producer's batch."""


class OwedRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one step owes, as it is stored."""

    rows: tuple[AlertRow, ...]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(OwedRows).decode
_decode_instant: Final = msgspec.msgpack.Decoder(int).decode
_NO_BOOKS: Final = frozenset((*OWED_KEYS, LATEST_KEY))


def encode_owed(rows: Sequence[AlertRow]) -> bytes:
    """Rows that a step owes, for the changelog."""
    return _encode(OwedRows(tuple(rows)))


def encode_latest(rows: Sequence[AlertRow]) -> bytes:
    """The latest instant of rows, for the changelog."""
    return _encode(max(row.at for row in rows))


def decode_owed(stored: bytes) -> tuple[AlertRow, ...]:
    """The inverse; raises `msgspec.DecodeError` on foreign bytes."""
    return _decode(stored).rows


class PartitionBooks:
    """Books, agenda and debts. `lock` is held by whoever changes them.

    A step that fails leaves it unusable; that only happens when the partition is fenced, and then the next generation
    builds it anew.
    """

    def __init__(self, lease: Batch, stored: State) -> None:
        """`stored`: the live table of the partition. Raises `msgspec.DecodeError` on foreign bytes in it."""
        self.lease = lease
        self.stored = stored
        heads = [(key, head_of(stored[key])) for key in self.keys()]
        self.agenda = Agenda((head.due, key) for key, head in heads if head.due is not None)
        self.waiting = [key for key, head in heads if head.waiting]
        self.lock = asyncio.Lock()
        self.inherited = {key: decode_owed(stored[key]) for key in OWED_KEYS if key in stored}
        """What an owner before may not have written, by the key under which it stands."""
        self.debts = Debts(self.inherited)
        self._owed: dict[bytes, tuple[AlertRow, ...]] = {}
        for key, rows in self.inherited.items():
            self.debts.inherit(key, 0, ())
            self._owed[key] = rows
        self._latest: Micros = _decode_instant(stored[LATEST_KEY]) if LATEST_KEY in stored else 0

    @property
    def number(self) -> int:
        """The partition's."""
        return int(self.lease.tp.partition)

    def is_of(self, lease: Batch) -> bool:
        """Whether it belongs to the lease's generation."""
        mine = self.lease
        return (mine.generation, mine.rebalances) == (lease.generation, lease.rebalances)

    def keys(self) -> list[bytes]:
        """The keys of the books."""
        return [key for key in self.stored if key not in _NO_BOOKS]

    def guards(self) -> list[bytes]:
        """The keys of the books that are guards of floods."""
        return [key for key in self.stored if key.startswith(FLOOD_PREFIX)]

    def replace(self, key: bytes, book: Book) -> None:
        """A book as whoever takes the partition over finds it; the next one to take it over would find the same."""
        encoded = encode_book(book)
        assert encoded is not None, "something stands in it"
        self.stored[key] = encoded
        self.agenda.put(key, book.due)

    def dated(self, rows: Iterable[AlertRow]) -> tuple[AlertRow, ...]:
        """A step's rows, later than those of every step before: also where clocks were turned back, or stand still."""
        first = self._latest + 1
        found = tuple(row if row.at >= first else row._replace(at=first) for row in rows)
        self._latest = max((row.at for row in found), default=self._latest)
        return found

    def owe(self, rows: tuple[AlertRow, ...]) -> tuple[bytes, bytes]:
        """Owe a step's rows: what is to be stored, under which key. There must be room (`Debts.room`)."""
        key = self.debts.open(0, ())  # in which order rows are written is all the same
        self._owed[key] = rows
        return key, encode_owed(rows)

    def owe_with_others(self, rows: tuple[AlertRow, ...]) -> tuple[bytes, bytes] | None:
        """Owe a step's rows together with what is owed already; None when nothing is, or it would be too much."""
        key = self.debts.newest
        if key is None:
            return None
        together = (*self._owed[key], *rows)
        debt = encode_owed(together)
        if len(debt) > LARGEST_DEBT:
            return None
        self.debts.share(key)
        self._owed[key] = together
        return key, debt

    def store(self, changes: dict[bytes, bytes | None]) -> None:
        """What is in the changelog now."""
        for key, value in changes.items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        self.debts.stored(changes)
