"""A partition's clock survives being stored."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.interaction import WatermarkReport
from streams.agents.clocks import CLOCK_KEY, dump_clock, load_clock
from streams.core.watermarks import PartitionClock

NAMES = st.sampled_from(["phone/0", "phone/1", "visit/0"])


@given(st.frozensets(NAMES), st.lists(st.dictionaries(NAMES, st.integers(0, 9))))
def test_stored_clock_is_the_same_clock(expected: frozenset[str], reports: list[dict[str, int]]) -> None:
    clock = PartitionClock(expected)
    for report in reports:
        clock = clock.after(WatermarkReport(report))
    assert load_clock(dump_clock(clock), expected) == clock


def test_nothing_stored_is_a_clock_that_knows_nothing() -> None:
    assert load_clock(None, ["phone/0"]) == PartitionClock(frozenset(["phone/0"]))


def test_expecting_more_sources_after_a_restart_never_sets_the_clock_back() -> None:
    clock = PartitionClock(frozenset(["phone/0"])).after(WatermarkReport({"phone/0": 7}))
    loaded = load_clock(dump_clock(clock), ["phone/0", "visit/0"])
    assert loaded.now == 7
    assert loaded.after(WatermarkReport({"visit/0": 3})).now == 7
    assert loaded.after(WatermarkReport({"visit/0": 9, "phone/0": 8})).now == 8


def test_expecting_fewer_sources_after_a_restart_may_let_time_go_on() -> None:
    clock = PartitionClock(frozenset(["phone/0", "visit/0"])).after(WatermarkReport({"phone/0": 7}))
    assert clock.now is None
    assert load_clock(dump_clock(clock), ["phone/0"]).now == 7


def test_no_customer_can_have_the_key_of_the_clock() -> None:
    assert CLOCK_KEY.startswith(b"\x00")
