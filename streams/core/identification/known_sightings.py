"""Of whom each interaction was told first, as one worker knows it, in ten bytes each."""

from typing import Final

from schemas.sightings import MARK_BYTES, SIGHTING_BYTES

GENERATION: Final = 3_000_000
"""So many sightings are in one generation; the latest two are kept, 80 MB."""

_RUNS: Final = 65_536
_ENTRY: Final = 10
_REST: Final = 6


class KnownSightings:
    """Sightings (`schemas.sightings`) in the order of the log: of one identity, the first counts.

    They lie in 65,536 runs of bytes that the mark's first two bytes choose; an entry is the rest of the sighting.
    """

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._before: list[bytearray] | None = None
        self._now: list[bytearray] = [bytearray() for _ in range(_RUNS)]
        self._size = 0
        self.contested = 0
        """How many came after one of the same identity that names otherwise."""

    def first(self, sighting: bytes) -> bytes | None:
        """The sighting of the same identity that came first, perhaps this very one; None when none is known."""
        number = (sighting[0] << 8) | sighting[1]
        mark = sighting[2:MARK_BYTES]
        for runs in (self._before, self._now):
            if runs is None:
                continue
            run = runs[number]
            at = run.find(mark)
            while at >= 0:
                if at % _ENTRY == 0:
                    return sighting[:MARK_BYTES] + bytes(run[at + _REST : at + _ENTRY])
                at = run.find(mark, at + 1)
        return None

    def note(self, sighting: bytes) -> None:
        """Take a sighting of the log."""
        first = self.first(sighting)
        if first is not None:
            if first != sighting:
                self.contested += 1
            return
        if self._size >= self._generation:
            self._before = self._now
            self._now = [bytearray() for _ in range(_RUNS)]
            self._size = 0
        self._now[(sighting[0] << 8) | sighting[1]] += sighting[2:SIGHTING_BYTES]
        self._size += 1

    def __len__(self) -> int:
        """How many are known."""
        return self._size + (self._generation if self._before is not None else 0)
