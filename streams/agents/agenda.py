"""Who is due when: the customers whose outcome changes by the passing of time alone."""

import heapq
from collections.abc import Iterable

from schemas.interaction import Micros


class Agenda:
    """A priority queue of (due, key) in which a key has one due time, the last put.

    An outdated entry stays in the heap until it surfaces; when those outnumber the living, the heap is rebuilt,
    so memory is bounded by the keys.
    """

    def __init__(self, entries: Iterable[tuple[Micros, bytes]] = ()) -> None:
        self._due: dict[bytes, Micros] = {key: due for due, key in entries}
        self._rebuild()

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: bytes, due: Micros | None) -> None:
        """Set when `key` is due; None takes it off."""
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            if len(self._heap) > 2 * len(self._due) + 1_000:
                self._rebuild()

    def take(self, now: Micros, limit: int) -> list[bytes]:
        """Remove and return the keys due at or before `now`, earliest first, at most `limit`."""
        taken: list[bytes] = []
        while self._heap and len(taken) < limit and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                taken.append(key)
        return taken

    def _rebuild(self) -> None:
        self._heap = [(due, key) for key, due in self._due.items()]
        heapq.heapify(self._heap)
