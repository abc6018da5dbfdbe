"""Which facts say something new, and which are superseded."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from schemas.links import Statement
from schemas.records import Coordinates


class Telling(NamedTuple):
    """A fact and the record that it came in."""

    where: Coordinates
    statement: Statement


def newest_tellings(
    told: Iterable[Telling], known: Callable[[tuple[str, str]], Statement | None]
) -> tuple[list[Telling], list[Telling]]:
    """Of each `(source, id)` the highest revision, the first of equal ones, if it is higher than what is known; and all
    others, which are superseded.
    """
    newest: dict[tuple[str, str], Telling] = {}
    superseded: list[Telling] = []
    for one in told:
        revision = one.statement.revision
        key = one.statement.source, one.statement.id
        before, held = known(key), newest.get(key)
        if revision <= _revision(before) or (held is not None and revision <= _revision(held.statement)):
            superseded.append(one)
            continue
        if held is not None:
            superseded.append(held)
        newest[key] = one
    return list(newest.values()), superseded


def _revision(statement: Statement | None) -> int:
    return statement.revision if statement is not None else -1
