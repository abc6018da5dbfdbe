"""The identify agent: what becomes of each record of a batch, and in which order it takes effect."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from schemas.codec import Decoder
from schemas.dead_letters import parse_dead_letter
from schemas.erasures import Erasure, erasure_parts, letter_identity
from schemas.identity import FactDecoder
from schemas.interaction import CONTROL_KEY, Interaction, decode_interaction, decode_watermarks
from schemas.links import Link, decode_record
from schemas.records import Coordinates, OffsetRange
from schemas.topics import partition_of
from streams.agents.announcing import Announcer
from streams.agents.facts import Facts
from streams.agents.identify import Identify
from streams.agents.lanes import Fenced, finish
from streams.agents.refusals import Refusals
from streams.agents.sink import Persister
from streams.kafka.delivery import SharedDelivery
from tests.unit.agents.fake_logs import CORRECTIONS, LINKS, SIGHTINGS, Logs
from tests.unit.agents.fakes import HASHES, App, Builder, Epochs, Metadata, Producer, Record, Sink

PARTITIONS = 4


class Marks:
    def __init__(self) -> None:
        self.seen: list[int | None] = []

    def read(self, _tp: object, newest: int | None) -> None:
        self.seen.append(newest)


class LogProducer(Producer):
    """What is sent to the logs of identity can be read there."""

    def __init__(self, before: Callable[[str], None], logs: Logs) -> None:
        super().__init__(before)
        self._logs = logs

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        where = TopicPartition(topic, partition)
        sent = await super().send_batch(builder, topic, partition=partition)
        if where in (LINKS, CORRECTIONS, SIGHTINGS):
            # Others write there, too: the offset is the log's.
            sent = asyncio.get_running_loop().create_future()
            sent.set_result(Metadata(self._logs.ends[where]))
            for key, value in builder.records:
                self._logs.append(where, key, value)
        return sent


class Bench:
    """One worker's `identify`. What it announces it reads from the logs, as everybody else does."""

    def __init__(self, logs: Logs) -> None:
        self.app, self.marks, self.order, self.logs = App(), Marks(), list[str](), logs
        self.sink = Sink(lambda _batch: self.order.append("rows"))
        self.producer = LogProducer(self.order.append, logs)
        self.known = logs.knowledge()
        producer: Any = self.producer
        marks: Any = self.marks
        self.announcer = Announcer(
            lambda: producer,
            self.known,
            links_topic=LINKS.topic,
            corrections_topic=CORRECTIONS.topic,
            sightings_topic=SIGHTINGS.topic,
        )
        shared: dict[str, Any] = {
            "persister": Persister(self.sink),
            "epochs": Epochs(),
            "marks": marks,
            "knowledge": self.known,
            "announcer": self.announcer,
            "refusals": Refusals(lambda: producer, "dead", PARTITIONS),
        }
        self.agent = Identify(
            decode=Decoder("BG", 300_000_000, customer_of=self.known.index.customer_of).decode,
            interactions=SharedDelivery(lambda: producer, "interactions"),
            partitions=PARTITIONS,
            **shared,
        )
        self.facts = Facts(decoder=FactDecoder("BG", 300_000_000), **shared)

    def sent(self) -> list[tuple[Interaction, int]]:
        """The interactions in the order of sending in each partition, each with the position that its sender told."""
        found = []
        for (topic, _), items in self.producer.sent.items():
            told = None
            for key, value in items if topic == "interactions" else ():
                assert value is not None
                if key == CONTROL_KEY:
                    told = decode_watermarks(value).links_seen
                else:
                    assert told is not None, "every interaction stands behind a control record"
                    found.append((decode_interaction(value), told))
        return found

    def customers(self) -> dict[str, str | None]:
        """By id, whose each interaction is."""
        return {one.id: one.customer for one, _ in self.sent()}

    async def handle(self, *values: bytes, topic: str = "touchline.visit") -> None:
        records = (
            Record(offset, value, b"k%d" % offset, topic, 1, 1_700_000_000_000, (("h", b"\xff"),))
            for offset, value in enumerate(values)
        )
        batch = self.app.batch(records, TP(topic, 1))
        await finish(batch, await self.agent(batch))


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


@pytest.fixture
async def logs() -> Logs:
    return Logs()


@pytest.fixture
async def bench(logs: Logs) -> AsyncIterator[Bench]:
    """A worker that has read the logs, which are empty unless the test has used them first."""
    one = Bench(logs)
    await one.known.start()
    yield one
    await one.known.close()


async def test_interactions_go_to_the_partition_of_their_customer_with_the_customer_as_key(
    bench: Bench,
) -> None:
    await bench.handle(*(event(number, crm_id=f"c{number}") for number in range(20)))
    sent = {
        key: (partition, decode_interaction(value))
        for (topic, partition), items in bench.producer.sent.items()
        for key, value in items
        if topic == "interactions" and key not in (None, CONTROL_KEY) and value is not None
    }
    assert len(sent) == 20
    for key, (partition, interaction) in sent.items():
        assert key.decode() == interaction.customer
        assert partition == partition_of(key, PARTITIONS)
        assert (interaction.topic, interaction.partition) == ("touchline.visit", 1)
        assert interaction.received_at == 1_700_000_000_000_000


async def test_one_customers_interactions_keep_their_order(bench: Bench) -> None:
    await bench.handle(*(event(number, crm_id="ann") for number in range(9)))
    assert [one.offset for one, _ in bench.sent()] == list(range(9))


async def test_a_bad_record_is_a_dead_letter_as_it_came_and_its_neighbours_pass(bench: Bench) -> None:
    await bench.handle(event(0, crm_id="ann"), b"\xff{", event(2, crm_id="bob"))
    ((topic, _partition, key, value, headers),) = bench.producer.headers
    assert (topic, key, value) == ("dead", b"k1", b"\xff{")
    letter = parse_dead_letter(key, value, headers, 0)
    assert (letter.topic, letter.partition, letter.offset) == ("touchline.visit", 1, 1)
    assert letter.headers == (("h", b"\xff"),)
    (rows,) = bench.sink.written
    assert rows.received == (OffsetRange("touchline.visit", 1, 0, 2),)
    assert [found.value for found in rows.dead_letters] == [b"\xff{"]
    assert bench.customers() == {"0": "crm:ann", "2": "crm:bob"}


async def test_the_ledger_hears_in_which_life_of_the_topics_a_record_was_read(bench: Bench) -> None:
    await bench.handle(event(0, crm_id="ann"), b"{")
    await tell(bench, fact(1))
    assert [rows.incarnation for rows in bench.sink.written] == [77, 77]


async def test_dead_letters_are_delivered_before_any_row_says_so(bench: Bench) -> None:
    await bench.handle(b"{", event(1, crm_id="ann"))
    assert bench.order[0] == "dead"
    assert sorted(bench.order[1:]) == ["interactions", "rows", "sightings"]
    assert len(bench.app.acks) == 1


async def test_a_record_of_neither_key_nor_value_is_a_dead_letter(bench: Bench) -> None:
    nothing = Record(0, None, None, "touchline.visit", 1)
    batch = bench.app.batch([nothing], TP("touchline.visit", 1))
    await finish(batch, await bench.agent(batch))
    ((_topic, _partition, key, value, headers),) = bench.producer.headers
    assert (key, value, parse_dead_letter(key, value, headers, 0).error) == (None, None, "empty")
    assert bench.app.acks == [(TP("touchline.visit", 1), 0)]


async def test_a_dead_letter_that_its_topic_cannot_hold_is_bare_there_and_whole_in_its_row(
    bench: Bench,
) -> None:
    bench.producer.max_bytes = 1_000
    await bench.handle(b"x" * 1_000, b"{", event(2, crm_id="ann"))
    letters = {
        letter.offset: letter
        for _topic, _partition, key, value, headers in bench.producer.headers
        for letter in (parse_dead_letter(key, value, headers, 0),)
    }
    assert (letters[0].key, letters[0].value, letters[0].headers) == (None, None, ())
    assert letters[0].message.startswith("the value is not JSON")
    assert letters[0].message.endswith("whole in ClickHouse and at its coordinates")
    assert (letters[1].key, letters[1].value) == (b"k1", b"{")
    (rows,) = bench.sink.written
    assert {row.offset: (row.key, row.value) for row in rows.dead_letters} == {
        0: (b"k0", b"x" * 1_000),
        1: (b"k1", b"{"),
    }
    assert bench.customers() == {"2": "crm:ann"}


@pytest.mark.parametrize(
    "timestamp",
    [-1, 1_790_000_000_000_000, 1_790_000_000_000_000_000, 2**63 - 1, -(2**63)],
    ids=["none", "microseconds", "nanoseconds", "greatest", "least"],
)
async def test_a_timestamp_that_nobody_means_is_unknown(bench: Bench, timestamp: int) -> None:
    record = Record(0, event(0, crm_id="ann"), None, "touchline.visit", 1, timestamp)
    batch = bench.app.batch([record], TP("touchline.visit", 1))
    await finish(batch, await bench.agent(batch))
    ((sent, _told),) = bench.sent()
    assert sent.received_at is None


async def test_a_tombstone_is_a_dead_letter(bench: Bench) -> None:
    batch = bench.app.batch([Record(0, None, b"k", "touchline.visit")])
    await finish(batch, await bench.agent(batch))
    assert [(letter.value, letter.stage) for letter in bench.sink.written[0].dead_letters] == [
        (None, "decode")
    ]


async def test_the_watermark_is_told_the_newest_event_once_all_is_forwarded(bench: Bench) -> None:
    await bench.handle(event(0, "2026-03-02T00:00:00Z"), event(1, "2026-03-01T00:00:00Z"), b"{")
    assert bench.marks.seen == [1_772_409_600_000_000]


async def test_a_batch_of_nothing_but_dead_letters_moves_no_watermark(bench: Bench) -> None:
    await bench.handle(b"{")
    assert bench.marks.seen == [None]


async def test_nothing_is_acknowledged_or_marked_when_the_partition_is_lost_on_the_way(bench: Bench) -> None:
    bench.producer._before = lambda topic: setattr(bench.app, "rebalancing_count", topic == "interactions")
    with pytest.raises(Fenced):
        await bench.handle(event(0, crm_id="ann"))
    assert bench.app.acks == []
    assert bench.marks.seen == []


async def test_nothing_is_acknowledged_when_the_partition_is_lost_while_the_ledger_is_written(
    bench: Bench,
) -> None:
    bench.sink._before = lambda _batch: setattr(bench.app, "rebalancing_count", 1)
    with pytest.raises(Fenced):
        await bench.handle(event(0, crm_id="ann"))
    assert bench.app.acks == []


CALL, MAIL = {"crm_id": "ann", "email": "ann@example.com"}, {"email": "ann@example.com"}
ANN, HERS = "crm:ann", "email:ann@example.com"


async def test_a_link_is_learnt_read_back_and_used_for_the_batch_that_taught_it(bench: Bench) -> None:
    await bench.handle(event(0, **MAIL), event(1, **CALL))
    assert bench.customers() == {"0": ANN, "1": ANN}
    assert {told for _, told in bench.sent()} == {1}
    await bench.handle(event(2, "2026-03-01T11:00:00Z", **MAIL), event(3, "2026-03-01T11:00:00Z", **CALL))
    assert bench.customers()["2"] == ANN
    assert bench.known.links_seen == 1, "nothing new is announced again"


async def test_links_and_corrections_are_announced_before_any_interaction_is_sent(bench: Bench) -> None:
    document = json.loads(event(0, **CALL)) | {"revision": 2}
    await bench.handle(json.dumps(document).encode())
    assert sorted(bench.order[:2]) == ["corrections", "links"]
    await bench.known.read_to_end()
    found = bench.known.correction(("offices", "0"))
    assert found is not None
    assert (found.revision, found.identifiers.crm_id) == (2, "ann")


async def test_links_of_one_pair_in_a_batch_are_one_record_with_the_earliest_evidence(bench: Bench) -> None:
    await bench.handle(event(0, "2026-03-02T10:00:00Z", **CALL), event(1, "2026-03-01T10:00:00Z", **CALL))
    (record,) = [decode_record(one.value or b"") for one in bench.logs.records[LINKS]]
    assert isinstance(record, Link)
    assert (record.a, record.b, record.evidence) == (ANN, HERS, "offices\x1f1")
    assert record.first_seen < record.last_seen


async def test_a_repeated_batch_after_a_crash_ends_the_same(logs: Logs, bench: Bench) -> None:
    bench.sink._before = lambda _batch: setattr(bench.app, "rebalancing_count", 1)
    with pytest.raises(Fenced):
        await bench.handle(event(0, **CALL), event(1, **MAIL))
    other = Bench(logs)
    await other.known.start()
    await other.handle(event(0, **CALL), event(1, **MAIL))
    await other.known.close()
    assert other.customers() == {"0": ANN, "1": ANN}
    assert logs.ends[LINKS] == 1


async def test_a_worker_that_starts_later_knows_what_others_have_learnt(logs: Logs, bench: Bench) -> None:
    await bench.handle(event(0, **CALL))
    other = Bench(logs)
    await other.known.start()
    await other.handle(event(1, **MAIL))
    await other.known.close()
    assert other.customers() == {"1": ANN}


async def test_nothing_is_sent_before_what_was_announced_is_read_back(logs: Logs, bench: Bench) -> None:
    logs.held_back = True
    handling = asyncio.create_task(bench.handle(event(0, **CALL)))
    while LINKS.topic not in bench.order:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.sent() == []
    logs.release()
    await handling
    assert bench.customers() == {"0": ANN}


async def test_an_equal_revision_that_names_another_customer_changes_nothing(bench: Bench) -> None:
    await bench.handle(
        event(0, crm_id="ann"), event(0, crm_id="bob", email="bob@example.com"), event(1, crm_id="eve")
    )
    assert bench.customers() == {"0": "crm:ann", "1": "crm:eve"}
    assert bench.sink.written[-1].superseded == (Coordinates("touchline.visit", 1, 1),)
    await bench.handle(event(2, crm_id="ann"), event(0, crm_id="cid", phone="+359888000111"))
    assert bench.sink.written[-1].superseded == (Coordinates("touchline.visit", 1, 1),)
    assert bench.customers() == {"0": "crm:ann", "1": "crm:eve", "2": "crm:ann"}
    assert bench.known.links_seen == 0, "nothing is learnt of it either"


async def test_a_repetition_goes_on_as_it_came_and_is_announced_once(bench: Bench) -> None:
    await bench.handle(event(0, crm_id="ann"))
    await bench.handle(event(0, crm_id="ann"), event(0, crm_id="ann"))
    assert [one.id for one, _ in bench.sent()] == ["0", "0", "0"]  # the timeline knows repetitions
    assert bench.logs.ends[SIGHTINGS] == 1


async def test_a_higher_revision_may_name_another_customer(bench: Bench) -> None:
    corrected = json.loads(event(0, crm_id="bob")) | {"revision": 1}
    await bench.handle(event(0, crm_id="ann"), json.dumps(corrected).encode())
    assert [one.customer for one, _ in bench.sent()] == ["crm:ann", "crm:bob"]
    assert bench.sink.written[-1].superseded == ()


async def test_what_another_worker_was_told_first_counts(logs: Logs, bench: Bench) -> None:
    other = Bench(logs)
    await other.known.start()
    logs.held_back = True
    first = asyncio.create_task(bench.handle(event(0, crm_id="ann"), event(1, crm_id="ann")))
    while SIGHTINGS.topic not in bench.order:
        await asyncio.sleep(0)
    second = asyncio.create_task(other.handle(event(0, crm_id="bob"), event(2, crm_id="bob")))
    while SIGHTINGS.topic not in other.order:
        await asyncio.sleep(0)
    logs.release()
    await asyncio.gather(first, second)
    await other.known.close()
    assert bench.customers() == {"0": "crm:ann", "1": "crm:ann"}
    assert other.customers() == {"2": "crm:bob"}
    assert other.sink.written[-1].superseded == (Coordinates("touchline.visit", 1, 0),)
    assert not bench.sink.written[-1].superseded


async def test_who_starts_later_knows_of_whom_was_told_first(logs: Logs, bench: Bench) -> None:
    await bench.handle(event(0, crm_id="ann"))
    logs.append(SIGHTINGS, None, b"foreign")
    other = Bench(logs)
    await other.known.start()
    await other.handle(event(0, crm_id="bob"), event(0, crm_id="ann"))
    await other.known.close()
    assert [one.customer for one, _ in other.sent()] == ["crm:ann"]


def fact(number: int, revision: int = 0, operation: str = "link", **more: Any) -> bytes:
    said = {"crm_id": "ann", "phone": "+359888000111"} | more
    return json.dumps(
        {
            "id": str(number),
            "source": "crm",
            "revision": revision,
            "occurred_at": "2026-03-01T10:00:00Z",
            "operation": operation,
            "identifiers": said,
        }
    ).encode()


async def tell(bench: Bench, *values: bytes) -> None:
    batch = bench.app.batch(
        (
            Record(offset, value, topic="touchline.identity", partition=1)
            for offset, value in enumerate(values)
        ),
        TP("touchline.identity", 1),
    )
    await finish(batch, await bench.facts(batch))


async def test_a_fact_is_stored_when_it_is_in_the_log_and_repetitions_are_superseded(bench: Bench) -> None:
    await tell(bench, fact(1, 0), fact(1, 1), fact(2), fact(2), b"{")
    (rows,) = bench.sink.written
    at = [Coordinates("touchline.identity", 1, offset) for offset in range(5)]
    assert rows.received == (OffsetRange("touchline.identity", 1, 0, 4),)
    assert sorted(rows.stored) == [at[1], at[2]]
    assert sorted(rows.superseded) == [at[0], at[3]]
    assert [letter.offset for letter in rows.dead_letters] == [4]
    assert bench.known.index.customer("phone:+359888000111") == ANN
    assert bench.order == ["dead", "links", "rows"]
    assert len(bench.app.acks) == 1


async def test_a_fact_that_is_known_already_is_superseded_and_not_announced_again(bench: Bench) -> None:
    await tell(bench, fact(1, 3))
    await tell(bench, fact(1, 2), fact(1, 3, "unlink"))
    assert bench.known.links_seen == 1
    assert len(bench.sink.written[-1].superseded) == 2
    assert bench.known.index.customer("phone:+359888000111") == ANN


async def test_a_fact_moves_the_watermark_by_when_it_is_known_since(bench: Bench) -> None:
    await tell(bench, fact(1), b"{")
    assert bench.marks.seen == [1_772_359_200_000_000]


async def test_what_another_worker_overwrote_with_less_is_written_whole(logs: Logs, bench: Bench) -> None:
    logs.held_back = True
    handling = asyncio.create_task(bench.handle(event(0, "2026-03-02T10:00:00Z", **CALL)))
    logs.link(Link(ANN, HERS, 7, 0, "calls\x1f1"))
    while LINKS.topic not in bench.order:
        await asyncio.sleep(0)
    logs.release()
    await handling
    await bench.announcer.complete()
    last = decode_record(logs.records[LINKS][-1].value or b"")
    assert isinstance(last, Link)
    assert (last.first_seen, last.evidence) == (7, "calls\x1f1")
    assert last.last_seen > 0
    await bench.announcer.complete()
    assert logs.ends[LINKS] == 3


def erased(*hashes: bytes) -> Erasure:
    (one,) = erasure_parts("e1", 0, [], hashes)
    return one


async def test_an_event_that_was_forgotten_is_superseded_and_teaches_nothing(
    logs: Logs, bench: Bench
) -> None:
    logs.erase(erased(HASHES.erased_identity("offices", "0"), HASHES.erased_identity("offices", "1")))
    await bench.known.read_to_end()
    again = json.loads(event(1, **CALL)) | {"revision": 3}
    await bench.handle(event(0, **CALL), json.dumps(again).encode(), event(2, crm_id="ann"))
    assert bench.customers() == {"2": "crm:ann"}
    (rows,) = bench.sink.written
    assert rows.received == (OffsetRange("touchline.visit", 1, 0, 2),)
    assert rows.superseded == tuple(Coordinates("touchline.visit", 1, offset) for offset in (0, 1))
    assert (bench.known.links_seen, bench.known.corrections_seen) == (0, 0)
    assert bench.marks.seen == [1_772_359_200_000_000]


async def test_the_bytes_of_a_dead_letter_that_was_forgotten_make_no_other_one(
    logs: Logs, bench: Bench
) -> None:
    broken, other = b'{"id": "b-1", "caller": "ann"}', b'{"id": "b-1", "caller": "bob"}'
    logs.erase(erased(HASHES.erased_identity(*letter_identity(broken))))
    await bench.known.read_to_end()
    await bench.handle(broken, other)
    (rows,) = bench.sink.written
    assert [letter.value for letter in rows.dead_letters] == [other]
    assert rows.superseded == (Coordinates("touchline.visit", 1, 0),)


async def test_a_fact_that_was_forgotten_is_superseded_and_so_is_what_says_that_it_was(
    logs: Logs, bench: Bench
) -> None:
    first = json.loads(fact(1))
    logs.erase(erased(HASHES.erased_fact(first["source"], first["id"])))
    await bench.known.read_to_end()
    await tell(bench, fact(1), None, fact(2))
    (rows,) = bench.sink.written
    at = [Coordinates("touchline.identity", 1, offset) for offset in range(3)]
    assert (rows.stored, sorted(rows.superseded), rows.dead_letters) == ((at[2],), at[:2], ())
