"""What batches say about source offsets becomes rows of sets."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Coordinates, DeadLetter, OffsetRange, PlacedInteraction, SinkBatch, offset_ranges
from sinks.clickhouse.ledger import BUCKET, ledger_rows
from tests.builders import call


def entries(*batches: SinkBatch) -> dict[tuple[object, ...], tuple[object, ...]]:
    rows = ledger_rows(batches)
    return {row[:4]: row[4:] for block in rows.blocks for row in zip(*block, strict=True)}


def test_each_fate_has_its_set() -> None:
    it = call("2026-03-01T10:00Z", topic="t", partition=1, at_offset=5)
    batch = SinkBatch(
        interactions=(PlacedInteraction(it, None),),
        received=(Coordinates("t", 1, 5), Coordinates("t", 1, 6)),
        superseded=(Coordinates("t", 1, 7),),
        dead_letters=(DeadLetter("t", 1, 6, None, b"", (), "decode", "e", "m", 0),),
        incarnation=3,
    )
    assert entries(batch) == {("t", 3, 1, 0): ([5, 6], [5], [7], [6])}


def test_a_bucket_ends_before_its_limit() -> None:
    received = tuple(Coordinates("t", 0, n) for n in (BUCKET - 1, BUCKET, 2 * BUCKET))
    assert set(entries(SinkBatch(received=received))) == {("t", 0, 0, 0), ("t", 0, 0, 1), ("t", 0, 0, 2)}


def test_a_range_counts_each_of_its_offsets_once_and_is_cut_where_a_bucket_ends() -> None:
    batch = SinkBatch(received=(OffsetRange("t", 0, BUCKET - 2, 2 * BUCKET),))
    received = {key[3]: fates[0] for key, fates in entries(batch).items()}
    assert received == {
        0: [BUCKET - 2, BUCKET - 1],
        1: list(range(BUCKET, 2 * BUCKET)),
        2: [2 * BUCKET],
    }


def test_a_range_and_single_coordinates_say_the_same() -> None:
    apart = SinkBatch(received=tuple(Coordinates("t", 4, n) for n in range(7, 12)))
    assert entries(SinkBatch(received=(OffsetRange("t", 4, 7, 11),))) == entries(apart)


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_the_offsets_and_never_touch(offsets: set[int]) -> None:
    ranges = offset_ranges("t", 1, sorted(offsets))
    assert [n for each in ranges for n in range(each.first, each.last + 1)] == sorted(offsets)
    assert all(before.last + 1 < after.first for before, after in pairwise(ranges))


def test_batches_of_one_partition_share_a_row_and_two_lives_do_not() -> None:
    one = SinkBatch(received=(Coordinates("t", 0, 1),), incarnation=1)
    two = SinkBatch(received=(Coordinates("t", 0, 2),), incarnation=1)
    other = SinkBatch(received=(Coordinates("t", 0, 1),), incarnation=2)
    assert entries(one, two, other) == {
        ("t", 1, 0, 0): ([1, 2], [], [], []),
        ("t", 2, 0, 0): ([1], [], [], []),
    }


def test_nothing_said_is_no_row() -> None:
    assert ledger_rows([SinkBatch(version=4)]).size == 0
