"""What identity costs with a million known identifiers: memory, recovery, and the work on each event.

    python -m bench.identity_cost [--customers N]

builds the log of N customers (a CRM id, a contract, a telephone number, an address and two devices each, so N * 6
identifiers and N * 5 links), and prints, as JSON: bytes of memory an identifier, seconds to decode and load the log,
microseconds for what identity adds to each event where nothing is learnt (name the customer, look for news), for an
event that teaches a new link (learn, encode, apply), and what the whole of `identify` carries a second and core:
records in, decoded, validated, named, looked at for links, encoded by partition.
"""

import argparse
import gc
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import process_time
from types import SimpleNamespace
from typing import Any

import msgspec

from schemas.codec import Rejected
from schemas.identifiers import Identifiers
from schemas.interaction import DAY
from schemas.links import Link, decode_record, encode_record
from schemas.topics import RAW
from streams.agents.identify import Identify
from streams.core.identification.index import IdentityIndex
from streams.core.identification.known_sightings import KnownSightings
from streams.garbage import rare_collections
from streams.kafka.fetched import Record
from streams.policies import build_decoder
from streams.settings import Settings
from streams.simulation import Simulation

NOW = 20_500 * DAY
PER_CUSTOMER = 6
PART = 20_000
"""Events that are timed together."""


def customer(number: int) -> Identifiers:
    """The identifiers of a customer, as real ones look."""
    return Identifiers(
        f"C{number:08d}",
        f"D-{number * 7 + 1000}",
        None,
        f"+35988{number:07d}",
        f"ivan.petrov{number}@example.com",
        f"{number * 2654435761 % 2**32:08x}-5f1c-4a6e",
    )


def log(customers: int) -> Iterator[bytes]:
    """The log of their links."""
    for number in range(customers):
        known = customer(number)
        crm = f"crm:{known.crm_id}"
        others = (
            f"contract:{known.contract}",
            f"phone:{known.phone}",
            f"email:{known.email}",
            f"device:{known.device}",
            f"device:{known.device}-b",
        )
        for nth, other in enumerate(others):
            at = NOW - (60 + number % 300) * DAY - nth * 7_919_000_001
            yield encode_record(Link(crm, other, at, NOW, f"telephony\x1fcall-{number:x}-{nth}"))


def events(customers: int, count: int, rng: Random) -> list[Identifiers]:
    """Identifiers of events: four in five carry the CRM id and the channel's own, the others only the latter."""
    drawn = []
    for _ in range(count):
        known = customer(int(rng.random() * customers))
        kind = rng.choice(("contract", "phone", "email", "device"))
        crm = known.crm_id if rng.random() < 0.8 else None
        drawn.append(Identifiers(**{"crm_id": crm, kind: getattr(known, kind)}))
    return drawn


def records(customers: int, count: int) -> list[Record]:
    """Raw records of simulated events, each told of one of these customers by the identifiers of `events`."""
    until = datetime.fromtimestamp(NOW / 1e6, UTC)
    drawn: list[Record] = []
    identifiers = iter(events(customers, count, Random(11)))
    accepts = build_decoder(Settings()).decode
    for event in Simulation.sized(3, count * 2, until).events():
        if isinstance(accepts(event.value, event.headers, event.channel, 0, 0, None, NOW), Rejected):
            continue
        document = msgspec.json.decode(event.value or b"")
        if "customer" not in document:
            continue  # it is in an envelope
        known = next(identifiers, None)
        if known is None:
            return drawn
        document["customer"] = {kind: value for kind, value in known._asdict().items() if value is not None}
        value = msgspec.json.encode(document)
        topic = RAW[event.channel].full_name()
        drawn.append(Record(topic, 0, len(drawn), NOW // 1000, 0, None, value, tuple(event.headers)))
    raise RuntimeError(f"the simulation gave only {len(drawn)} usable events")


def identify_road(index: IdentityIndex, told: Sequence[Record]) -> float:
    """Microseconds an event for all that `identify` computes, in batches as a worker takes them: the best of parts that
    are `PART` long. No event is seen twice, so that caches help as they do a worker.
    """
    knowledge: Any = SimpleNamespace(erasures_seen=0, index=index, links_seen=1, sightings=KnownSightings())
    unused: Any = None
    settings = Settings()
    agent = Identify(
        decode=build_decoder(settings, index.customer_of).decode,
        persister=unused,
        epochs=unused,
        marks=unused,
        knowledge=knowledge,
        announcer=unused,
        refusals=unused,
        interactions=unused,
        partitions=settings.kafka.partitions,
    )
    size = settings.worker.batch_records
    best = float("inf")
    with rare_collections():
        for part in range(0, max(len(told) - PART, 0) + 1, PART):
            end = min(part + PART, len(told))
            begun = process_time()
            for first in range(part, end, size):
                batch: Any = told[first : min(first + size, end)]
                read = agent.read(batch)
                agent.encode(read)
                assert not read.links, "an event teaches something"
                assert not read.letters, "an event does not validate"
            best = min(best, (process_time() - begun) / (end - part))
    return best * 1e6


def resident() -> int:
    """Resident memory of this process, bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status names no VmRSS")


def measure(customers: int, count: int) -> dict[str, float]:
    """Load the log, then time events: the identity part the best of three rounds."""
    encoded = list(log(customers))
    gc.collect()
    before, begun = resident(), process_time()
    index = IdentityIndex(records=map(decode_record, encoded))
    loaded = process_time() - begun
    gc.collect()
    grown = resident() - before
    size = sum(map(len, encoded))
    del encoded
    asked = events(customers, count, Random(7))
    best = float("inf")
    for _ in range(3):
        begun = process_time()
        for identifiers in asked:
            index.customer_of(identifiers)
            index.learn(identifiers, (), NOW, "telephony", "call-1")
        best = min(best, process_time() - begun)
    road = identify_road(index, records(customers, count))
    fresh = [Identifiers(crm_id=f"C{nth:08d}", device=f"fresh-{nth}") for nth in range(count // 10)]
    begun = process_time()
    for nth, identifiers in enumerate(fresh):
        for link in index.learn(identifiers, (), NOW, "web", f"view-{nth}"):
            index.apply((decode_record(encode_record(link)),))
    taught = (process_time() - begun) / len(fresh)
    one = customer(1)
    assert index.customer_of(Identifiers(device=f"{one.device}-b")) == f"crm:{one.crm_id}"
    return {
        "identifiers": len(index),
        "links": customers * (PER_CUSTOMER - 1),
        "log, bytes a link": round(size / (customers * (PER_CUSTOMER - 1)), 1),
        "memory, bytes an identifier": round(grown / len(index), 1),
        "recovery, s": round(loaded, 2),
        "recovery, us a link": round(loaded / (customers * (PER_CUSTOMER - 1)) * 1e6, 2),
        "identity of a known event, us": round(best / count * 1e6, 2),
        "identify, us an event": round(road, 2),
        "identify, events a second and core": round(1e6 / road),
        "event with a new link, us": round(taught * 1e6, 2),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=200_000)
    options = parser.parse_args()
    print(json.dumps(measure(options.customers, options.events), indent=2))


if __name__ == "__main__":
    main()
