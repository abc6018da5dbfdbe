"""(e) The same count in Quix Streams, with its state (RocksDB and a changelog topic)."""

from typing import Any

from quixstreams import Application, State
from quixstreams.kafka.configuration import ConnectionConfig

from bench.roads.stopwatch import Stopwatch, task


def main() -> None:
    """Read the topic to its end."""
    work = task()
    watch = Stopwatch(work.records)
    app = Application(
        broker_address=ConnectionConfig(bootstrap_servers=work.bootstrap),
        consumer_group=work.group,
        auto_offset_reset="earliest",
        state_dir=work.directory,
        commit_interval=1.0,
        loglevel="WARNING",
    )

    def count(_event: dict[str, Any], state: State) -> None:
        state.set("count", state.get("count", 0) + 1)
        if watch.saw(1):
            watch.stop()

    app.dataframe(app.topic(work.topic, value_deserializer="json")).update(count, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
