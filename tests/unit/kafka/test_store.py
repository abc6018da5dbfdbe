"""The table store: changelog batches become state, partitions come and go whole."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.store import TimelineStore


@dataclass
class Change:
    partition: int
    key: bytes
    value: bytes | None


APP = faust.App("store-test", broker="kafka://127.0.0.1:1", autodiscover=False)


def store() -> TimelineStore:
    return TimelineStore("memory://", APP, SimpleNamespace(name="timelines"), table_name="timelines")


def event(*changes: Change) -> Any:
    return SimpleNamespace(message=SimpleNamespace(value=list(changes)))


def apply(target: TimelineStore, *batches: tuple[Change, ...]) -> None:
    target.apply_changelog_batch([event(*batch) for batch in batches], bytes, bytes)


CHANGES = st.lists(
    st.builds(
        Change, st.integers(0, 2), st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=2)
    )
)


@given(CHANGES, st.data())
def test_the_last_change_of_a_key_wins_however_the_changelog_is_cut(
    changes: list[Change], data: st.DataObject
) -> None:
    target = store()
    left = list(changes)
    while left:
        size = data.draw(st.integers(1, len(left)))
        apply(target, tuple(left[:size]))
        left = left[size:]
    expected: dict[tuple[int, bytes], bytes | None] = {(one.partition, one.key): one.value for one in changes}
    kept = {place: value for place, value in expected.items() if value is not None}
    assert {
        (number, key): value for number in target.owned() for key, value in target.partition(number).items()
    } == kept
    assert len(target) == len(kept)
    assert sorted(target) == sorted(key for _, key in kept)


async def test_partitions_that_are_no_longer_owned_are_dropped_whole() -> None:
    target = store()
    apply(target, (Change(0, b"a", b"1"), Change(1, b"b", b"2"), Change(2, b"c", b"3")))
    kept = target.partition(1)
    await target.on_recovery_completed({TP("log", 1)}, {TP("log", 2)})
    assert target.owned() == [1, 2]
    assert target.partition(1) is kept
    assert target.partition(0) == {}, "it comes back empty, to be recovered from the beginning"


def test_nothing_is_persisted_so_a_new_owner_reads_the_whole_changelog() -> None:
    assert store().persisted_offset(TP("log", 0)) is None


def test_a_key_is_found_in_whichever_partition_it_is() -> None:
    target = store()
    apply(target, (Change(3, b"a", b"1"),))
    assert target[b"a"] == b"1"
    with pytest.raises(KeyError):
        target[b"b"]


@pytest.mark.parametrize("write", [lambda s: s.__setitem__(b"a", b"1"), lambda s: s.__delitem__(b"a")])
def test_writing_past_the_partitions_is_refused(write: Any) -> None:
    with pytest.raises(TypeError, match="through its partition"):
        write(store())
