"""Which rows of identity a partition writes, and from where on it goes on after it was taken over."""

import pytest

from schemas.links import Link
from schemas.topics import partition_of
from streams.agents import register as module
from streams.agents.register import Entries, Register
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


def test_what_was_not_written_is_told_again() -> None:
    known = Known()
    register = Register(1, 2, known, 0)
    known.learn(*links(NAMES))
    assert register.next() == register.next()


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
