"""Watermarks out: whose partitions are reported, when an end may be believed, and what a failed send costs."""

from datetime import timedelta
from typing import Any

from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from schemas.interaction import CONTROL_KEY, SECOND, WatermarkReport, decode_watermarks
from streams.agents.marks import FRESH, OwnMarks, publish_marks, source_name
from tests.unit.agents.fakes import Producer

RAW, OTHER = TP("touchline.phone", 0), TP("touchline.phone", 1)
NOW = 1_000 * SECOND


def own() -> OwnMarks:
    return OwnMarks(["touchline.phone"], timedelta(seconds=60))


def test_a_partition_with_more_to_read_is_marked_by_its_newest_event_less_the_lateness() -> None:
    marks = own()
    marks.read(RAW, NOW - 100 * SECOND)
    marks.read(RAW, NOW - 300 * SECOND)
    assert marks.report([RAW], {}, NOW).marks == {"touchline.phone/0": NOW - 160 * SECOND}


def test_a_partition_read_to_its_end_is_marked_by_the_time_of_the_answer_that_said_so() -> None:
    assert own().report([RAW], {RAW: NOW - SECOND}, NOW).marks == {"touchline.phone/0": NOW - SECOND}


def test_several_ends_are_marked_by_the_oldest_answer() -> None:
    report = own().report([RAW, OTHER], {RAW: NOW - 3 * SECOND, OTHER: NOW}, NOW)
    assert set(report.marks.values()) == {NOW - 3 * SECOND}


def test_an_answer_exactly_as_old_as_allowed_counts_and_an_older_one_does_not() -> None:
    assert own().report([RAW], {RAW: NOW - FRESH}, NOW).marks
    assert own().report([RAW], {RAW: NOW - FRESH - 1}, NOW).marks == {}


def test_an_event_without_anything_newest_marks_nothing() -> None:
    marks = own()
    marks.read(RAW, None)
    assert marks.report([RAW], {}, NOW).marks == {}


def test_other_topics_and_partitions_of_others_are_not_ours_to_report() -> None:
    interactions = TP("touchline.interactions", 0)
    ends = {RAW: NOW, OTHER: NOW, interactions: NOW}
    assert set(own().report([RAW, interactions], ends, NOW).marks) == {"touchline.phone/0"}


def test_a_lost_partition_is_forgotten_and_begins_anew_when_it_returns() -> None:
    marks = own()
    marks.read(RAW, NOW)
    assert marks.report([RAW], {}, NOW).marks
    assert marks.report([OTHER], {}, NOW).marks == {}
    assert marks.report([RAW], {}, NOW).marks == {}


def test_an_event_from_the_future_does_not_push_time() -> None:
    marks = own()
    marks.read(RAW, NOW + 3_600 * SECOND)
    assert marks.report([RAW], {}, NOW).marks == {"touchline.phone/0": NOW}


async def test_a_report_goes_to_every_partition() -> None:
    producer: Any = Producer()
    await publish_marks(producer, "i", range(3), WatermarkReport({"a/0": 5}))
    assert set(producer.sent) == {("i", 0), ("i", 1), ("i", 2)}
    for ((key, value),) in producer.sent.values():
        assert key == CONTROL_KEY
        assert decode_watermarks(value).marks == {"a/0": 5}


async def test_an_empty_report_is_not_sent() -> None:
    producer: Any = Producer()
    await publish_marks(producer, "i", range(3), WatermarkReport({}))
    assert producer.sent == {}


async def test_a_report_that_cannot_be_sent_is_left_to_the_next_one() -> None:
    def away(_topic: str) -> None:
        raise KafkaConnectionError

    producer: Any = Producer(away)
    await publish_marks(producer, "i", range(3), WatermarkReport({"a/0": 5}))
    assert producer.sent == {}


def test_source_names_are_those_that_the_journeys_expect() -> None:
    assert source_name(RAW) == "touchline.phone/0"
