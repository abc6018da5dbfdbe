"""Marks of sources, and the clock that they make."""

from schemas.interaction import WatermarkReport
from streams.core.watermarks import PartitionClock, SourceMarks, merge, minimum


def test_merging_takes_the_later_mark_in_any_order() -> None:
    one, other = {"phone/0": 5, "mail/0": 9}, {"phone/0": 7, "web/0": -1}
    assert merge(one, other) == merge(other, one) == {"phone/0": 7, "mail/0": 9, "web/0": -1}


def test_there_is_no_clock_until_every_expected_partition_has_reported() -> None:
    assert minimum({"phone/0": 5}, ["phone/0", "mail/0"]) is None
    assert minimum({"phone/0": 5, "mail/0": 3, "other": 1}, ["phone/0", "mail/0"]) == 3
    assert minimum({"phone/0": 5}, []) is None


def test_a_clock_is_the_least_mark_and_never_goes_back() -> None:
    clock = PartitionClock(frozenset({"phone/0", "mail/0"}))
    clock = clock.after(WatermarkReport({"phone/0": 10}))
    assert clock.now is None
    clock = clock.after(WatermarkReport({"mail/0": 4}))
    assert clock.now == 4
    assert clock.after(WatermarkReport({"mail/0": 2})).now == 4
    clock = clock.after(WatermarkReport({"mail/0": 30}))
    assert clock.now == 10
    assert clock.expecting(["phone/0", "mail/0", "web/0"]).now == 10
    assert clock.expecting(["mail/0"]).now == 30


def test_a_mark_is_the_greatest_time_read_less_the_lateness() -> None:
    marks = SourceMarks(lateness=10).observed({"phone/0": 100}).observed({"phone/0": 90})
    assert marks.reported_at(1_000, ()).reported == {"phone/0": 90}


def test_a_partition_read_to_its_end_is_at_the_wall_clock_even_when_it_never_had_a_record() -> None:
    marks = SourceMarks(lateness=10).observed({"phone/0": 100}).reported_at(1_000, {"phone/0", "mail/0"})
    assert marks.report() == WatermarkReport({"phone/0": 1_000, "mail/0": 1_000})


def test_a_mark_never_goes_back_when_more_is_there_to_read() -> None:
    marks = SourceMarks(lateness=10).reported_at(1_000, {"phone/0"}).observed({"phone/0": 500})
    assert marks.reported_at(1_001, ()).reported == {"phone/0": 1_000}


def test_a_source_whose_clock_runs_ahead_does_not_push_time_past_the_wall() -> None:
    marks = SourceMarks(lateness=0).observed({"phone/0": 2_000}).reported_at(1_000, ())
    assert marks.reported == {"phone/0": 1_000}


def test_a_partition_that_went_to_another_reader_is_no_longer_reported() -> None:
    marks = SourceMarks(lateness=0).observed({"phone/0": 5, "mail/0": 6}).reported_at(9, ())
    assert marks.without({"phone/0"}).reported == {"mail/0": 6}
    assert marks.without({"phone/0"}).reported_at(10, ()).reported == {"mail/0": 6}
