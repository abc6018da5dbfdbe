"""Latency: from an event's publishing to its alert on the alerts topic, under a steady load.

    python -m bench.latency [--rate EVENTS] [--seconds N]

One worker as `touchline worker` runs it, on a core of its own, all rules in force. The load is a simulated month at
a steady rate, in the order of arrival. Among its events are probes: a visit of a customer of its own with treatment
`rude`, which stands by itself and at once. A probe's latency is taken by one clock, that of this process: from handing
the event to the producer until a consumer of the alerts topic has the record.
"""

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bench.pipeline import PipelineLoad, PipelineStuck, pinned_worker, pipeline_settings, simulate
from bench.servers import PARTITIONS, Arena, arena
from schemas.interaction import Micros
from schemas.timestamps import format_timestamp
from schemas.topics import ALERTS, RAW
from schemas.vocabulary import Channel
from sinks.clickhouse.client import connect
from sinks.embedded.processes import Child
from streams.kafka.event_publisher import EventPublisher, Sendable

PROBES_A_SECOND: Final = 100
SECONDS: Final = 30.0
"""How long the load is published."""
WARM_UP_SECONDS: Final = 10.0
"""Probes of so long are not counted. The servers were started for the measurement: for two seconds a cold broker takes
a quarter of a second for each delivery, and what has waited meanwhile is worked off in the next five.
"""
PATIENCE_SECONDS: Final = 60.0
CUSTOMER: Final = "crm:probe-"
BOUNDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, math.inf)
"""Upper bounds of the histogram's bars, in seconds."""
BAR: Final = 40

MEDIAN_GOAL: Final = 1.0
P99_GOAL: Final = 3.0
"""Seconds, by issue 3, at half the maximum rate."""


class Probe(NamedTuple):
    """One event that makes a finding by itself."""

    value: bytes
    channel: Channel = "visit"
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Latency(NamedTuple):
    """What was measured: seconds of each probe, in order of size, and events a second beside them."""

    rate: float
    seconds: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """The least latency that so great a share of the probes does not exceed (nearest rank)."""
        return self.seconds[max(math.ceil(share * len(self.seconds)) - 1, 0)]

    def histogram(self) -> list[tuple[float, int]]:
        """How many probes took longer than the bound before and not longer than this one."""
        counts = dict.fromkeys(BOUNDS, 0)
        for one in self.seconds:
            counts[next(bound for bound in BOUNDS if one <= bound)] += 1
        return list(counts.items())

    def as_json(self) -> dict[str, Any]:
        """Milliseconds."""
        return {
            "events_a_second": round(self.rate),
            "probes": len(self.seconds),
            **{name: round(self.quantile(share) * 1_000, 1) for name, share in QUANTILES.items()},
            "histogram": [
                {"at_most_ms": None if bound == math.inf else round(bound * 1_000), "probes": count}
                for bound, count in self.histogram()
            ],
        }

    def lines(self) -> Iterator[str]:
        """A histogram as text."""
        most = max(count for _, count in self.histogram())
        for bound, count in self.histogram():
            label = f"> {BOUNDS[-2] * 1_000:,.0f} ms" if bound == math.inf else f"<= {bound * 1_000:,.0f} ms"
            bar = "#" * math.ceil(BAR * count / most)
            yield f"{label:>11}  {count:>6,}  {bar}".rstrip()

    def goals(self) -> Iterator[tuple[str, float, float]]:
        """What it is, the goal, what was measured; seconds."""
        yield "median", MEDIAN_GOAL, self.quantile(0.5)
        yield "p99", P99_GOAL, self.quantile(0.99)


QUANTILES: Final = {"median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Probes:
    """The load with a probe after every so many events, stamped when it is taken.

    Remembers when each was sent, but for those of the warm-up.
    """

    def __init__(self, load: PipelineLoad, every: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._until = time.time_ns() // 1_000
        self._every = every
        self._clock = clock
        self._begun: float | None = None
        self.sent_at: dict[str, float] = {}
        """By customer, seconds on the monotonic clock."""

    def __iter__(self) -> Iterator[Sendable]:
        for number, event in enumerate(self._load.events):
            yield event
            if number % self._every == 0:
                customer = f"{CUSTOMER}{number}"
                probe = _probe(customer, min(event.arrives_at, self._until))
                now = self._clock()
                self._begun = now if self._begun is None else self._begun
                if now >= self._begun + WARM_UP_SECONDS:
                    self.sent_at[customer] = now
                yield probe


def _probe(customer: str, at: Micros) -> Probe:
    """An event of the time at which the load has arrived, so that the watermark goes as it would.

    Not later than now, though: what the simulation delivers late arrives after its end.
    """
    return Probe(
        json.dumps(
            {
                "id": customer.partition(":")[2],
                "source": "probe",
                "channel": "visit",
                "type": "visit",
                "occurred_at": format_timestamp(at),
                "customer": {"crm_id": customer.partition(":")[2]},
                "treatment": "rude",
            }
        ).encode()
    )


class Arrivals:
    """Reads the alerts topic from a thread of its own, and notes when a probe's alert is there."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-latency", "enable.auto.commit": False,
             "fetch.wait.max.ms": 5}
        )  # fmt: skip
        self._consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in range(PARTITIONS)])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="alerts")
        self.at: dict[str, float] = {}
        """By customer, when its first alert came; seconds on the monotonic clock."""

    def __enter__(self) -> "Arrivals":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._stopping.is_set():
            messages = self._consumer.consume(500, timeout=0.05)
            now = time.monotonic()
            for message in messages:
                key = message.key()
                if message.error() is None and key is not None and key.startswith(CUSTOMER.encode()):
                    self.at.setdefault(key.decode(), now)


def measure_latency(place: Arena, load: PipelineLoad, rate: float, name: str = "bench-latency") -> Latency:
    """Publish the load at `rate` events a second to a fresh pipeline; the probes' latencies.

    Raises `PipelineStuck` when alerts are missing a minute after the last event.
    """
    if rate <= 0:
        raise ValueError("rate: expected more than 0 events a second")
    with tempfile.TemporaryDirectory(prefix="touchline-bench-") as scratch:
        home = Path(scratch)
        settings, environment = pipeline_settings(place, name, home, None)
        reached = place.prepare_pipeline(settings)
        worker = pinned_worker(place, environment, home / "worker.log")

        def topic_of(channel: Channel) -> str:
            return RAW[channel].full_name(settings.kafka.prefix)

        probes = Probes(load, max(round(rate / PROBES_A_SECOND), 1))
        try:
            worker.start()
            with Arrivals(place.bootstrap, ALERTS.full_name(settings.kafka.prefix)) as arrivals:
                first = f"{CUSTOMER}first"
                EventPublisher(place.kafka, topic_of).run([_probe(first, load.events[0].arrives_at)])
                _wait(
                    {first}, arrivals, worker
                )  # a worker that still takes its partitions over is not measured
                EventPublisher(place.kafka, topic_of, rate=rate).run(probes)
                if not probes.sent_at:
                    raise PipelineStuck("the load was over before the warm-up was: publish more, or slower")
                _wait(probes.sent_at.keys(), arrivals, worker)
        finally:
            worker.stop()
            client = connect(reached.clickhouse)
            client.execute(f"DROP DATABASE {settings.clickhouse.database}")
            client.disconnect()
    return Latency(rate, tuple(sorted(arrivals.at[customer] - at for customer, at in probes.sent_at.items())))


def _wait(customers: Set[str], arrivals: Arrivals, worker: Child) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := len(customers - arrivals.at.keys()):
        if not worker.running or time.monotonic() > deadline:
            raise PipelineStuck(f"{missing} of {len(customers)} alerts did not come; {worker.account()}")
        time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on servers of its own and print JSON, with the histogram on standard error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=5_000, help="events a second (default 5,000)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long (default 30)")
    parser.add_argument("--broker", choices=("kafka", "mock"))
    options = parser.parse_args(arguments)
    load = simulate(int(options.rate * options.seconds))
    with (
        tempfile.TemporaryDirectory(prefix="touchline-bench-") as home,
        arena(Path(home), options.broker, lambda line: print(line, file=sys.stderr)) as place,
    ):
        latency = measure_latency(place, load, options.rate)
    print("\n".join(latency.lines()), file=sys.stderr)
    print(msgspec.json.encode(latency.as_json()).decode())


if __name__ == "__main__":
    main()
