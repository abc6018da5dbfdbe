"""Working time: what has passed, when so much will have passed, across weekends, holidays and changes of the clocks."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from schemas.interaction import DAY, Micros
from streams.catalogue.civil_time import holidays_of, zone_of
from streams.core.detection.calendars import DEFAULT_CALENDAR, HOUR, OFFICE_WEEK, Calendar, day_number
from tests.builders import instant

SOFIA = Calendar(
    (((8 * HOUR, 12 * HOUR), (13 * HOUR, 17 * HOUR)),) * 5 + (((9 * HOUR, 12 * HOUR),), ()),
    zone_of("Europe/Sofia"),
    holidays_of("BG", None, ("2026-04-20",)),
)
ROUND_THE_CLOCK = Calendar((((0, DAY),),) * 7, zone_of("Europe/Sofia"))
NIGHT = Calendar((((2 * HOUR, 5 * HOUR),),) * 7, zone_of("Europe/Sofia"))
CALENDARS = (DEFAULT_CALENDAR, SOFIA, ROUND_THE_CLOCK, NIGHT)

instants = st.integers(instant("2025-01-01"), instant("2028-01-01"))
amounts = st.one_of(st.integers(0, 20 * 8).map(lambda half: half * HOUR // 2), st.integers(0, 90 * HOUR))


@given(st.sampled_from(CALENDARS), instants, amounts)
def test_the_deadline_is_the_last_instant_by_which_no_more_has_passed(
    calendar: Calendar, begin: Micros, amount: Micros
) -> None:
    deadline = calendar.deadline(begin, amount)
    assert deadline is not None
    assert deadline >= begin
    assert calendar.worked(begin, deadline) == amount
    assert calendar.worked(begin, deadline + 1) == amount + 1


@given(st.sampled_from(CALENDARS), instants, st.integers(0, 40 * DAY), st.integers(0, 40 * DAY))
def test_working_time_adds_up(calendar: Calendar, begin: Micros, first: Micros, second: Micros) -> None:
    middle, end = begin + first, begin + first + second
    assert calendar.worked(begin, middle) + calendar.worked(middle, end) == calendar.worked(begin, end)
    assert 0 <= calendar.worked(begin, end) <= end - begin


@given(
    st.sampled_from(CALENDARS),
    instants,
    st.integers(0, 30 * HOUR),
    st.integers(0, 9 * DAY),
    st.integers(0, 9 * DAY),
)
def test_a_pause_takes_out_its_working_time(
    calendar: Calendar, begin: Micros, amount: Micros, wait: Micros, lasting: Micros
) -> None:
    since, until = begin + wait, begin + wait + lasting
    deadline = calendar.deadline_with_pauses(begin, amount, [(since, until)])
    assert deadline is not None
    paused = calendar.worked(max(begin, since), min(until, deadline)) if deadline > since else 0
    assert calendar.worked(begin, deadline) - paused == amount


def test_a_pause_without_an_end_has_no_deadline() -> None:
    begin = instant("2026-03-02T10:00Z")
    assert DEFAULT_CALENDAR.deadline_with_pauses(begin, 8 * HOUR, [(begin + HOUR, None)]) is None


def test_a_pause_behind_the_deadline_does_not_matter() -> None:
    begin = instant("2026-03-02T10:00Z")
    deadline = DEFAULT_CALENDAR.deadline_with_pauses(begin, HOUR, [(begin + 2 * HOUR, None)])
    assert deadline == begin + HOUR


def test_eight_hours_full_at_closing_time_are_still_eight_the_next_morning_before_opening() -> None:
    assert DEFAULT_CALENDAR.deadline(instant("2026-03-02T09:00Z"), 8 * HOUR) == instant("2026-03-03T09:00Z")


def test_friday_goes_on_on_monday() -> None:
    assert DEFAULT_CALENDAR.deadline(instant("2026-03-06T16:00Z"), 8 * HOUR) == instant("2026-03-09T16:00Z")


def test_a_holiday_of_the_country_is_closed() -> None:
    assert not SOFIA.worked(
        instant("2026-03-03T00:00+02:00"), instant("2026-03-04T00:00+02:00")
    )  # liberation day


def test_a_date_that_was_given_is_closed() -> None:
    assert not SOFIA.worked(instant("2026-04-20T00:00+03:00"), instant("2026-04-21T00:00+03:00"))


def test_the_lunch_break_does_not_count() -> None:
    assert SOFIA.worked(instant("2026-03-02T11:00+02:00"), instant("2026-03-02T14:00+02:00")) == 2 * HOUR


def test_the_day_on_which_the_clocks_go_forward_has_23_hours() -> None:
    since, until = instant("2026-03-29T00:00+02:00"), instant("2026-03-30T00:00+03:00")
    assert ROUND_THE_CLOCK.worked(since, until) == 23 * HOUR
    assert NIGHT.worked(since, until) == 2 * HOUR  # from three to four there was nothing


def test_the_day_on_which_the_clocks_go_back_has_25_hours() -> None:
    since, until = instant("2026-10-25T00:00+03:00"), instant("2026-10-26T00:00+02:00")
    assert ROUND_THE_CLOCK.worked(since, until) == 25 * HOUR
    assert NIGHT.worked(since, until) == 4 * HOUR  # from three to four there was an hour twice


def test_a_zone_never_goes_back() -> None:
    zone = zone_of("Europe/Sofia")
    for day in ("2026-03-29", "2026-10-25"):
        walls = [instant(day) + minute * 60_000_000 for minute in range(0, 24 * 60, 7)]
        instants = [zone(wall) for wall in walls]
        assert instants == sorted(instants)


def test_the_end_of_a_day_is_that_of_the_zone() -> None:
    assert SOFIA.end_of_day("2026-03-28") == instant("2026-03-29T00:00+02:00")
    assert DEFAULT_CALENDAR.end_of_day("2026-02-28") == instant("2026-03-01")


def test_a_calendar_that_never_opens_has_no_deadline() -> None:
    closed = Calendar(OFFICE_WEEK, holiday=lambda _: True)
    assert closed.deadline(instant("2026-03-02"), HOUR) is None


@given(st.dates())
def test_days_are_counted_as_the_calendar_counts_them(day: date) -> None:
    assert day_number(day.isoformat()) == day.toordinal() - 719_163
