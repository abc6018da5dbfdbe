"""What the log of links has changed lately, by position: for those who have looked at an earlier one."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from schemas.links import Name
from schemas.records import IdentityChange

REMEMBERED: Final = 200_000
"""Names in all entries together; beyond that the oldest are forgotten."""


class Entry(NamedTuple):
    """What one piece of the log changed. `holders` of None: any customer may be concerned."""

    position: int
    holders: frozenset[Name] | None
    changes: Sequence[IdentityChange]
    named: Collection[Name]

    @property
    def size(self) -> int:
        """How many names it remembers."""
        return len(self.holders or ()) + len(self.changes) + len(self.named)


class Chronicle:
    """Entries in the order of the log, as many as `limit` names allow."""

    def __init__(self, begin: int, limit: int = REMEMBERED) -> None:
        """`begin`: the position from which on everything will be noted."""
        self.begin = begin
        """What is asked about an earlier position can only be answered with "anything"."""
        self._limit = limit
        self._entries: deque[Entry] = deque()
        self._size = 0

    def note(self, entry: Entry) -> None:
        """Remember what the log changed up to `entry.position`; positions never fall."""
        self._entries.append(entry)
        self._size += entry.size
        while self._size > self._limit and len(self._entries) > 1:
            oldest = self._entries.popleft()
            self._size -= oldest.size
            self.begin = oldest.position

    def touched_since(self, position: int) -> frozenset[Name] | None:
        """Customers whose timelines may hold what belongs elsewhere now; None: any customer's."""
        if position < self.begin:
            return None
        found: set[Name] = set()
        for entry in self._after(position):
            if entry.holders is None:
                return None
            found |= entry.holders
        return frozenset(found)

    def changes_since(self, position: int) -> Mapping[Name, IdentityChange]:
        """Who changed hands, from where at that position to where now, by what decided last.

        Of one who came back to where it was the last step is told. Incomplete before `begin`.
        """
        found: dict[Name, IdentityChange] = {}
        for entry in reversed(list(self._after(position))):
            for change in reversed(entry.changes):
                later = found.get(change.identifier)
                if later is None:
                    found[change.identifier] = change
                elif change.before != later.after:
                    found[change.identifier] = later._replace(before=change.before)
        return found

    def named_since(self, position: int) -> set[Name]:
        """Identifiers that were linked for the first time, that changed hands, or of which something was told."""
        return {name for entry in self._after(position) for name in entry.named}

    def _after(self, position: int) -> Iterator[Entry]:
        entries: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.position <= position:
                break
            entries.append(entry)
        return reversed(entries)
