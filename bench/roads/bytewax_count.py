"""(f) The same count in bytewax: batches of 1,000, recovery on, a snapshot each second."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main
from confluent_kafka import OFFSET_BEGINNING

from bench.roads.stopwatch import Stopwatch, task


class _Seen(StatelessSinkPartition[Any]):  # type: ignore[misc]
    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def write_batch(self, items: Sequence[Any]) -> None:
        """Look at the clock; the counts themselves are kept by the recovery."""
        if self._watch.saw(len(items)):
            self._watch.stop()


class _Sink(DynamicSink[Any]):  # type: ignore[misc]
    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def build(self, *_: object) -> _Seen:
        """The one partition of the one worker."""
        return _Seen(self._watch)


def main() -> None:
    """Read the topic to its end."""
    work = task()
    directory = Path(work.directory)
    init_db_dir(directory, 1)
    flow = Dataflow("count")
    source = KafkaSource([work.bootstrap], [work.topic], starting_offset=OFFSET_BEGINNING, batch_size=1_000)
    messages = op.input("events", flow, source)
    keyed = op.key_on(
        "customer",
        op.map("decode", messages, lambda message: json.loads(message.value)),
        lambda e: e["customer"],
    )
    counts = op.stateful_map("count", keyed, lambda state, _event: ((state or 0) + 1, state))
    op.output("seen", counts, _Sink(Stopwatch(work.records)))
    cluster_main(
        flow, [], 0, epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(str(directory))
    )


if __name__ == "__main__":
    main()
