"""RFC 3339 times of the contract."""

import pytest

from schemas.timestamps import TimestampError, format_timestamp, parse_date, parse_timestamp

NOON = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01t12:00:00z", NOON),
        ("2026-03-01T12:00:00-00:00", NOON),
        ("2026-03-01T14:00:00+02:00", NOON),
        ("2026-02-28T12:01:00-23:59", NOON),
        ("2026-03-01T12:00:00.5Z", NOON + 500_000),
        ("2026-03-01T12:00:00.0000019Z", NOON + 1),
        ("2026-03-01T12:00:00.123456789+00:00", NOON + 123_456),
        ("2261-12-31T23:59:59.999999Z", 9_214_646_399_999_999),
    ],
)
def test_a_time_with_an_offset_is_an_instant(text: str, micros: int) -> None:
    assert parse_timestamp(text) == micros


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected an RFC 3339 time"),
        ("1772366400", "a number is no time"),
        ("1772366400.5", "a number is no time"),
        ("2026-03-01", "a date alone is not enough"),
        ("2026-03-01T12:00:00", "the offset from UTC is missing"),
        ("2026-03-01 12:00:00Z", "expected an RFC 3339 time"),
        ("2026-03-01T12:00Z", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:00+02", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:00+0200", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:00,5Z", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:00.Z", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:00.1234567x9Z", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:00Z\n", "expected an RFC 3339 time"),
        ("2026-03-01T12:00:0\u0660Z", "expected an RFC 3339 time"),
        ("2026-03-01T12.00.00Z", "expected an RFC 3339 time"),
        ("2026-03-01T12:00.00Z", "expected an RFC 3339 time"),
        ("2026/03/01T12:00:00Z", "expected an RFC 3339 time"),
        ("20260301T120000Z", "expected an RFC 3339 time"),
        ("2026-W09-7T12:00:00Z", "expected an RFC 3339 time"),
        ("2026-03-01T1x:00:00Z", "expected an RFC 3339 time"),
        ("2026-02-29T12:00:00Z", "does not exist"),
        ("2026-03-01T24:00:00Z", "does not exist"),
        ("2026-03-01T12:00:00+24:00", "does not exist"),
        ("2016-12-31T23:59:60Z", "leap seconds"),
        ("1969-12-31T23:59:59Z", "1970 to 2261"),
        ("1970-01-01T00:00:00+00:01", "1970 to 2261"),
        ("2261-12-31T23:59:59-00:01", "1970 to 2261"),
        ("0001-01-01T00:00:00+01:00", "1970 to 2261"),
        ("9999-12-31T23:59:59-01:00", "1970 to 2261"),
    ],
)
def test_what_leaves_a_reader_guessing_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TimestampError, match=reason):
        parse_timestamp(text)


def test_the_first_and_the_last_hours_count_in_utc() -> None:
    assert parse_timestamp("1969-12-31T23:00:00-01:00") == 0
    assert parse_timestamp("2262-01-01T00:30:00+01:00") == parse_timestamp("2261-12-31T23:30:00Z")


@pytest.mark.parametrize(
    "text", ["2026-3-1", "20260301", "2026-02-29", "1969-12-31", "2262-01-01", "2026-03-01\n"]
)
def test_a_date_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TimestampError):
        parse_date(text)


def test_a_date_stays_as_it_is() -> None:
    assert parse_date("2028-02-29") == "2028-02-29"


def test_formatting_is_the_inverse_of_parsing() -> None:
    for micros in (0, 1, NOON, NOON + 1, 9_214_646_399_999_999):
        assert parse_timestamp(format_timestamp(micros)) == micros
