"""The partitions of the alerts topic that are this worker's, each with its books, in the present generation."""

from collections.abc import Callable, Iterator

from faust.types import TP, AppT

from streams.agents.alert_books import PartitionBooks
from streams.agents.lanes import Batch, Fenced
from streams.kafka.store import State

TakenOver = Callable[[PartitionBooks], None]
"""Called once for each partition and generation, before anybody else has its books."""


class AlertPartitions:
    """Books by partition. Those of an earlier generation are built anew from what is stored when they are asked for."""

    def __init__(self, app: AppT, topic: str, stored: Callable[[int], State], taken_over: TakenOver) -> None:
        self._app = app
        self._topic = topic
        self._stored = stored
        self._taken_over = taken_over
        self._partitions: dict[int, PartitionBooks] = {}

    def __iter__(self) -> Iterator[PartitionBooks]:
        """Those that were asked for, whether or not they are still ours."""
        return iter(list(self._partitions.values()))

    def at(self, number: int) -> PartitionBooks | None:
        """The books of a partition that is ours now; None: it is not, or not yet."""
        partition = self._partitions.get(number)
        return partition if partition is not None and _is_ours(partition) else None

    def of(self, batch: Batch) -> PartitionBooks:
        """The books of the batch's partition and generation."""
        number = batch.tp.partition
        partition = self._partitions.get(number)
        if partition is None or not partition.is_of(batch):
            lease = Batch(batch.app, batch.tp, batch.generation, batch.rebalances)
            partition = PartitionBooks(lease, self._stored(number))
            self._partitions[number] = partition
            self._taken_over(partition)
        return partition

    def assigned(self) -> Iterator[PartitionBooks]:
        """The books of all partitions that are ours now, one by one; those of others are let go of."""
        ours = sorted(tp for tp in self._app.consumer.assignment() if tp.topic == self._topic)
        for number in self._partitions.keys() - {tp.partition for tp in ours}:
            del self._partitions[number]
        for tp in ours:
            yield self.of(self._lease(tp))

    def numbers(self) -> frozenset[int]:
        """The partitions that are ours now, whether or not they were asked for."""
        return frozenset(tp.partition for tp in self._app.consumer.assignment() if tp.topic == self._topic)

    def is_settled(self) -> bool:
        """Whether no rebalance is under way."""
        return not (self._app.rebalancing or self._app.in_recovery)

    def is_lost(self, number: int) -> bool:
        """Whether somebody else has the partition: not while a rebalance is under way, which may bring it back."""
        return TP(self._topic, number) not in self._app.consumer.assignment() and self.is_settled()

    def _lease(self, tp: TP) -> Batch:
        return Batch(self._app, tp, self._app.consumer_generation_id, self._app.rebalancing_count)


def _is_ours(partition: PartitionBooks) -> bool:
    try:
        partition.lease.check()
    except Fenced:
        return False
    return True
