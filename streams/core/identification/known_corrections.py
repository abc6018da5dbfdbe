"""The corrections that one worker knows: the highest revision of each interaction that was told again."""

from collections import deque

from schemas.corrections import Correction
from schemas.interaction import Micros

Identity = tuple[str, str]


class KnownCorrections:
    """Corrections by identity, for as long as the log keeps them."""

    def __init__(self, kept: Micros) -> None:
        """`kept`: after how long by the log's own clock a correction is forgotten."""
        self._kept = kept
        self._latest: dict[Identity, tuple[Correction, int]] = {}
        self._order: deque[tuple[int, Micros, Identity]] = deque()

    def __len__(self) -> int:
        return len(self._latest)

    def get(self, key: Identity) -> Correction | None:
        """The correction of an interaction with the highest revision."""
        known = self._latest.get(key)
        return known[0] if known is not None else None

    def note(self, correction: Correction, offset: int, written_at: Micros) -> None:
        """Take a record of the log; offsets rise. A lower or equal revision changes nothing."""
        key = correction.key
        known = self._latest.get(key)
        if known is None or correction.revision > known[0].revision:
            self._latest[key] = correction, offset
            self._order.append((offset, written_at, key))
        while self._order and self._order[0][1] < written_at - self._kept:
            noted, _, outdated = self._order.popleft()
            latest = self._latest.get(outdated)
            if latest is not None and latest[1] == noted:
                del self._latest[outdated]

    def drop(self, key: Identity) -> None:
        """Forget what is known of an interaction."""
        self._latest.pop(key, None)

    def since(self, position: int) -> list[Identity]:
        """The interactions that were corrected at that position of the log or later."""
        found: dict[Identity, None] = {}
        for offset, _, key in reversed(self._order):
            if offset < position:
                break
            found[key] = None
        return list(found)
