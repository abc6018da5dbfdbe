"""Where the time of a record goes: each stage of the road on its own, in CPU microseconds a record.

The stages are the product's own functions, called as the agents call them, on simulated events and in batches of
the size that a backlog makes. Kafka's protocol, ClickHouse, the event loop and Faust are left out: what a worker
needs beyond these stages is told by the measurement of the whole (`bench.report` puts the two side by side).
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from aiokafka.producer.message_accumulator import BatchBuilder

from bench.servers import Arena
from schemas.codec import Rejected
from schemas.interaction import Interaction, decode_interaction, encode_interaction, routing_key
from schemas.records import SinkBatch, offset_ranges
from schemas.topics import partition_of
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.native import encode_block
from sinks.clickhouse.pseudonyms import Pseudonyms
from sinks.clickhouse.rows import Rows
from sinks.clickhouse.writer import inserts
from streams.agents.identify import Decode
from streams.commands.servers import clickhouse_target
from streams.core.batch import BatchResult, advance_batch
from streams.garbage import rare_collections
from streams.policies import build_decoder, journey_policy
from streams.settings import ClickHouseSettings, Settings
from streams.simulation.mess import SimulatedEvent

Columns = Mapping[str, Sequence[tuple[str, str]]]
"""Name and type of the columns of each storage table, in the order of its rows."""

Item = tuple[bytes, bytes]

T = TypeVar("T")

STAGES: Final = (
    "identify: decode, validate, normalise, name the customer",
    "identify: encode, choose the partition",
    "identify: build the Kafka batches",
    "identify: rows of the ledger",
    "journeys: decode",
    "journeys: advance the timelines",
    "journeys: rows of interactions, journeys and the ledger",
    "journeys: build the changelog's batches",
)
DECODE, ENCODE, FORWARD, RECEIVED, READ, ADVANCE, ROWS, CHANGELOG = STAGES

BATCH_BYTES: Final = 512 * 1024

BUDGET_EVENTS: Final = 100_000
"""As many events as the stages are measured on: each of them takes a second of its own."""

PSEUDONYMS: Final = Pseudonyms(b"of the benchmark")
"""Identifiers are hashed, as they are by default."""


class Budget(NamedTuple):
    """CPU microseconds of each stage for each event read; and what was pushed through."""

    microseconds: dict[str, float]
    events: int
    interactions: int
    customers: int


class Stopwatch:
    """CPU seconds of this process by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Count what the block takes to the stage's account."""
        begun = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] += time.process_time() - begun


def table_columns(arena: Arena) -> Columns:
    """The storage tables' columns, asked of a database that is made for this and dropped again."""
    target = clickhouse_target(
        Settings(clickhouse=ClickHouseSettings(database="bench_columns")), arena.native_url
    )
    migrate(target)
    client = connect(target)
    try:
        columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for table, name, kind in client.execute(
            "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY position"
        ):
            columns[table].append((name, kind))
        client.execute("DROP DATABASE bench_columns")
    finally:
        client.disconnect()
    return columns


def measure_budget(events: Sequence[SimulatedEvent], columns: Columns, settings: Settings) -> Budget:
    """Push events through every stage, a stage at a time; an interactions partition is fed in its own order.

    The garbage collector is told what a worker tells it.
    """
    with rare_collections():
        return _measure(events, columns, settings)


def _measure(events: Sequence[SimulatedEvent], columns: Columns, settings: Settings) -> Budget:
    watch = Stopwatch()
    partitions, size = settings.kafka.partitions, settings.worker.batch_records
    logs: dict[int, list[Item]] = defaultdict(list)
    decode = build_decoder(
        settings
    ).decode  # one for all, as in a worker: it remembers what it has normalised
    for batch in _sliced(events, size):
        for number, items in _identify(batch, decode, watch, columns, settings).items():
            logs[number].extend(items)
    customers = 0
    for number in range(partitions):
        states: dict[bytes, bytes] = {}
        for records in _sliced(logs[number], size):
            _journeys(records, states, watch, columns, settings)
        customers += len(states)
    return Budget(
        {stage: watch.seconds[stage] / len(events) * 1e6 for stage in STAGES},
        len(events),
        sum(map(len, logs.values())),
        customers,
    )


def _identify(
    events: Sequence[SimulatedEvent], decode: Decode, watch: Stopwatch, columns: Columns, settings: Settings
) -> dict[int, list[Item]]:
    now = time.time_ns() // 1000
    with watch.running(DECODE):
        decoded = [
            decode(event.value, event.headers, event.channel, 0, offset, now, now)
            for offset, event in enumerate(events)
        ]
    interactions = [one for one in decoded if not isinstance(one, Rejected)]
    outgoing: dict[int, list[Item]] = defaultdict(list)
    with watch.running(ENCODE):
        for interaction in interactions:
            key = routing_key(interaction)
            outgoing[partition_of(key, settings.kafka.partitions)].append(
                (key, encode_interaction(interaction))
            )
    with watch.running(FORWARD):
        for items in outgoing.values():
            _build(items)
    with watch.running(RECEIVED):
        received = offset_ranges(events[0].channel, 0, range(len(events)))
        _encode(inserts([SinkBatch(received=received)], PSEUDONYMS), columns)
    return outgoing


def _journeys(
    records: Sequence[Item],
    states: dict[bytes, bytes],
    watch: Stopwatch,
    columns: Columns,
    settings: Settings,
) -> None:
    policy = journey_policy(settings)
    with watch.running(READ):
        interactions: list[Interaction] = [decode_interaction(value) for _, value in records]
    now = max(interaction.occurred_at for interaction in interactions)
    with watch.running(ADVANCE):
        result: BatchResult = advance_batch(states.get, interactions, (), now, policy)
    with watch.running(ROWS):
        batch = SinkBatch(
            1,
            tuple(result.interactions),
            tuple(result.journeys),
            tuple(result.retracted),
            superseded=tuple(result.superseded),
        )
        _encode(inserts([batch], PSEUDONYMS), columns)
    with watch.running(CHANGELOG):
        _build(result.states.items())
    for key, state in result.states.items():
        if state is None:
            states.pop(key, None)
        else:
            states[key] = state


def _sliced(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _build(items: Iterable[tuple[bytes, bytes | None]]) -> None:
    """What `streams.kafka.delivery.deliver` does before the network."""
    builder = BatchBuilder(BATCH_BYTES, 0)
    for key, value in items:
        if builder.append(key=key, value=value, timestamp=None) is None:
            builder._build()
            builder = BatchBuilder(BATCH_BYTES, 0)
            builder.append(key=key, value=value, timestamp=None)
    builder._build()


def _encode(tables: Iterable[tuple[str, Rows]], columns: Columns) -> None:
    """What `sinks.clickhouse.client` does before the network."""
    for table, rows in tables:
        types = dict(columns[table])
        for block in rows.blocks:
            named = [(name, types[name], values) for name, values in zip(rows.names, block, strict=True)]
            encode_block(named, len(named), len(block[0]))
