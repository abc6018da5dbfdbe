"""The agenda against the naive one: a dictionary that is searched whole."""

from hypothesis import given
from hypothesis import strategies as st

from streams.agents.agenda import Agenda

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
DUE = st.integers(0, 20)
PUT = st.tuples(st.just("put"), KEYS, st.none() | DUE)
TAKE = st.tuples(st.just("take"), DUE, st.integers(0, 6))


class NaiveAgenda:
    def __init__(self) -> None:
        self.due: dict[bytes, int] = {}

    def put(self, key: bytes, due: int | None) -> None:
        self.due.pop(key, None)
        if due is not None:
            self.due[key] = due

    def take(self, now: int, limit: int) -> list[bytes]:
        ready = sorted((due, key) for key, due in self.due.items() if due <= now)[:limit]
        for _, key in ready:
            del self.due[key]
        return [key for _, key in ready]


@given(st.dictionaries(KEYS, DUE), st.lists(PUT | TAKE))
def test_agenda_is_the_naive_one(entries: dict[bytes, int], steps: list[tuple[str, object, object]]) -> None:
    agenda, naive = Agenda((due, key) for key, due in entries.items()), NaiveAgenda()
    naive.due.update(entries)
    for name, first, second in steps:
        assert getattr(agenda, name)(first, second) == getattr(naive, name)(first, second)
        assert len(agenda) == len(naive.due)
    assert agenda.take(20, 99) == naive.take(20, 99)


def test_key_due_exactly_now_is_taken_and_one_later_is_not() -> None:
    agenda = Agenda([(5, b"now"), (6, b"later")])
    assert agenda.take(5, 10) == [b"now"]
    assert agenda.take(5, 10) == []


def test_key_that_is_put_again_is_due_once_at_its_last_time() -> None:
    agenda = Agenda()
    agenda.put(b"k", 3)
    agenda.put(b"k", 9)
    agenda.put(b"k", 3)
    assert agenda.take(3, 10) == [b"k"]
    assert agenda.take(99, 10) == []


def test_memory_is_bounded_by_the_keys_however_often_they_move() -> None:
    agenda = Agenda()
    for due in range(50_000):
        agenda.put(b"restless", due)
    assert len(agenda._heap) <= 2 * 1 + 1_001
    assert agenda.take(50_000, 10) == [b"restless"]
