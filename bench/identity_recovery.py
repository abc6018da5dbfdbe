"""How long a worker takes to know a million links: from opening the log on the broker until it could name a customer.

    python -m bench.identity_recovery [--customers N]

fills a log of five links for each customer on a broker of its own, reads it as a worker does when it starts
(`streams.agents.knowledge`), and prints seconds by the clock and of CPU, as JSON.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from aiokafka import AIOKafkaProducer

from bench.identity_cost import log
from bench.servers import Arena, arena
from schemas.links import decode_record, record_key
from schemas.topics import LINKS
from sinks.clickhouse.pseudonyms import CLEAR
from streams.app import build_knowledge
from streams.garbage import rare_collections
from streams.kafka.delivery import deliver
from streams.settings import Settings
from streams.settings.kafka import KafkaSettings

CUSTOMERS = 200_000
AT_ONCE = 20_000
"""Records between two waits for the broker."""


async def measure_recovery(place: Arena, customers: int) -> dict[str, float]:
    """Fill the log, then read it."""
    settings = Settings(kafka=KafkaSettings(prefix="recovery."))
    place.prepare_pipeline(settings)
    count = await _fill(place.bootstrap, LINKS.full_name(settings.kafka.prefix), customers)
    knowledge = build_knowledge(settings, place.kafka, CLEAR)
    with rare_collections():  # as a worker starts
        begun, cpu_begun = perf_counter(), process_time()
        await knowledge.start()
        taken, cpu = perf_counter() - begun, process_time() - cpu_begun
    try:
        if knowledge.links_seen < count:
            raise RuntimeError(f"{count} links were written, and {knowledge.links_seen} read")
        return {
            "links": count,
            "identifiers": len(knowledge.index),
            "seconds": round(taken, 2),
            "CPU seconds": round(cpu, 2),
        }
    finally:
        await knowledge.close()


async def _fill(bootstrap: str, topic: str, customers: int) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap.split(","), acks="all", max_batch_size=512 * 1024)
    await producer.start()
    count = 0
    try:
        some: list[tuple[bytes | None, bytes | None]] = []
        for value in log(customers):
            some.append((record_key(decode_record(value)), value))
            if len(some) == AT_ONCE:
                await deliver(producer, topic, 0, some)
                count += len(some)
                some.clear()
        await deliver(producer, topic, 0, some)
        return count + len(some)
    finally:
        await producer.stop()


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="touchline-recovery-") as home,
        arena(Path(home), None, lambda text: print(text, file=sys.stderr)) as place,
    ):
        print(json.dumps(asyncio.run(measure_recovery(place, options.customers)), indent=2))


if __name__ == "__main__":
    main()
