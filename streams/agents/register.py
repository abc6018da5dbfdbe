"""The rows of identity that a partition writes: of the identifiers whose own key lies on it.

Identifiers belong to no partition, and every worker knows all of them. So that each is written by one, the owner of the
partition of an identifier's name tells what has become of it.
"""

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.links import Name
from schemas.records import IdentityChange, IdentityRow
from schemas.topics import partition_of
from streams.agents.custody import Knowledge

log = logging.getLogger(__name__)

NAMES_AT_ONCE: Final = 5_000
"""Identifiers that one step writes when all have to be written; the rest follow in the next."""


class Entries(NamedTuple):
    """What is to be written of identifiers, as known at one position of the log of links."""

    rows: Sequence[IdentityRow]
    changes: Sequence[IdentityChange]
    written_to: int
    """Once these are written, nothing before this position needs to be told again."""
    left: Sequence[Name]
    noticed: int


class Register:
    """What one partition has told of its identifiers, in one generation."""

    def __init__(
        self,
        number: int,
        partitions: int,
        knowledge: Knowledge,
        written_to: int,
        written_under: int | None = None,
    ) -> None:
        """`written_to`: the position up to which an owner before has told all; `written_under`: the limits
        (`IdentityPolicy.basis`) that it did so under, None where it did not say. All identifiers are written again
        under other limits, and where what has changed since is not known any more; who changed hands is not told then.
        """
        self._number, self._partitions, self._knowledge = number, partitions, knowledge
        self._written_to = self._noticed = written_to
        self._left: Sequence[Name] = ()
        self._under_way = False
        self._limits = knowledge.index.policy.basis
        unknown = written_to < knowledge.links_seen and knowledge.touched_since(written_to) is None
        if unknown:
            log.warning(
                "partition %d: what the log of links changed between positions %d and %d is not known any more: "
                "identity_history lacks who changed hands by it",
                number,
                written_to,
                knowledge.links_seen,
            )
        if unknown or written_under not in (None, self._limits):
            self._left = [name for name in knowledge.names() if self._is_ours(name)]
        self._written_under = written_under if self._left else self._limits

    @property
    def written_to(self) -> int:
        """The position in the log of links up to which everything is written."""
        return self._written_to

    @property
    def written_under(self) -> int | None:
        """The limits under which everything up to `written_to` is written, as far as that is known."""
        return self._written_under

    def next(self) -> Entries | None:
        """What to write now; None: nothing, or nothing before what was given last is written. To be followed by `wrote`
        once it is durable.
        """
        if self._under_way:
            return None
        knowledge, noticed = self._knowledge, self._noticed
        seen = knowledge.links_seen
        if seen <= noticed and not self._left:
            return None
        portion, left = self._left[:NAMES_AT_ONCE], self._left[NAMES_AT_ONCE:]
        names = dict.fromkeys(portion)
        changes: list[IdentityChange] = []
        if seen > noticed:
            names.update(dict.fromkeys(filter(self._is_ours, knowledge.named_since(noticed))))
            changed = knowledge.changes_since(noticed)
            changes.extend(changed[name] for name in names if name in changed)
        entries = Entries(
            knowledge.rows_of(names) if names else (),
            changes,
            self._written_to if left else seen,
            left,
            seen,
        )
        if entries.rows or entries.changes:
            self._under_way = True
            return entries
        self.wrote(entries)
        return None

    def wrote(self, entries: Entries) -> None:
        """The entries are durable."""
        self._under_way = False
        self._left, self._noticed, self._written_to = entries.left, entries.noticed, entries.written_to
        if not entries.left:
            self._written_under = self._limits

    def _is_ours(self, name: Name) -> bool:
        return partition_of(name.encode(), self._partitions) == self._number
