"""The contestants, and running them in turn: A B C D A B C D ..., each round on fresh groups and fresh topics."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from bench.load import count_events
from bench.pinned import command
from bench.pipeline import PIPELINE_EVENTS, PipelineLoad, run_pipeline
from bench.roads.stopwatch import Reading
from bench.servers import Arena
from schemas.vocabulary import Channel
from streams.kafka.event_publisher import EventPublisher

PEERS: Final = Path(sys.prefix) / "peers" / "bin" / "python"
"""The peers' own interpreter: their libraries pin other versions of what we use (`make bench` makes it)."""

ROOT: Final = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS: Final = 180


class Contestant(NamedTuple):
    """One line of the table. `records` of them are read in a round; more for the fast, so that each takes seconds."""

    name: str
    letter: str
    title: str
    module: str | None
    records: int
    peer: bool = False
    changelog: str | None = None
    rules: bool = False
    """Of the pipeline, which has no module: all rules in force."""
    acquainted: bool = False
    """Of the pipeline: its customers are known from before."""


CONTESTANTS: Final = (
    Contestant("raw-poll", "a", "raw poll (aiokafka `getmany`)", "raw_poll", 400_000),
    Contestant(
        "faust", "b", "count in stock Faust, Table", "stock_faust", 20_000, changelog="{group}-counts-changelog"
    ),
    Contestant(
        "touchline-count", "c", "count on Touchline's road", "batch_count", 400_000,
        changelog="{group}-counts-changelog",
    ),
    Contestant("pipeline", "d", "whole pipeline into ClickHouse, no rules", None, PIPELINE_EVENTS),
    Contestant("pipeline-rules", "d'", "whole pipeline, all rules in force", None, PIPELINE_EVENTS, rules=True),
    Contestant(
        "pipeline-acquainted", "d\"", "the same, customers known from before", None, PIPELINE_EVENTS // 2,
        rules=True, acquainted=True,
    ),
    Contestant("quix", "e", "count in Quix Streams, state", "quix_count", 100_000, peer=True),
    Contestant("bytewax", "f", "count in bytewax, recovery on", "bytewax_count", 400_000, peer=True),
)  # fmt: skip


class ContestantFailed(Exception):
    """A contestant did not finish. The message has its last words."""


class Contest:
    """One run on one arena. `prepare` publishes what the counting contestants read."""

    def __init__(self, arena: Arena, contestants: Sequence[Contestant], load: PipelineLoad | None) -> None:
        self._arena = arena
        self._contestants = contestants
        self._load = load
        self.readings: dict[str, list[Reading]] = defaultdict(list)

    def prepare(self) -> None:
        """Publish a topic for each number of records that is asked for; not measured."""
        for size in sorted({one.records for one in self._contestants if one.module}):
            topic = _topic(size)
            self._arena.make_topic(topic)
            EventPublisher(self._arena.kafka, partial(_topic_of_any, topic)).run(count_events(size))

    def run(self, rounds: int, done: Callable[[Contestant, Reading], None]) -> None:
        """All contestants, `rounds` times in turn. Raises `ContestantFailed`."""
        for number in range(rounds):
            for one in self._contestants:
                reading = self._measure(one, number)
                self.readings[one.name].append(reading)
                done(one, reading)

    def _measure(self, one: Contestant, number: int) -> Reading:
        group = f"bench-{one.name}-{number}"
        if one.module is None:
            if self._load is None:
                raise ValueError("the pipeline needs a load")
            return run_pipeline(self._arena, self._load, group, rules=one.rules, acquainted=one.acquainted)
        if one.changelog is not None:
            self._arena.make_topic(one.changelog.format(group=group), compacted=True)
        with tempfile.TemporaryDirectory(prefix="touchline-bench-") as directory:
            program = [
                str(PEERS) if one.peer else sys.executable,
                "-m",
                f"bench.roads.{one.module}",
                self._arena.bootstrap,
                _topic(one.records),
                group,
                str(one.records),
                directory,
            ]
            return _reading_of(one, command(self._arena.core, program))


def _reading_of(one: Contestant, program: list[str]) -> Reading:
    try:
        done = subprocess.run(
            program, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace")[-2_000:]
        raise ContestantFailed(f"{one.name}: not done within {PATIENCE_SECONDS} s\n{said}") from None
    except OSError as error:
        raise ContestantFailed(f"{one.name}: {error}") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise ContestantFailed(f"{one.name}: ended with status {done.returncode}\n{done.stderr[-2_000:]}")
    return Reading(**json.loads(lines[-1]))


def _topic_of_any(topic: str, _channel: Channel) -> str:
    return topic


def _topic(records: int) -> str:
    return f"bench-{records}"


def peers_installed() -> bool:
    """Whether the peers' environment is there."""
    return PEERS.exists()
