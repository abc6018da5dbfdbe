"""Who changed hands by whose word: changes of the index as they are told to people."""

from collections.abc import Iterable, Iterator

from schemas.links import Link, Name, Record, Statement
from schemas.records import IdentityChange
from streams.core.identification.index import Changes

LEARNT_BY = "learnt"
"""`IdentityChange.by` of what was seen in interactions."""


def attributed(changes: Changes, records: Iterable[Record]) -> Iterator[IdentityChange]:
    """The changes that applying `records` made, each with the record that decided it as far as can be said.

    That is one that names the identifier, else one that names its customer, else any; of several what was told rather
    than what was learnt.
    """
    if not changes:
        return
    by_name: dict[Name, Record] = {}
    for said in records:
        names = (said.a, said.b) if isinstance(said, Link) else said.identifiers
        for name in names:
            if name not in by_name or isinstance(said, Statement):
                by_name[name] = said
    anyone = next(iter(by_name.values()), None)
    record: Record | None
    for name, (before, after) in changes.items():
        record = by_name.get(name) or by_name.get(after.customer) or by_name.get(before.customer) or anyone
        told = record if isinstance(record, Statement) else None
        left = after.shared or after.customer == name or (told is not None and not told.links)
        yield IdentityChange(
            name,
            before.customer,
            after.customer,
            "unmerge" if left else "merge",
            _when(record),
            told.source if told is not None else LEARNT_BY,
            told.reason if told is not None else None,
        )


def _when(record: Record | None) -> int:
    if record is None:
        return 0
    return record.first_seen if isinstance(record, Link) else record.occurred_at
