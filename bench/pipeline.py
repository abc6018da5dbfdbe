"""(d) The whole pipeline, observed from outside: one worker as `touchline worker` runs it, its backlog published first.

Its clock runs from the moment at which the worker says it is ready until the last row of the backlog stands in
ClickHouse (the database's own `inserted_at`), the ledger balanced.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from bench.pinned import command
from bench.roads.stopwatch import Reading
from bench.servers import PARTITIONS, Arena
from schemas.topics import RAW
from sinks.clickhouse.client import InsertingClient, connect
from sinks.embedded.processes import Child, ready_line
from streams.commands.reconcile import read_balance
from streams.kafka.event_publisher import EventPublisher
from streams.settings import Settings, load_settings
from streams.simulation.mess import SimulatedEvent
from streams.simulation.simulation import Simulation

SAMPLE_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 300.0

PIPELINE_EVENTS: Final = 150_000
"""About so many events are taken in: enough that the clock runs for ten seconds and more, and that what happens once
(the first INSERTs, warming caches) is no part of the figure.
"""


class PipelineLoad(NamedTuple):
    """Simulated events, made before any clock runs."""

    events: Sequence[SimulatedEvent]
    customers: int


class PipelineStuck(Exception):
    """The backlog did not arrive. The message has the worker's last words."""


def simulate(events: int) -> PipelineLoad:
    """About so many events: a month of a company, all channels, with late, repeated and broken ones."""
    simulation = Simulation.sized(1, events, datetime.now(UTC) - timedelta(minutes=10))
    load = PipelineLoad(tuple(simulation.events()), simulation.customers)
    gc.freeze()  # else each full collection looks at all of them, on the core that the servers need
    return load


def pipeline_settings(
    arena: Arena, name: str, home: Path, rules: Path | None
) -> tuple[Settings, dict[str, str]]:
    """Settings of a pipeline of its own on the arena, and the environment that gives them to a worker."""
    environment = {
        "TOUCHLINE_HOME": str(home),
        "TOUCHLINE_KAFKA__BOOTSTRAP": arena.bootstrap,
        "TOUCHLINE_KAFKA__PREFIX": f"{name}.",
        "TOUCHLINE_KAFKA__GROUP": name,
        "TOUCHLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "TOUCHLINE_CLICKHOUSE__URL": arena.native_url,
        "TOUCHLINE_CLICKHOUSE__DATABASE": name.replace("-", "_"),
    }
    if rules is not None:
        environment["TOUCHLINE_RULES__DIRECTORY"] = str(rules)
    return load_settings(environment, home / "touchline.toml"), environment


def pinned_worker(arena: Arena, environment: dict[str, str], log: Path) -> Child:
    """One worker as `touchline worker` runs it, on the contestant's core; not yet started."""
    return Child(
        "worker",
        command(arena.core, [sys.executable, "-m", "streams.cli", "worker"]),
        log,
        ready=ready_line,
        ready_timeout=60,
        environment=environment,
    )


def run_pipeline(
    arena: Arena, load: PipelineLoad, name: str, *, rules: bool, acquainted: bool = False
) -> Reading:
    """Publish the load, then let one worker take it in. Without `rules` its folder of rules is empty.

    `acquainted`: the first half of the load is taken in by a worker before it, which is not measured, so that the one
    that is meets customers, links and journeys that are known, as on any day but the first. Raises `PipelineStuck`.
    """
    half = len(load.events) // 2
    before, measured = (load.events[:half], load.events[half:]) if acquainted else ((), load.events)
    with tempfile.TemporaryDirectory(prefix="touchline-bench-") as scratch:
        home = Path(scratch)
        empty = home / "no-rules"
        empty.mkdir()
        settings, environment = pipeline_settings(arena, name, home, None if rules else empty)
        reached = arena.prepare_pipeline(settings)

        def publish(events: Sequence[SimulatedEvent]) -> int:
            topic_of = {channel: topic.full_name(settings.kafka.prefix) for channel, topic in RAW.items()}
            return EventPublisher(arena.kafka, topic_of.__getitem__).run(events)

        client = connect(reached.clickhouse)
        try:
            known = 0
            if before:
                known = publish(before)
                _take_in(arena, environment, home / "worker-before.log", client, known)
            published = publish(measured)
            seen = _take_in(arena, environment, home / "worker.log", client, known + published)
            return seen._replace(records=published)
        finally:
            client.execute(f"DROP DATABASE {settings.clickhouse.database}")
            client.disconnect()


def _take_in(
    arena: Arena, environment: dict[str, str], log: Path, client: InsertingClient, published: int
) -> Reading:
    """One worker, from its start until all that was published so far has arrived."""
    worker = pinned_worker(arena, environment, log)
    try:
        worker.start()
        return _observe(worker, client, published)
    finally:
        worker.stop()


def _observe(worker: Child, client: InsertingClient, published: int) -> Reading:
    process = psutil.Process(worker.pid)
    begun, cpu_begun = time.time(), _cpu(process)
    samples: list[tuple[float, float]] = []
    while not _arrived(client, published):
        look_at = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < look_at:
            time.sleep(SAMPLE_SECONDS)
            samples.append((time.time(), _cpu(process)))
        if not worker.running or time.time() - begun > PATIENCE_SECONDS:
            raise PipelineStuck(f"{published} events published; {worker.account()}")
    ended = _last_row_at(client)
    cpu = next((cpu for at, cpu in samples if at >= ended), samples[-1][1])
    return Reading(published, ended - begun, cpu - cpu_begun)


def _arrived(client: InsertingClient, published: int) -> bool:
    balance = read_balance(client)
    return balance.balanced and balance.total("received") >= published


def _last_row_at(client: InsertingClient) -> float:
    (row,) = client.execute(
        "SELECT greatest((SELECT max(inserted_at) FROM placed_interactions_raw), "
        "(SELECT max(inserted_at) FROM journeys_raw))"
    )
    moment: datetime = row[0]
    return moment.replace(tzinfo=UTC).timestamp()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
