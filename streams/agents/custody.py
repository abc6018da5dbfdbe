"""What a partition must judge: whether its timelines hold what is another customer's by now.

At first every timeline, since compaction hides what the log of links said while nobody owned the partition; from then
on those that links and corrections touch. Large numbers are taken in portions; nothing is added to a timeline that
waits for its turn.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from schemas.corrections import Correction
from schemas.interaction import Interaction
from schemas.links import Name
from schemas.records import Coordinates, IdentityChange, IdentityRow
from streams.agents.reserved import is_customers
from streams.core.anonymous import ANONYMOUS_KEY
from streams.core.identification.holders import IdentityHolders
from streams.core.identification.index import IdentityIndex
from streams.core.identification.judgement import judge
from streams.core.identification.known_erasures import Forgotten
from streams.core.state import decode_state
from streams.core.timeline import Identity
from streams.kafka.store import State

GARBAGE: Final = 200_000
"""By so many entries, beyond twice its size when it was made, may the index of holders grow before it is made anew."""


class Knowledge(Protocol):
    """What this worker knows of who is whom (`streams.agents.knowledge`); it grows while the caller awaits."""

    index: IdentityIndex
    links_seen: int
    corrections_seen: int
    erasures_seen: int

    async def read_to_end(self) -> None:
        """Return when the logs are read to where they end now."""

    async def wait_for(self, links_seen: int) -> None:
        """Return when the log of links is read to that position."""

    def correction(self, key: tuple[str, str], /) -> Correction | None:
        """The highest correction of an interaction."""

    def touched_since(self, links_seen: int, /) -> frozenset[Name] | None:
        """Customers who may hold what belongs elsewhere by what was read since; None: any."""

    def corrected_since(self, corrections_seen: int, /) -> Sequence[tuple[str, str]]:
        """Interactions that were corrected since that position."""

    def is_erased(self, source: str, id_: str, /) -> bool:
        """Whether an interaction was forgotten."""

    def erased_since(self, erasures_seen: int, /) -> Sequence[Forgotten]:
        """Erasures that became complete at that position or later."""

    def is_of(self, customer: Name, customers: frozenset[bytes], /) -> bool:
        """Whether a customer is among the hashes of an erasure."""

    def changes_since(self, links_seen: int, /) -> Mapping[Name, IdentityChange]:
        """Identifiers that changed hands since; incomplete where `touched_since` answers None."""

    def named_since(self, links_seen: int, /) -> set[Name]:
        """Identifiers whose row may be another one since; incomplete likewise."""

    def rows_of(self, names: Iterable[Name], /) -> list[IdentityRow]:
        """Rows of identifiers as known now."""

    def names(self) -> Iterable[Name]:
        """All linked identifiers."""


class Verdicts(NamedTuple):
    """What was judged of several timelines: by key what leaves, what is sent on, what is superseded."""

    departures: dict[bytes, Collection[Identity]]
    forwards: list[Interaction]
    superseded: list[Coordinates]


class Custody:
    """The timelines of one partition, in one generation, as far as it must be judged what they hold."""

    def __init__(self, timelines: State, knowledge: Knowledge) -> None:
        """Everything is to be judged. `timelines` may change as the partition's one writer changes it."""
        self._timelines = timelines
        self._knowledge = knowledge
        self._unswept = set(filter(is_customers, timelines))
        self._touched: dict[bytes, None] = {}
        self._holders = IdentityHolders()
        self._made_with = 0
        self._links_seen = knowledge.links_seen
        self._corrections_seen = knowledge.corrections_seen

    @property
    def waiting(self) -> int:
        """How many timelines wait for their turn, counted twice where there are two reasons."""
        return len(self._unswept) + len(self._touched)

    def notice(self) -> None:
        """Take in what was learnt since the last time."""
        knowledge = self._knowledge
        if knowledge.links_seen > self._links_seen:
            touched = knowledge.touched_since(self._links_seen)
            self._links_seen = knowledge.links_seen
            if touched is None:
                self._unswept.update(filter(is_customers, self._timelines))
            else:
                self._touch(name.encode() for name in touched)
        if knowledge.corrections_seen > self._corrections_seen:
            corrected = knowledge.corrected_since(self._corrections_seen)
            self._corrections_seen = knowledge.corrections_seen
            for source, id_ in corrected:
                self._touch([f"{ANONYMOUS_KEY.decode()}{source}\x1f{id_}".encode()])
                self._touch(self._holders.find((source, id_)))

    def take(self, wanted: Iterable[bytes], limit: int) -> list[bytes]:
        """The keys to judge now: of those `wanted` all that wait, and at most `limit` others, the latest news first."""
        taken: list[bytes] = []
        if not self._touched and not self._unswept:
            return taken
        for key in wanted:
            if key in self._touched or key in self._unswept:
                self._forget(key)
                taken.append(key)
        fresh = list(self._touched)[:limit]
        for key in fresh:
            self._forget(key)
        taken += fresh
        for _ in range(min(limit - len(fresh), len(self._unswept))):
            taken.append(self._unswept.pop())
        return taken

    def judge(self, keys: Iterable[bytes]) -> Verdicts:
        """Judge timelines by what is known now."""
        knowledge = self._knowledge
        canonical, correction = knowledge.index.customer_of, knowledge.correction
        is_erased = knowledge.is_erased if knowledge.erasures_seen else None
        verdicts = Verdicts({}, [], [])
        for key in keys:
            stored = self._timelines.get(key)
            if stored is None:
                continue
            state = decode_state(stored)
            holder = None if key.startswith(ANONYMOUS_KEY) else key.decode()
            self._holders.add(key, state.marks)
            leaving, forwards, superseded = judge(state.steps(), holder, canonical, correction, is_erased)
            if leaving:
                verdicts.departures[key] = frozenset(leaving)
                verdicts.forwards.extend(forwards)
                verdicts.superseded.extend(superseded)
        return verdicts

    def hold(self, marks: Mapping[bytes, bytes]) -> None:
        """Note what timelines hold now: marks by key."""
        holders = self._holders
        for key, added in marks.items():
            holders.add(key, added)
        if len(holders) > 2 * self._made_with + GARBAGE:
            self._make_holders()

    def _make_holders(self) -> None:
        """Make the index of holders anew; what is not swept yet comes by itself."""
        self._holders = IdentityHolders()
        for key, stored in self._timelines.items():
            if is_customers(key) and key not in self._unswept:
                self._holders.add(key, decode_state(stored).marks)
        self._made_with = len(self._holders)

    def _touch(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            if key in self._timelines:
                self._touched[key] = None

    def _forget(self, key: bytes) -> None:
        self._touched.pop(key, None)
        self._unswept.discard(key)
