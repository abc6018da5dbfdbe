"""Reading, validating and sending lines, against a producer that records; pacing without a clock."""

import io
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError

from schemas.codec import Decoder
from schemas.identity import FactDecoder
from streams.kafka.access import KafkaAccess
from streams.kafka.addressing import Addressing, EventAddressing, FactAddressing
from streams.kafka.event_publisher import Pace
from streams.kafka.publishing import (
    DELIVERY_SECONDS,
    BrokerSilent,
    LinePublisher,
    PublishReport,
    Rejection,
    TopicMissing,
    lines_of,
)

NOW = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
TOPICS = {f"t.{channel}" for channel in ("phone", "email", "visit", "online")}


def event(channel: str = "phone", **changes: Any) -> bytes:
    kinds = {"phone": "call", "email": "message", "visit": "visit", "online": "order"}
    body = {
        "id": "1",
        "source": "s",
        "channel": channel,
        "type": kinds[channel],
        "occurred_at": "2026-03-01T10:00:00Z",
        "customer": {},
    }
    if channel in ("phone", "email"):
        body["direction"] = "inbound"
    return json.dumps(body | changes).encode()


class Acknowledgement:
    def __init__(self, error: Exception | None):
        self._error = error

    def get(self, timeout: float) -> None:  # noqa: ARG002
        if self._error is not None:
            raise self._error


class RecordingProducer:
    """Stands for KafkaProducer: keeps what it is given, fails for the values it is told to."""

    def __init__(
        self,
        topics: set[str] = TOPICS,
        refuses: dict[bytes, Exception] | None = None,
        loses: dict[bytes, Exception] | None = None,
    ):
        self.topics, self.refuses, self.loses = topics, refuses or {}, loses or {}
        self.sent: list[tuple[str, bytes | None, bytes]] = []
        self.closed = False

    def __call__(self, **settings: Any) -> "RecordingProducer":
        assert settings["acks"] == "all"
        return self

    def send(self, topic: str, value: bytes, key: bytes | None) -> Acknowledgement:
        if value in self.refuses:
            raise self.refuses[value]
        self.sent.append((topic, key, value))
        return Acknowledgement(self.loses.get(value))

    def flush(self, timeout: float) -> None: ...

    def close(self, timeout: float) -> None:  # noqa: ARG002
        self.closed = True


def publish(
    lines: Sequence[bytes], producer: Any = None, addressing: Addressing | None = None, **options: Any
) -> tuple[PublishReport, list[Rejection], RecordingProducer]:
    producer = producer or RecordingProducer()
    rejections: list[Rejection] = []
    publisher = LinePublisher(
        KafkaAccess("broker:9092"),
        addressing or EventAddressing(lambda name: f"t.{name}", Decoder("BG", 0, lambda *_: None), **options),
        clock=lambda: NOW,
        on_rejected=rejections.append,
        producer=producer,
        topics_on=lambda _: getattr(producer, "topics", TOPICS),
    )
    report = publisher.publish(lines_of("events.jsonl", io.BytesIO(b"\n".join(lines))))
    return report, rejections, producer


def test_the_channel_decides_the_topic_and_the_id_is_the_key() -> None:
    report, _, producer = publish([event(channel, id=channel) for channel in ("phone", "visit", "online")])
    assert report == PublishReport(read=3, published=3, rejected=0, undelivered=0)
    assert report.complete
    assert [sent[:2] for sent in producer.sent] == [
        ("t.phone", b"phone"),
        ("t.visit", b"visit"),
        ("t.online", b"online"),
    ]
    assert producer.closed


def test_lines_travel_byte_for_byte() -> None:
    odd = b'  {"customer":{}, ' + event().replace(b'"customer": {}, ', b"")[1:] + b"  "
    _, _, producer = publish([odd])
    assert producer.sent[0][2] == odd


def test_line_endings_go_and_blank_lines_are_not_read_but_counted() -> None:
    lines = list(lines_of("f", io.BytesIO(b"\n{1}\r\n   \n{2}\r\r\n{3}")))
    assert [(line.number, line.value) for line in lines] == [(2, b"{1}"), (4, b"{2}\r"), (5, b"{3}")]


def test_a_wrong_line_is_named_with_its_number_and_field_and_the_rest_goes_on() -> None:
    report, rejections, producer = publish(
        [event(), b"", b"{not json", event(price={"charged": 5}), event("visit")]
    )
    assert report == PublishReport(read=4, published=2, rejected=2, undelivered=0)
    assert not report.complete
    assert [(rejection.file, rejection.number) for rejection in rejections] == [
        ("events.jsonl", 3),
        ("events.jsonl", 4),
    ]
    assert str(rejections[1]).startswith("events.jsonl:4: price.charged")
    assert [topic for topic, _, _ in producer.sent] == ["t.phone", "t.visit"]


def test_an_event_from_the_future_is_rejected_by_the_clock_given() -> None:
    _, rejections, _ = publish([event(occurred_at="2026-03-02T00:00:01Z")])
    assert "occurred_at" in rejections[0].reason


def test_a_structured_cloudevent_goes_to_the_channel_of_its_type() -> None:
    line = json.dumps(
        {
            "specversion": "1.0",
            "id": "7",
            "source": "desk",
            "type": "org.example.visit.visit",
            "time": "2026-03-01T10:00:00Z",
            "data": {"customer": {}},
        }
    ).encode()
    report, _, producer = publish([line])
    assert report.complete
    assert producer.sent == [("t.visit", b"7", line)]


def test_with_a_channel_lines_of_another_one_are_rejected_with_the_reason() -> None:
    report, rejections, producer = publish([event("phone"), event("visit")], channel="visit")
    assert report == PublishReport(read=2, published=1, rejected=1, undelivered=0)
    assert "phone" in rejections[0].reason
    assert "visit" in rejections[0].reason
    assert [topic for topic, _, _ in producer.sent] == ["t.visit"]


def test_with_a_channel_only_its_topic_has_to_exist() -> None:
    report, _, _ = publish([event("visit")], RecordingProducer(topics={"t.visit"}), channel="visit")
    assert report.complete


@pytest.mark.parametrize(
    ("line", "topic"),
    [
        (event("phone", price={"charged": 5}), "t.phone"),
        (b'{"specversion": "1.0", "type": "a.b.email.message"}', "t.email"),
        (b'{"specversion": "1.0", "type": "x", "data": {"channel": "visit"}}', "t.visit"),
    ],
)
def test_invalid_lines_go_to_the_channel_that_they_claim_when_allowed(line: bytes, topic: str) -> None:
    report, _, producer = publish([line], allow_invalid=True)
    assert report.complete
    assert producer.sent == [(topic, None, line)]


@pytest.mark.parametrize(
    "line", [b"{not json", b"[1]", b'{"channel": "fax"}', b"\xff\xfe", b'{"specversion": 1}']
)
def test_an_invalid_line_without_a_channel_needs_one_to_be_named(line: bytes) -> None:
    report, rejections, _ = publish([line], allow_invalid=True)
    assert report.rejected == 1
    assert "--channel" in rejections[0].reason
    report, _, producer = publish([line], allow_invalid=True, channel="online")
    assert report.complete
    assert producer.sent == [("t.online", None, line)]


def test_a_line_that_the_broker_refuses_is_undelivered_and_the_rest_goes_on() -> None:
    too_large, lost = event(id="large"), event(id="lost")
    producer = RecordingProducer(
        refuses={too_large: MessageSizeTooLargeError("too large")}, loses={lost: KafkaTimeoutError("expired")}
    )
    report, rejections, _ = publish([too_large, lost, event()], producer)
    assert report == PublishReport(read=3, published=1, rejected=0, undelivered=2)
    assert [rejection.number for rejection in rejections] == [1, 2]
    assert "not delivered" in rejections[0].reason


def test_a_broker_that_stops_answering_ends_the_work() -> None:
    producer = RecordingProducer(refuses={event(id="2"): KafkaTimeoutError("no memory in the buffer")})
    with pytest.raises(BrokerSilent, match="broker:9092"):
        publish([event(), event(id="2"), event(id="3")], producer)
    assert producer.closed


def test_a_broker_that_has_acknowledged_nothing_for_as_long_as_a_delivery_may_take_ends_the_work() -> None:
    lines = [event(id=str(number)) for number in range(3)]
    producer = RecordingProducer(loses=dict.fromkeys(lines[1:], KafkaTimeoutError("expired")))
    passing = itertools.count(NOW, int(DELIVERY_SECONDS * 1_000_000 / 4))
    publisher = LinePublisher(
        KafkaAccess("broker:9092"),
        EventAddressing(lambda name: f"t.{name}", Decoder("BG", 0, lambda *_: None)),
        clock=lambda: next(passing),
        producer=producer,
        topics_on=lambda _: TOPICS,
    )
    with pytest.raises(BrokerSilent, match="stopped answering after 1 lines"):
        publisher.publish(lines_of("events.jsonl", io.BytesIO(b"\n".join([*lines, *lines[1:], *lines[1:]]))))
    assert producer.closed


def test_a_producer_that_cannot_be_closed_hides_no_reason() -> None:
    class Stuck(RecordingProducer):
        def close(self, timeout: float) -> None:  # noqa: ARG002
            raise KafkaTimeoutError("waiting for future")

    producer = Stuck(refuses={event(id="2"): KafkaTimeoutError("no memory in the buffer")})
    with pytest.raises(BrokerSilent, match="stopped answering after 0 lines"):
        publish([event(), event(id="2")], producer)


def test_a_broker_that_is_not_there_is_named() -> None:
    def nobody(**settings: Any) -> None:  # noqa: ARG001
        raise KafkaConnectionError("refused")

    with pytest.raises(BrokerSilent, match="broker:9092"):
        publish([event()], nobody)


def test_a_missing_topic_is_named_before_anything_is_sent() -> None:
    producer = RecordingProducer(topics=TOPICS - {"t.online"})
    with pytest.raises(TopicMissing, match=r"t\.online"):
        publish([event()], producer)
    assert producer.sent == []


class TestFacts:
    """Lines of `touchline publish --identity`."""

    FACT: ClassVar = {
        "id": "customer-1",
        "source": "crm",
        "occurred_at": "2026-03-01T10:00:00Z",
        "operation": "link",
        "identifiers": {"crm_id": "A1", "phone": "0888 123 456"},
    }

    def publish(self, *facts: dict[str, Any]) -> tuple[PublishReport, list[Rejection], RecordingProducer]:
        return publish(
            [json.dumps(fact).encode() for fact in facts],
            RecordingProducer(topics={"t.identity"}),
            FactAddressing("t.identity", FactDecoder("BG", 0)),
        )

    def test_a_fact_goes_to_its_topic_as_it_is_and_revisions_share_a_key(self) -> None:
        later = self.FACT | {"revision": 1, "identifiers": {"crm_id": "A1", "email": "ann@example.com"}}
        report, _, producer = self.publish(self.FACT, later, self.FACT | {"source": "billing"})
        assert report.complete
        assert [topic for topic, _, _ in producer.sent] == ["t.identity"] * 3
        assert json.loads(producer.sent[1][2]) == later
        first, second, other = (key for _, key, _ in producer.sent)
        assert first == second != other

    def test_no_two_facts_share_a_key_by_accident(self) -> None:
        _, _, producer = self.publish(
            self.FACT | {"source": "a", "id": "bc"}, self.FACT | {"source": "ab", "id": "c"}
        )
        assert len({key for _, key, _ in producer.sent}) == 2

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"operation": "merge"}, "operation"),
            ({"identifiers": {"crm_id": "A1"}}, "two or more"),
            ({"identifiers": {"crm_id": "A1", "phone": "12"}}, "identifiers.phone"),
            ({"identifiers": {"phone": ["0888123456", "+359888123456"]}}, "one and the same"),
            ({"occurred_at": "2026-03-02T00:00:01Z"}, "occurred_at"),
        ],
    )
    def test_a_wrong_fact_is_named_and_the_rest_goes_on(self, changes: dict[str, Any], named: str) -> None:
        report, rejections, producer = self.publish(self.FACT | changes, self.FACT)
        assert (report.read, report.published, report.rejected) == (2, 1, 1)
        assert named in str(rejections[0])
        assert str(rejections[0]).startswith("events.jsonl:1: ")
        assert len(producer.sent) == 1


class TestPace:
    def test_the_rate_is_kept_from_the_start_without_drift(self) -> None:
        pace = Pace(3.0, started=100.0)
        total = 0
        for tick in range(1, 10_001):
            number = pace.allowed(100.0 + tick * 0.1)
            pace.sent(number)
            total += number
        assert total == 3_000

    def test_nothing_is_due_at_the_start(self) -> None:
        assert Pace(1_000.0, started=5.0).allowed(5.0) == 0

    def test_a_stall_beyond_the_slack_is_forgiven_not_sent_in_a_burst(self) -> None:
        pace = Pace(100.0, started=0.0, slack=0.5)
        assert pace.allowed(60.0) == 50
        pace.sent(50)
        assert pace.allowed(60.1) == 10

    def test_a_stall_within_the_slack_is_made_up(self) -> None:
        assert Pace(100.0, started=0.0, slack=0.5).allowed(0.4) == 40

    def test_time_that_was_held_back_is_not_due(self) -> None:
        pace = Pace(100.0, started=0.0)
        pace.held(10.0)
        assert pace.allowed(10.25) == 25

    def test_slow_rates_send_one_now_and_then(self) -> None:
        pace = Pace(0.5, started=0.0)
        sent = []
        for tick in range(100):
            number = pace.allowed(tick / 10)
            pace.sent(number)
            sent += [tick] * number
        assert sent == [20, 40, 60, 80]
        assert {after - before for before, after in pairwise(sent)} == {20}

    def test_a_rate_of_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="rate"):
            Pace(0.0, started=0.0)
