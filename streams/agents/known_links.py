"""The log of links as one worker has read it: the index, the position, and what changed lately."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from schemas.links import Link, Name, Record, decode_record, encode_record, forgotten, record_key
from schemas.records import IdentityChange
from streams.core.identification.attribution import attributed
from streams.core.identification.chronicle import Chronicle, Entry
from streams.core.identification.index import Changes, IdentityIndex
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy

log = logging.getLogger(__name__)

Entries = Sequence[tuple[bytes | None, bytes | None]]
"""Keys and values of records in the order of the log; without a value, what the key names is forgotten."""

OWN_REMEMBERED: Final = 20_000
"""Records of one's own that are looked for in the log."""


class KnownLinks:
    """Read with `load` once and `take` from there on."""

    def __init__(self, policy: IdentityPolicy = DEFAULT_POLICY) -> None:
        self.index = IdentityIndex(policy)
        self.seen = 0
        """The position: the offset after the last record read."""
        self.chronicle = Chronicle(0)
        self._own: dict[bytes, bytes] = {}
        self._incomplete: dict[bytes, bytes] = {}

    def load(self, entries: Entries, position: int) -> None:
        """Read the log from its beginning up to a position, at once."""
        # Of a key that was ever forgotten, what was said before its last tombstone is gone.
        gone = {key: nth for nth, (key, value) in enumerate(entries) if value is None}
        standing = (
            value
            for nth, (key, value) in enumerate(entries)
            if value is not None and (key not in gone or nth > gone[key])
        )
        self.index.load(record for value in standing if (record := _decoded(value)) is not None)
        self.seen = position
        self.chronicle = Chronicle(position)

    def take(self, entries: Entries, position: int) -> None:
        """Read on, up to a position; all of it becomes known at once."""
        links: list[Record] = []
        for key, value in entries:
            if value is None:
                self._take_together(links, position)
                links = []
                self._forget(key or b"", position)
                continue
            record = _decoded(value)
            if isinstance(record, Link):
                links.append(record)
            elif record is not None:
                # On its own, so that what changes by it is known to be its doing.
                self._take_together(links, position)
                links = []
                self._take_together([record], position)
        self._take_together(links, position)
        self.seen = position
        if self._own:
            self._compare(entries)

    def expect(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Note records of one's own (key and value) before they are written: see `incomplete`."""
        self._own.update(items)
        surplus = len(self._own) - OWN_REMEMBERED
        if surplus > 0:
            for key in list(islice(self._own, surplus)):
                del self._own[key]

    def incomplete(self) -> list[tuple[bytes, bytes]]:
        """Records to write once more, whole: each time it is asked, those that it did not give before.

        Two workers that learn of one pair at the same time overwrite each other's record, and compaction keeps the last
        one. So who reads a record of its own that says less than is known writes everything.
        """
        items = list(self._incomplete.items())
        self._incomplete = {}
        return items

    def _take_together(self, records: list[Record], position: int) -> None:
        if not records:
            return
        index = self.index
        fresh = {name for record in records for name in _names(record, index)}
        self._note(index.apply(records), records, fresh, position)

    def _forget(self, key: bytes, position: int) -> None:
        self._own.pop(key, None)
        self._incomplete.pop(key, None)
        try:
            what = forgotten(key)
        except ValueError as error:
            log.warning("a record of the log of links is skipped: %s", error)
            return
        names: set[Name] = set()
        if len(what) == 2:
            names.update(what)
            changes = self.index.forget([what])
        else:
            changes = self.index.forget((), [(what[0], what[1])])
        self._note(changes, (), names, position)

    def _note(self, changes: Changes, records: Sequence[Record], named: set[Name], position: int) -> None:
        if not changes and not named:
            return
        holders = self.index.holders(changes)
        told: list[IdentityChange] = list(attributed(changes, records))
        named.update(changes)
        self.chronicle.note(Entry(position, None if holders is None else frozenset(holders), told, named))

    def _compare(self, entries: Entries) -> None:
        own = self._own
        for key, value in entries:
            if key is not None and value is not None and own.get(key) == value:
                record = _decoded(value)
                whole = self.index.lacks(record) if record is not None else None
                if whole is not None:
                    self._incomplete[record_key(whole)] = encode_record(whole)


def _names(record: Record, index: IdentityIndex) -> list[Name]:
    """The names of which a record tells something that shows: new ones of a link, all of a statement."""
    if isinstance(record, Link):
        return [name for name in (record.a, record.b) if name not in index]
    return list(record.identifiers)


def _decoded(value: bytes) -> Record | None:
    try:
        return decode_record(value)
    except msgspec.DecodeError as error:
        log.warning("a foreign record of the log of links is skipped: %s", error)
        return None
