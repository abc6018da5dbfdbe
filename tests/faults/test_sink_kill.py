"""ClickHouse is killed with -9 in the middle of writes, again and again: nothing is lost, nothing shows twice.

The same loop on a plain MergeTree table is the negative control: it must count double, or the loop proves nothing.
"""

import random
import threading

from schemas.records import Coordinates, DeadLetter, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.errors import SinkUnavailable, classify
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call, instant
from tests.clickhouse_server import Database, EmbeddedClickHouse

RECORDS = 12_000
KILLS = 3
TOPIC = "touchline.phone"
START = instant("2026-03-01")


def records(start: int, end: int) -> SinkBatch:
    """Offsets [start, end): every 10th is dead, every 10th a repetition, the rest is stored, one journey each."""
    coordinates = tuple(Coordinates(TOPIC, 0, n) for n in range(start, end))
    stored = [n for n in range(start, end) if n % 10 > 1]
    return SinkBatch(
        version=end,
        interactions=tuple(
            PlacedInteraction(
                call(START + n, by=f"crm:{n}", id=str(n), topic=TOPIC, partition=0, at_offset=n), f"j{n}"
            )
            for n in stored
        ),
        journeys=tuple(
            Journey(f"j{n}", f"crm:{n}", n, n, False, 1, 1, (), (), (), None, None, None, None, None)
            for n in stored
        ),
        dead_letters=tuple(
            DeadLetter(TOPIC, 0, n, None, b"x", (), "decode", "not_json", "m", 0)
            for n in range(start, end)
            if n % 10 == 0
        ),
        received=coordinates,
        superseded=tuple(c for c in coordinates if c.offset % 10 == 1),
        incarnation=1,
    )


def test_a_server_killed_under_writes_loses_nothing_and_shows_nothing_twice(
    clickhouse: EmbeddedClickHouse,
) -> None:
    migrate(clickhouse.target())
    control = Database(clickhouse.target())
    control.rows("CREATE TABLE plain (offset UInt64) ENGINE = MergeTree ORDER BY offset")
    chance = random.Random(7)
    writer = ClickHouseWriter(clickhouse.target(timeout_seconds=20), CLEAR)
    done = 0
    progressed = threading.Condition()
    stop = threading.Event()

    def consume() -> None:
        """A consumer that re-forms its batches after every error, and commits late, as Kafka lets it."""
        nonlocal done
        committed = 0
        while committed < RECORDS and not stop.is_set():
            end = min(RECORDS, committed + chance.randrange(200, 1_000))
            try:
                writer.write_sync(records(committed, end))
                control.rows(f"INSERT INTO plain SELECT number FROM numbers({committed}, {end - committed})")
            except Exception as error:
                if not isinstance(classify(error), SinkUnavailable):
                    raise
                stop.wait(0.05)
                continue
            committed = end if chance.random() < 0.6 else committed + (end - committed) // 2
            with progressed:
                done = committed
                progressed.notify_all()

    consumer = threading.Thread(target=consume)
    consumer.start()
    try:
        for kill in range(1, KILLS + 1):
            goal = RECORDS * kill // (KILLS + 2)
            with progressed:
                assert progressed.wait_for(lambda goal=goal: done >= goal, timeout=60)
            clickhouse.kill()
            clickhouse.start()
        consumer.join(90)
        assert not consumer.is_alive()
    finally:
        stop.set()
        consumer.join(30)
        writer.close_sync()

    database = Database(clickhouse.target())
    a_tenth = RECORDS // 10
    assert database.row("SELECT * EXCEPT (topic, partition, incarnation) FROM reconciliation") == (
        RECORDS, 8 * a_tenth, a_tenth, a_tenth, 0, 0, True,
    )  # fmt: skip
    assert database.row("SELECT count(), uniqExact(id) FROM interactions") == (8 * a_tenth, 8 * a_tenth)
    assert database.row("SELECT count(), uniqExact(journey_id) FROM journeys") == (8 * a_tenth, 8 * a_tenth)
    assert database.row("SELECT count(), uniqExact(offset) FROM dead_letters") == (a_tenth, a_tenth)
    assert database.row("SELECT count() > count(DISTINCT offset) FROM plain") == (1,), (
        "the loop repeats nothing"
    )
    assert database.row("SELECT uniqExact(offset) FROM plain") == (RECORDS,)
