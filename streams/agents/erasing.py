"""What one partition has to forget, and whether it may say that it has.

Erasures are noticed as news of the log of links is. All that one names on this partition goes in the step that notices
it, since a customer has few names. That it is done is said later: once everything that follows from the tombstones in
the log of links is written, too.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from schemas.erasures import NOT_YET
from streams.agents.custody import Knowledge
from streams.agents.reserved import is_customers
from streams.core.anonymous import ANONYMOUS_KEY
from streams.core.identification.known_erasures import Forgotten
from streams.kafka.store import State

_ANONYMOUS: Final = len(ANONYMOUS_KEY)


class Sweep(NamedTuple):
    """What one step forgets."""

    keys: Collection[bytes]
    """Timelines of customers who are forgotten, and of anonymous interactions that are."""
    ids: Sequence[str]
    """The erasures that are new; those that were published once more forget nothing."""
    erasures: Sequence[Forgotten]
    noticed: int


class Erasing:
    """One partition in one generation."""

    def __init__(self, timelines: State, knowledge: Knowledge, swept_to: int) -> None:
        """`swept_to`: the position in the log of erasures up to which an owner before has forgotten everything, and
        said so.
        """
        self._timelines, self._knowledge = timelines, knowledge
        self._noticed = self._told_to = swept_to
        self._unsaid: dict[str, Forgotten] = {}

    def notice(self) -> Sweep | None:
        """What to forget now; None: nothing. To be followed by `swept` once it is done."""
        knowledge = self._knowledge
        seen = knowledge.erasures_seen
        if seen <= self._noticed:
            return None
        erasures = knowledge.erased_since(self._noticed)
        if not erasures:
            self._noticed = seen
            return None
        new = [one for one in erasures if one.news >= self._noticed]
        keys: list[bytes] = []
        if new:
            customers = frozenset[bytes]().union(*(one.customers for one in new))
            keys = [key for key in self._timelines if is_customers(key) and self._is_erased(key, customers)]
        return Sweep(keys, [one.id for one in new], erasures, seen)

    def swept(self, sweep: Sweep) -> None:
        """It is forgotten: durable."""
        self._noticed = sweep.noticed
        self._unsaid.update((one.id, one) for one in sweep.erasures)

    def to_say(self, links_written: int) -> tuple[tuple[str, ...], int] | None:
        """The erasures that are done, and the position up to which none is left after them; None: nothing is to be
        said or stored. `links_written`: the position in the log of links up to which everything is written.
        """
        if self._noticed == self._told_to:
            return None
        if any(one.links_seen > links_written for one in self._unsaid.values()):
            return None
        return tuple(one.id for one in self._unsaid.values() if one.links_seen != NOT_YET), self._noticed

    def said(self, position: int) -> None:
        """What `to_say` gave is said and stored."""
        self._unsaid = {}
        self._told_to = position

    def _is_erased(self, key: bytes, customers: frozenset[bytes]) -> bool:
        if key.startswith(ANONYMOUS_KEY):
            source, _, id_ = key[_ANONYMOUS:].decode().partition("\x1f")
            return self._knowledge.is_erased(source, id_)
        return self._knowledge.is_of(key.decode(), customers)
