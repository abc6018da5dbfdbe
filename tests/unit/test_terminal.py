"""Pictures at 80 columns without colour, compared with what people should read."""

import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from streams.terminal import LiveProgress, Progress, journey_picture
from streams.terminal.journey_picture import MOST_STEPS, duration, places
from streams.terminal.masking import masked_customer, masked_text

START = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


def drawn(journey: dict[str, Any], steps: list[dict[str, Any]], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False)
    console.print(journey_picture(journey, steps))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def step(channel: str, after: timedelta = timedelta(0), **columns: Any) -> dict[str, Any]:
    return {"channel": channel, "type": "call", "occurred_at": START + after, **columns}


STORY = [
    step(
        "phone",
        outcome="resolved",
        reason="sales.offer",
        wait_seconds=64.0,
        direction="inbound",
        price_agreed=42.5,
        text="Иска рутер за дома,\nтел. +359 88 812 3456",
    ),
    step("online", timedelta(hours=2), type="payment", order_id="O-77", price_charged=51.0, success=True),
    step(
        "phone",
        timedelta(days=1),
        outcome="unresolved",
        reason="billing.overcharge",
        wait_seconds=700.0,
        transfers=2,
        text="По телефона се разбрахме за друга цена, а ми удържахте 51.00 €! Пишете ми на ann@example.com",
    ),
    step(
        "email", timedelta(days=1, hours=3), type="message", direction="outbound", reason="billing.overcharge"
    ),
    step("visit", timedelta(days=4), type="visit", outcome="abandoned", treatment="rude"),
]
JOURNEY = {
    "customer": "phone:+359888123456",
    "status": "open",
    "resolved": False,
    "interactions": 5,
    "contacts": 3,
    "transfers": 2,
    "wait_seconds": 764.0,
    "effort_seconds": 1_200.0,
    "subjects": ["order:O-77", "reason:billing.overcharge", "reason:sales.offer"],
}

PICTURE = """\
Journey of phone:+35…56 · open, not resolved
  5 interactions · 3 contacts · 2 transfers · waited 12 min 44 s · cost 20 min
  about order:O-77, reason:billing.overcharge, reason:sales.offer

  phone   ●──────────────────────────────✗──────────────────────────────────────
  email   ────────────────────────────────────────────•─────────────────────────
  visit   ─────────────────────────────────────────────────────────────────────○
  online  ───────────•──────────────────────────────────────────────────────────
          02 Mar                         03 Mar                           06 Mar

  1 ● 02 Mar 09:15  phone call          resolved · sales.offer · agreed 42.5 ·…
     “Иска рутер за дома, тел. •••”
  2 • 02 Mar 11:15  online payment      O-77 · charged 51
     ┆ 22 h later
  3 ✗ 03 Mar 09:15  phone call          unresolved · billing.overcharge · 2 tra…
     “По телефона се разбрахме за друга цена, а ми удържахте 51.00 €! Пиш…”
  4 • 03 Mar 12:15  email message out   billing.overcharge
     ┆ 2 d 21 h later
  5 ○ 06 Mar 09:15  visit               abandoned · rude
  ● resolved  ✗ unresolved  ○ abandoned  ◇ promised  · unknown  • no outcome
"""


def test_a_journey_is_drawn_as_lanes_and_a_list() -> None:
    assert drawn(JOURNEY, STORY) == PICTURE


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    wide = {**STORY[2], "text": "漢字" * 200, "reason": "a" * 300}
    picture = drawn(JOURNEY | {"subjects": ["reason:" + "b" * 300]}, [*STORY, wide], width)
    assert max(cell_len(line) for line in picture.splitlines()) <= width


def test_steps_are_drawn_in_the_order_of_time_whatever_order_they_come_in() -> None:
    assert drawn(JOURNEY, STORY[::-1]) == drawn(JOURNEY, STORY)


def test_naive_times_are_utc() -> None:
    naive = [{**each, "occurred_at": each["occurred_at"].replace(tzinfo=None)} for each in STORY]
    assert drawn(JOURNEY, naive) == drawn(JOURNEY, STORY)


def test_a_journey_of_no_steps_is_its_headline() -> None:
    assert drawn({"customer": "crm:A1"}, []) == "Journey of crm:A1\n"


def test_a_long_journey_shows_both_ends_and_how_many_are_between() -> None:
    steps = [step("online", timedelta(minutes=n)) for n in range(MOST_STEPS + 76)]
    picture = drawn({"customer": "crm:A1"}, steps)
    assert "… 76 more …" in picture
    assert "  1 •" in picture
    assert f"{MOST_STEPS + 76} •" in picture


def test_two_steps_at_one_instant_have_a_mark_each() -> None:
    picture = drawn({"customer": "crm:A1"}, [step("phone"), step("email")])
    lanes = [line for line in picture.splitlines() if "──" in line]
    assert [line.count("•") for line in lanes] == [1, 1, 0, 0]


def test_texts_and_weak_identifiers_are_masked() -> None:
    picture = drawn(JOURNEY, STORY)
    for hidden in ("812 3456", "ann@example.com", "+359888123456"):
        assert hidden not in picture


@given(
    st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=60).map(sorted),
    st.integers(20, 120),
)
@settings(max_examples=200, deadline=None)
def test_places_are_inside_the_lane_in_order_and_apart_while_there_is_room(
    instants: list[float], width: int
) -> None:
    columns = places(instants, width)
    assert len(columns) == len(instants)
    assert columns[0] == 0
    assert columns[-1] < width
    assert all(before <= after for before, after in pairwise(columns))
    if len(instants) <= width:
        assert len(set(columns)) == len(columns)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (3_600, "1 h"), (3_605, "1 h"), (90_061, "1 d 1 h")],
)
def test_durations_show_their_two_greatest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("order 1234 stays", "order 1234 stays"),
        ("card 1234 5678 9012 3456", "card •••"),
        ("(0888) 123-456!", "•••!"),
        ("иван.петров@поща.бг, да", "•••, да"),
        ("51.00 € on 3.5.", "51.00 € on 3.5."),
    ],
)
def test_masking_hides_addresses_and_long_numbers_only(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    ("customer", "shown"),
    [("crm:A1234567", "crm:A1234567"), ("email:ann@example.com", "email:ann…om"), ("device:d1", "device:d1")],
)
def test_only_weak_identifiers_are_shortened(customer: str, shown: str) -> None:
    assert masked_customer(customer) == shown


class TestProgress:
    def shown(self, console: Console) -> list[str]:
        return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]

    def test_without_a_terminal_a_plain_line_comes_every_few_seconds(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=False, width=80)
        with LiveProgress(console, every=5.0) as live:
            for second in range(11):
                live.update(Progress(published=1_000 * second, received=900 * second, lag=7), 100.0 + second)
        assert self.shown(console) == [
            "   0 s: 0 published, 0 received, 0 stored, 0 superseded, 0 dead, 0 journeys, 0 customers, lag 7",
            "   5 s: 5,000 published, 4,500 received, 0 stored, 0 superseded, 0 dead, 0 journeys, 0 customers, "
            "900 received a second, lag 7",
            "  10 s: 10,000 published, 9,000 received, 0 stored, 0 superseded, 0 dead, 0 journeys, 0 customers, "
            "900 received a second, lag 7",
        ]

    def test_on_a_terminal_the_table_is_redrawn_in_place(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)
        with LiveProgress(console) as live:
            live.update(Progress(published=1), 0.0)
            live.update(Progress(published=4_321, dead=3), 1.0)
        output = console.file.getvalue()  # type: ignore[attr-defined]
        assert "4,321" in output
        assert "\x1b[1A" in output

    def test_a_clock_that_stands_still_divides_by_nothing(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=False)
        with LiveProgress(console, every=0.0) as live:
            live.update(Progress(), 1.0)
            live.update(Progress(received=5), 1.0)
        assert "a second" not in self.shown(console)[-1]
