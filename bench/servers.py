"""The servers of a run: broker and ClickHouse on cores of their own, and fresh topics for every contestant."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from schemas.topics import ALL
from sinks.embedded.home import Home
from sinks.embedded.kafka.mock import create_topic
from sinks.embedded.processes import Child
from sinks.embedded.supervisor import Supervisor
from streams.commands.embedded import BrokerKind, start_broker, start_clickhouse
from streams.commands.migrate import bring_up_to_date
from streams.commands.servers import Servers, clickhouse_target, http_target
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import broker_admin
from streams.settings import Settings

PARTITIONS = 8


@dataclass(frozen=True)
class Arena:
    """Servers that run. `core` is where contestants are pinned; None where there is only one core."""

    kind: BrokerKind
    bootstrap: str
    mock_control: str | None
    native_url: str
    http_url: str
    core: int | None
    processes: Mapping[str, Child]

    @property
    def kafka(self) -> KafkaAccess:
        """The broker, as Touchline's own clients are told of it."""
        return KafkaAccess(self.bootstrap)

    def make_topic(self, name: str, *, compacted: bool = False) -> None:
        """Create a topic of `PARTITIONS` partitions."""
        if self.mock_control is not None:
            create_topic(self.mock_control, name, PARTITIONS)
            return
        config = {"cleanup.policy": "compact"} if compacted else {}
        with broker_admin(self.kafka) as admin:
            admin.create_topics(
                {name: {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": config}}
            )
            admin.wait_for_topics([name], timeout_ms=30_000)

    def prepare_pipeline(self, settings: Settings) -> Servers:
        """Topics and tables under the prefix and database of these settings, as `touchline migrate` makes them."""
        if self.mock_control is not None:
            for topic in ALL:
                name = topic.full_name(settings.kafka.prefix)
                create_topic(self.mock_control, name, topic.partitions(PARTITIONS))
        reached = Servers(
            self.kafka,
            clickhouse_target(settings, self.native_url),
            http_target(settings.clickhouse, self.http_url),
        )
        bring_up_to_date(
            reached, settings, time.time_ns() // 1000, fresh_topics=self.mock_control is not None
        )
        return reached

    def cpu_seconds(self) -> dict[str, float]:
        """What each server's process has used so far."""
        used = {}
        for name, child in self.processes.items():
            times = psutil.Process(child.pid).cpu_times()
            used[name] = times.user + times.system
        return used


@contextmanager
def arena(home: Path, kind: BrokerKind | None, say: Callable[[str], None]) -> Iterator[Arena]:
    """Start the servers for the length of the block, on all cores but one; this process stays with them.

    The last core is the contestants'. Affinity is inherited, so it is set before anything is started.
    """
    before = os.sched_getaffinity(0)
    *own, core = sorted(before)
    if own:
        os.sched_setaffinity(0, own)
    settings = Settings(home=home)
    place = Home(home).create()
    try:
        with place.lock(), Supervisor(say) as supervisor:
            database = start_clickhouse(supervisor, place, settings, 0, 0)
            broker = start_broker(supervisor, place, settings, kind, port=0, say=say)
            yield Arena(
                broker.kind,
                broker.bootstrap,
                broker.mock_control,
                database.native_url,
                database.http_url,
                core if own else None,
                {"Kafka": broker.child, "ClickHouse": database.child},
            )
    finally:
        os.sched_setaffinity(0, before)
