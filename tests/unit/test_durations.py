"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("90s", timedelta(seconds=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("1d 12h", timedelta(days=1, hours=12)),
        (" 7D ", timedelta(days=7)),
        ("1.5h", timedelta(minutes=90)),
        ("90", timedelta(seconds=90)),
        ("0", timedelta(0)),
        ("P7D", timedelta(days=7)),
        ("PT1H30M", timedelta(minutes=90)),
    ],
)
def test_accepted_forms(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


def test_m_is_minutes_and_ms_is_milliseconds() -> None:
    assert parse_duration("1m") / parse_duration("1ms") == 60_000


def test_more_than_a_duration_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than a duration can be"):
        parse_duration("999999999999999d")


@pytest.mark.parametrize("text", ["", "soon", "7 days please", "d7", "7x", "1d-12h", "--", "P"])
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"7d, 12h, 30m, 90s"):
        parse_duration(text)


@given(days=st.integers(0, 9_999), hours=st.integers(0, 23), seconds=st.integers(0, 3_599))
def test_parts_add_up(days: int, hours: int, seconds: int) -> None:
    expected = timedelta(days=days, hours=hours, seconds=seconds)
    assert parse_duration(f"{days}d{hours}h{seconds}s") == expected
