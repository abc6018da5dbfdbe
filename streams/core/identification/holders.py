"""Which timeline of a partition holds an interaction, by its identity: found without opening any timeline.

A correction says that `(source, id)` exists in a higher revision; the partition that holds a lower one must find it
among millions. An entry takes six bytes: two of the identity's mark and the number of the key, in one of 65,536 runs of
bytes that the mark's other two bytes choose. An answer may be wrong (marks collide, and what has left a timeline stays
here until the next rebuild), so that a timeline that is named must be looked into.
"""

from typing import Final

from streams.core.state import identity_mark
from streams.core.timeline import Identity

_RUNS: Final = 65_536
_ENTRY: Final = 6
_MARK: Final = 4


class IdentityHolders:
    """Identities and the keys of the timelines that hold them."""

    def __init__(self) -> None:
        self._runs: list[bytearray] = [bytearray() for _ in range(_RUNS)]
        self._keys: list[bytes] = []
        self._numbers: dict[bytes, bytes] = {}
        self._entries = 0

    def __len__(self) -> int:
        """The number of entries, repeated and outdated ones among them."""
        return self._entries

    def add(self, key: bytes, marks: bytes) -> None:
        """Note that `key` holds interactions with these marks (`CustomerState.marks`)."""
        number = self._numbers.get(key)
        if number is None:
            number = len(self._keys).to_bytes(4, "big")
            self._numbers[key] = number
            self._keys.append(key)
        runs = self._runs
        for at in range(0, len(marks), _MARK):
            runs[(marks[at] << 8) | marks[at + 1]] += marks[at + 2 : at + _MARK] + number
        self._entries += len(marks) // _MARK

    def find(self, identity: Identity) -> set[bytes]:
        """The keys that may hold it."""
        mark = identity_mark(identity[0], identity[1])
        run = self._runs[(mark[0] << 8) | mark[1]]
        rest = mark[2:]
        return {
            self._keys[int.from_bytes(run[at + 2 : at + _ENTRY], "big")]
            for at in range(0, len(run), _ENTRY)
            if run[at : at + 2] == rest
        }
