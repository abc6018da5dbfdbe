"""Which rows of identity a partition writes, and from where on it goes on after it was taken over."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.links import Link, Record, Statement
from schemas.topics import partition_of
from streams.agents import register as module
from streams.agents.register import Entries, Register
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy
from tests.unit.agents.fake_logs import Logs
from tests.unit.agents.fakes import Known

NAMES = [f"phone:+35988812345{n}" for n in range(8)]
OURS = [name for name in NAMES if partition_of(name.encode(), 2) == 1]


def links(names: list[str]) -> list[Link]:
    return [Link("crm:ann", name, 0, 0, "web\x1f1") for name in names]


def written(register: Register) -> Entries:
    entries = register.next()
    assert entries is not None
    register.wrote(entries)
    return entries


def test_what_changes_is_told_by_the_partition_of_its_name_once() -> None:
    known = Known()
    register = Register(1, 2, known, 0)
    assert register.next() is None
    known.learn(*links(NAMES))
    entries = written(register)
    assert sorted(row.identifier for row in entries.rows) == OURS
    assert sorted(change.identifier for change in entries.changes) == OURS
    assert entries.written_to == 8
    assert register.next() is None


def test_what_was_not_written_is_told_again_by_the_next_owner_and_nothing_else_meanwhile() -> None:
    known = Known()
    register = Register(1, 2, known, 0)
    known.learn(*links(OURS[:1]))
    entries = register.next()
    assert entries is not None
    known.learn(*links(OURS[1:]))
    assert register.next() is None, "the position would run ahead of what is written"
    assert register.written_to == 0
    heirs = written(Register(1, 2, known, register.written_to))
    assert {row.identifier for row in heirs.rows} >= {row.identifier for row in entries.rows}
    register.wrote(entries)
    assert register.written_to == 1
    rest = written(register)
    assert {row.identifier for row in (*entries.rows, *rest.rows)} == {row.identifier for row in heirs.rows}


def test_links_of_other_partitions_names_write_nothing() -> None:
    known = Known()
    register = Register(1, 2, known, 0)
    known.learn(*links([name for name in NAMES if name not in OURS]))
    assert register.next() is None


def test_all_are_told_in_portions_where_nobody_knows_what_has_changed_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NAMES_AT_ONCE", 2)
    known = Known(*links(NAMES))
    register = Register(1, 2, known, 3)
    told: list[str] = []
    positions: list[int] = []
    while (entries := register.next()) is not None:
        told += [row.identifier for row in entries.rows]
        positions.append(entries.written_to)
        register.wrote(entries)
    assert sorted(told) == sorted(OURS + [n for n in ["crm:ann"] if partition_of(n.encode(), 2) == 1])
    assert positions == [3] * (len(positions) - 1) + [8], "who takes over before the end begins again"


def test_whoever_takes_over_with_all_told_tells_nothing() -> None:
    assert Register(1, 2, Known(*links(NAMES)), 8).next() is None


def test_under_other_limits_all_are_told_again_though_nothing_was_learnt() -> None:
    known = Known(*links(NAMES))
    same = DEFAULT_POLICY.basis
    assert Register(1, 2, known, 8, same).written_under == same
    assert Register(1, 2, known, 8, same).next() is None
    other = IdentityPolicy(hub=3).basis
    register = Register(1, 2, known, 8, other)
    assert register.written_under == other
    entries = written(register)
    assert {row.identifier for row in entries.rows} >= set(OURS)
    assert entries.changes == []
    assert register.written_under == same


# --- who takes over after a death --------------------------------------------------------------------------

PEOPLE = ("crm:ann", "crm:bob", "phone:+359888000111", "email:ann@example.com", "device:d1")
pairs = st.sampled_from([(a, b) for place, a in enumerate(PEOPLE) for b in PEOPLE[place + 1 :]])
records = st.one_of(
    st.builds(lambda pair, at: Link(*pair, at, 0, f"web\x1f{at}"), pairs, st.integers(0, 9)),
    st.builds(
        lambda pair, id_, revision, links: Statement(
            "operator:eva", id_, revision, 5, links, pair, "said so"
        ),
        pairs,
        st.sampled_from(["f1", "f2"]),
        st.integers(0, 3),
        st.booleans(),
    ),
)


async def told_by_two(log: Sequence[Record | None], written_to: int) -> tuple[Entries | None, Entries | None]:
    """What an owner tells that has read the log as it came and written up to a position, and what one that is started
    after its death, with that position alone. A record of None takes the one before it back.
    """
    logs, now = Logs(), int(time.time() * 1_000)
    lived, born = logs.knowledge(), logs.knowledge()
    await lived.start()
    register = Register(0, 1, lived, 0)
    said: list[Record] = []
    for number, record in enumerate(log, start=1):
        if record is not None:
            said.append(record)
            logs.link(record, timestamp=now)
        else:
            logs.forget(said[-1], timestamp=now)
        await lived.wait_for(number)
        if number <= written_to and (entries := register.next()) is not None:
            register.wrote(entries)
    await born.start()
    heirs = Register(0, 1, born, written_to)
    both = register.next(), heirs.next()
    await asyncio.gather(lived.close(), born.close())
    return both


def as_a_set(entries: Entries | None) -> object:
    return None if entries is None else (entries.written_to, set(entries.rows), set(entries.changes))


@settings(max_examples=60, deadline=None)
@given(st.lists(records, min_size=1, max_size=10), st.data())
def test_what_an_owner_learnt_and_did_not_write_is_told_by_the_next_one(
    log: list[Record], data: st.DataObject
) -> None:
    forgotten = data.draw(st.sets(st.integers(1, len(log)), max_size=2))
    whole = [one for place, record in enumerate(log, 1) for one in (record, *[None] * (place in forgotten))]
    written_to = data.draw(st.integers(0, len(whole)))
    lived, born = asyncio.run(told_by_two(whole, written_to))
    assert as_a_set(born) == as_a_set(lived)


def test_a_merge_and_an_unmerge_between_the_last_write_and_a_death_are_both_told() -> None:
    ann, phone = "crm:ann", "phone:+359888000111"
    apart = Statement("operator:eva", "f1", 0, 9, False, (ann, phone), "a neighbour's")
    log = [Link(ann, phone, 5, 0, "web\x1f1"), Link("crm:bob", "device:d1", 5, 0, "web\x1f2"), apart]
    _, entries = asyncio.run(told_by_two(log, 1))
    assert entries is not None
    told = {(one.identifier, one.kind, one.by, one.reason) for one in entries.changes}
    assert told == {
        ("device:d1", "merge", "learnt", None),
        (phone, "unmerge", "operator:eva", "a neighbour's"),
    }


def test_where_it_is_not_known_any_more_it_is_said_that_the_history_lacks_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Register(1, 2, Known(*links(NAMES)), 3)
    assert "between positions 3 and 8" in caplog.text
