"""ClickHouse hangs, and people are told all the same; the rows come once it is back, each once (docs/adr/0007)."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.topics import ALERTS, INTERACTIONS, partition_of
from schemas.vocabulary import Channel
from streams.agents.owed import OWED_KEYS
from streams.kafka.admin import broker_admin
from streams.kafka.lag import group_lag
from tests.clickhouse_server import EmbeddedClickHouse
from tests.integration.pipeline_fixtures import PARTITIONS, Road, needs_real_kafka, open_road, wait_until
from tests.receivers import Receiver

STATEMENT_SECONDS = "2"


class Visit(NamedTuple):
    """A visit in which a customer was treated rudely: one finding, at once."""

    value: bytes
    key: bytes | None = None
    channel: Channel = "visit"
    headers: tuple[tuple[str, bytes], ...] = ()


def rude_visit(customer: str) -> Visit:
    document = {
        "id": f"visit-of-{customer}", "source": "office", "channel": "visit", "type": "visit",
        "occurred_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        "customer": {"crm_id": customer}, "treatment": "rude",
    }  # fmt: skip
    return Visit(json.dumps(document).encode(), customer.encode())


@contextmanager
def receiver_beside() -> Iterator[Receiver]:
    """A receiver of webhooks in a thread of its own, since the test itself blocks."""
    receiver, loop = Receiver(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receiver")
    thread.start()
    asyncio.run_coroutine_threadsafe(receiver.start(), loop).result(10)
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(receiver.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def frozen(clickhouse: EmbeddedClickHouse) -> Iterator[None]:
    """ClickHouse keeps its connections open and answers nothing."""
    process = clickhouse._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def of_one_partition(customer: str) -> bool:
    return partition_of(f"crm:{customer}".encode(), PARTITIONS) == 0


def told(receiver: Receiver) -> list[str]:
    """The customers of whose findings something was told."""
    return [item.json["alert"]["customer"] for item in receiver.received]


def shown(road: Road) -> list[tuple[str, ...]]:
    """What became of each alert."""
    return road.rows("SELECT customer, kind, status FROM alerts ORDER BY customer")


def alerts_lag(road: Road) -> int:
    """Records of the alerts topic that are not acknowledged."""
    with broker_admin(road.running.servers.kafka) as admin:
        found = group_lag(admin, road.settings.kafka.group, [road.topic(ALERTS.name)])
    return sum(partition.lag for partition in found)


def interactions_end(road: Road) -> int:
    """How many records the topic of interactions has had, watermarks among them."""
    topic = road.topic(INTERACTIONS.name)
    return sum(found.end for found in road.lags() if found.topic == topic)


def environment(clickhouse: EmbeddedClickHouse, receiver: Receiver, config: Path) -> dict[str, str]:
    """Everything goes to the receiver."""
    config.write_text(
        f"""
[[alerts.routes]]
to = ["hook"]

[alerts.destinations.hook]
kind = "webhook"
url = "{receiver.url}"
""",
        encoding="utf-8",
    )
    return {
        "TOUCHLINE_CONFIG": str(config),
        "TOUCHLINE_ALERT_SECRETS__HOOK": "whsec_" + "QUFB" * 10,
        "TOUCHLINE_CLICKHOUSE__URL": f"clickhouse://127.0.0.1:{clickhouse.port}",
        "TOUCHLINE_CLICKHOUSE__TIMEOUT": STATEMENT_SECONDS,
        "TOUCHLINE_TIME__TICK": "250ms",
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["mock", pytest.param("kafka", marks=pytest.mark.java)])
def test_alerts_are_told_while_clickhouse_hangs(
    broker: str, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    if broker == "kafka":
        needs_real_kafka()
    names = list(islice((name for name in map("visitor-{}".format, count()) if of_one_partition(name)), 22))
    before, *during, later = names
    with receiver_beside() as receiver:
        environ = environment(clickhouse, receiver, tmp_path / "touchline.toml")
        with open_road(tmp_path / "home", broker, environ=environ) as road:
            # The rules are in force, and every partition has its owner.
            road.publish([rude_visit(before)])
            wait_until(lambda: len(shown(road)) == 1 and not alerts_lag(road), 30, road.account)
            workers = [worker.pid for worker in road.workers]

            with frozen(clickhouse):
                for name in during:  # each in a batch of its own, which owes its rows
                    road.publish([rude_visit(name)])
                    wait_until(lambda: f"crm:{name}" in told(receiver), 15, road.account)  # noqa: B023
                assert alerts_lag(road) == len(during), "nothing is acknowledged that is not written"
                # Watermarks owe nothing, however many come.
                end = interactions_end(road) + PARTITIONS * 3 * len(OWED_KEYS)
                wait_until(lambda: interactions_end(road) > end, 30, road.account)
                road.publish([rude_visit(later)])
                wait_until(lambda: f"crm:{later}" in told(receiver), 15, road.account)
                assert alerts_lag(road) == len(during) + 1

            rows = sorted((f"crm:{name}", "raised", "delivered") for name in names)
            wait_until(lambda: shown(road) == rows and not alerts_lag(road), 30, road.account)
            assert told(receiver) == [f"crm:{name}" for name in names], "each once"
            assert [worker.pid for worker in road.workers] == workers, "an outage is no reason to start anew"
