"""The identify agent: what becomes of each record of a batch, and in which order it takes effect."""

import json
from typing import Any

import pytest

from schemas.codec import Decoder
from schemas.dead_letters import parse_dead_letter
from schemas.interaction import decode_interaction
from schemas.topics import partition_of
from streams.agents.identify import Identify
from streams.agents.lanes import Fenced
from streams.agents.sink import Persister
from streams.core.identity import customer_of
from tests.unit.agents.fakes import App, Epochs, Producer, Record, Sink

PARTITIONS = 4


class Marks:
    def __init__(self) -> None:
        self.seen: list[int | None] = []

    def read(self, _tp: object, newest: int | None) -> None:
        self.seen.append(newest)


class Bench:
    def __init__(self) -> None:
        self.app, self.marks, self.order = App(), Marks(), list[str]()
        self.sink = Sink(lambda _batch: self.order.append("rows"))
        self.producer = Producer(self.order.append)
        producer: Any = self.producer
        marks: Any = self.marks
        self.agent = Identify(
            decode=Decoder("BG", 300_000_000, customer_of=customer_of).decode,
            producer=lambda: producer,
            persister=Persister(self.sink),
            epochs=Epochs(),
            marks=marks,
            interactions_topic="interactions",
            dead_letters_topic="dead",
            partitions=PARTITIONS,
        )

    async def handle(self, *values: bytes, topic: str = "touchline.visit") -> None:
        await self.agent(
            self.app.batch(
                Record(offset, value, b"k%d" % offset, topic, 1, 1_700_000_000_000, (("h", b"\xff"),))
                for offset, value in enumerate(values)
            )
        )


def event(number: int, at: str = "2026-03-01T10:00:00Z", **customer: str) -> bytes:
    return json.dumps(
        {
            "id": str(number),
            "source": "offices",
            "channel": "visit",
            "type": "visit",
            "occurred_at": at,
            "customer": customer,
        }
    ).encode()


async def test_interactions_go_to_the_partition_of_their_customer_with_the_customer_as_key() -> None:
    bench = Bench()
    await bench.handle(*(event(number, crm_id=f"c{number}") for number in range(20)))
    sent = {
        key: (partition, decode_interaction(value))
        for (topic, partition), items in bench.producer.sent.items()
        for key, value in items
        if topic == "interactions" and key is not None and value is not None
    }
    assert len(sent) == 20
    for key, (partition, interaction) in sent.items():
        assert key.decode() == interaction.customer
        assert partition == partition_of(key, PARTITIONS)
        assert (interaction.topic, interaction.partition) == ("touchline.visit", 1)
        assert interaction.received_at == 1_700_000_000_000_000


async def test_one_customers_interactions_keep_their_order() -> None:
    bench = Bench()
    await bench.handle(*(event(number, crm_id="ann") for number in range(9)))
    (items,) = bench.producer.sent.values()
    assert [decode_interaction(value or b"").offset for _, value in items] == list(range(9))


async def test_a_bad_record_is_a_dead_letter_as_it_came_and_its_neighbours_pass() -> None:
    bench = Bench()
    await bench.handle(event(0, crm_id="ann"), b"\xff{", event(2, crm_id="bob"))
    ((topic, _partition, key, value, headers),) = bench.producer.headers
    assert (topic, key, value) == ("dead", b"k1", b"\xff{")
    letter = parse_dead_letter(key, value, headers, 0)
    assert (letter.topic, letter.partition, letter.offset) == ("touchline.visit", 1, 1)
    assert letter.headers == (("h", b"\xff"),)
    (rows,) = bench.sink.written
    assert [found.offset for found in rows.received] == [0, 1, 2]
    assert [found.value for found in rows.dead_letters] == [b"\xff{"]
    assert sum(len(items) for items in bench.producer.sent.values()) == 2


async def test_dead_letters_are_delivered_before_any_row_says_so() -> None:
    bench = Bench()
    await bench.handle(b"{", event(1, crm_id="ann"))
    assert bench.order[0] == "dead"
    assert sorted(bench.order[1:]) == ["interactions", "rows"]
    assert len(bench.app.acks) == 1


async def test_a_tombstone_is_a_dead_letter() -> None:
    bench = Bench()
    await bench.agent(bench.app.batch([Record(0, None, b"k", "touchline.visit")]))
    assert [(letter.value, letter.stage) for letter in bench.sink.written[0].dead_letters] == [
        (None, "decode")
    ]


async def test_the_watermark_is_told_the_newest_event_once_all_is_forwarded() -> None:
    bench = Bench()
    await bench.handle(event(0, "2026-03-02T00:00:00Z"), event(1, "2026-03-01T00:00:00Z"), b"{")
    assert bench.marks.seen == [1_772_409_600_000_000]


async def test_a_batch_of_nothing_but_dead_letters_moves_no_watermark() -> None:
    bench = Bench()
    await bench.handle(b"{")
    assert bench.marks.seen == [None]


async def test_nothing_is_acknowledged_or_marked_when_the_partition_is_lost_on_the_way() -> None:
    bench = Bench()
    bench.sink._before = lambda _batch: setattr(bench.app, "rebalancing_count", 1)
    with pytest.raises(Fenced):
        await bench.handle(event(0, crm_id="ann"))
    assert bench.app.acks == []
    assert bench.marks.seen == []
