"""The table store: one dictionary a partition, filled in batches, purged when a partition goes away.

Faust's memory store keeps all partitions in one dictionary and forgets a lost partition's keys only if they came
from its changelog. Here a partition is a dictionary of its own, so that losing it is dropping it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from faust.stores.base import Store
from faust.types import TP, EventT

State = dict[bytes, bytes]


class TimelineStore(Store):  # type: ignore[misc]
    """State by partition: `store.partition(3)[key]` is a customer's encoded timeline.

    Batches of changelog records arrive as the micro-batch transport delivers them (the event's value is the list
    of records); a record without a value deletes.
    """

    def __post_init__(self) -> None:
        self._partitions: dict[int, State] = {}

    def partition(self, number: int) -> State:
        """The live state of a partition; it may be read and changed by the partition's one writer."""
        return self._partitions.setdefault(number, {})

    def owned(self) -> list[int]:
        """The partitions that hold state here."""
        return sorted(self._partitions)

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT],
        to_key: Callable[[Any], Any],  # noqa: ARG002  Faust's signature
        to_value: Callable[[Any], Any],  # noqa: ARG002
    ) -> None:
        """Apply recovered changes, in order."""
        for event in batch:
            for record in event.message.value:
                state = self.partition(record.partition)
                if record.value is None:
                    state.pop(record.key, None)
                else:
                    state[record.key] = record.value

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what belongs to partitions that are no longer ours."""
        owned = {tp.partition for tp in active_tps | standby_tps}
        for number in [number for number in self._partitions if number not in owned]:
            del self._partitions[number]

    def persisted_offset(self, tp: TP) -> int | None:  # noqa: ARG002
        """Nothing is persisted locally: a new owner recovers from the changelog's beginning."""
        return None

    def reset_state(self) -> None:
        """Nothing is kept on disk."""

    async def backup_partition(
        self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1
    ) -> None:
        """Nothing is kept on disk."""

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing is kept on disk."""

    def _clear(self) -> None:
        self._partitions.clear()

    def __getitem__(self, key: bytes) -> bytes:
        for state in self._partitions.values():
            if key in state:
                return state[key]
        raise KeyError(key)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        raise TypeError("the timelines table is written batch by batch, through its partition")

    def __delitem__(self, key: bytes) -> None:
        raise TypeError("the timelines table is written batch by batch, through its partition")

    def __iter__(self) -> Iterator[bytes]:
        for state in self._partitions.values():
            yield from state

    def __len__(self) -> int:
        return sum(map(len, self._partitions.values()))
