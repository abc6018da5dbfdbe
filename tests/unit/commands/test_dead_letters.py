"""`touchline dead-letters`: bytes that come back as they were, and filters."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError

from streams import cli
from streams.commands import resending
from streams.commands.dead_letters import description, document, preview
from streams.commands.rejects import Filter, Reject, reject_of
from streams.commands.resending import Resent, resend_all
from streams.kafka.access import KafkaAccess

NOON = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def reject(value: bytes | None = b"{}", **changes: Any) -> Reject:
    fields: dict[str, Any] = {
        "topic": "touchline.phone",
        "partition": 3,
        "offset": 42,
        "key": b"k",
        "value": value,
        "headers": (("h", b"\xff"),),
        "stage": "decode",
        "error": "NotJson",
        "message": "not JSON",
        "occurred_at": NOON,
    }
    return Reject(**(fields | changes))


def row(key: bytes | None, value: bytes | None, header: bytes) -> tuple[Any, ...]:
    """A row as ClickHouse gives it."""
    return (
        "t", 1, 2, key is None, (key or b"").hex().upper(), value is None, (value or b"").hex().upper(),
        ["h", "h"], [header.hex(), ""], "decode", "E", "m", 1_772_366_400_123_456,
    )  # fmt: skip


@given(key=st.none() | st.binary(), value=st.none() | st.binary(), header=st.binary())
def test_any_bytes_come_back_as_they_were(key: bytes | None, value: bytes | None, header: bytes) -> None:
    read = reject_of(row(key, value, header))
    assert (read.key, read.value, read.headers) == (key, value, (("h", header), ("h", b"")))


def test_an_empty_value_is_not_a_missing_one() -> None:
    assert reject_of(row(None, b"", b"")).value == b""
    assert reject_of(row(None, None, b"")).value is None


def test_time_is_exact_to_the_microsecond() -> None:
    assert reject_of(row(None, None, b"")).occurred_at == NOON


def test_no_filter_narrows_nothing() -> None:
    assert not Filter().narrows
    assert Filter().where() == ("1", {})


def test_offset_zero_is_a_filter() -> None:
    assert Filter(offset=0).narrows
    assert Filter(offset=0).where() == ("`offset` = %(offset)s", {"offset": 0})


def test_every_condition_must_hold_and_values_travel_as_parameters() -> None:
    condition, parameters = Filter(reason="x'; --", topic="t", since=NOON, until=NOON).where()
    assert condition.count(" AND ") == 3
    assert "--" not in condition
    assert parameters == {
        "reason": "x'; --",
        "topic": "t",
        "since": 1_772_366_400_123_456,
        "until": 1_772_366_400_123_456,
    }


def test_a_preview_shows_control_characters_and_does_not_obey_them() -> None:
    assert preview(b"a\x1b[31mb\nc") == r"a\x1b[31mb\nc"


def test_a_preview_is_one_short_line_of_any_script() -> None:
    assert preview("Здравей".encode()) == "Здравей"
    assert preview("Ж".encode() * 1_000).endswith(" ...")
    assert preview(None) == "(no value)"


def test_a_description_keeps_the_lines_of_the_value_and_defuses_the_rest() -> None:
    text = description(reject(b'{\n "a": "\x1b[2J"\n}'))
    assert '\n{\n "a": "\\x1b[2J"\n}' in text
    assert "why        NotJson: not JSON" in text


def test_json_has_text_where_there_is_text_and_bytes_always() -> None:
    shown = document(reject(b"\xff", key="ключ".encode()))
    assert shown["key"] == "ключ"
    assert shown["value"] is None
    assert base64.b64decode(shown["value_base64"]) == b"\xff"
    assert shown["headers"][0]["value"] is None


def test_resend_without_a_choice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["dead-letters", "resend"]) == 2
    assert "--all" in capsys.readouterr().err


def test_since_needs_an_offset(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["dead-letters", "list", "--since", "2026-03-01T10:00:00"]) == 2
    assert "2026-03-01T10:00:00Z" in capsys.readouterr().err


class Delivery:
    """What a producer's `send` returns."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def get(self, timeout: float) -> None:  # noqa: ARG002
        if self._error is not None:
            raise self._error


class Producer:
    """Two partitions; offsets in `broken` are not delivered."""

    def __init__(self, broken: frozenset[bytes] = frozenset()) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._broken = broken

    def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1}

    def send(self, topic: str, **record: Any) -> Delivery:
        self.sent.append({"topic": topic, **record})
        return Delivery(KafkaTimeoutError() if record["value"] in self._broken else None)

    def close(self, timeout: float) -> None:  # noqa: ARG002
        self.closed = True


def resend(monkeypatch: pytest.MonkeyPatch, letters: list[Reject], producer: Producer) -> Resent:
    monkeypatch.setattr(resending, "find_all", lambda _target, _chosen: iter(letters))
    monkeypatch.setattr(resending, "_producer", lambda _access: producer)
    return resend_all(None, KafkaAccess("broker:9092"), "touchline.", Filter())


def test_a_letter_is_sent_byte_for_byte_to_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer()
    assert resend(monkeypatch, [reject(b"\xff", partition=1)], producer) == Resent(1, 1, 0, 0)
    assert producer.sent == [
        {
            "topic": "touchline.phone",
            "value": b"\xff",
            "key": b"k",
            "headers": [("h", b"\xff")],
            "partition": 1,
        }
    ]
    assert producer.closed


def test_a_partition_that_is_no_more_leaves_the_choice_to_the_producer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = Producer()
    resend(monkeypatch, [reject(partition=2)], producer)
    assert producer.sent[0]["partition"] is None


@pytest.mark.parametrize("topic", ["events.jsonl", "other.phone", "touchline.interactions"])
def test_letters_of_no_raw_topic_are_skipped(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer()
    assert resend(monkeypatch, [reject(topic=topic), reject()], producer) == Resent(2, 1, 1, 0)


def test_a_record_of_neither_key_nor_value_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [reject(None, key=None), reject(None), reject(key=None)]
    assert resend(monkeypatch, letters, Producer()) == Resent(3, 2, 1, 0)


def test_what_is_not_delivered_is_counted_and_the_rest_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resending, "IN_FLIGHT", 2)
    letters = [reject(str(number).encode()) for number in range(7)]
    producer = Producer(broken=frozenset({b"0", b"6"}))
    assert resend(monkeypatch, letters, producer) == Resent(chosen=7, sent=5, skipped=0, failed=2)


def test_list_prints_one_json_array(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from contextlib import nullcontext
    from types import SimpleNamespace

    from streams.commands import dead_letters

    running = SimpleNamespace(clickhouse=None)
    monkeypatch.setattr(dead_letters, "servers", lambda *_args, **_options: nullcontext(running))
    monkeypatch.setattr(dead_letters, "find", lambda *_arguments: [reject(), reject(b"\xff")])
    assert cli.run(["dead-letters", "list", "--json"]) == 0
    assert [one["offset"] for one in json.loads(capsys.readouterr().out)] == [42, 42]
