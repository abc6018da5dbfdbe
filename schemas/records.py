"""The records that leave the pipeline for ClickHouse: what the core produces and the sinks store.

They stand here, between the two, because the core and the sinks do not know each other.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from schemas.alerts import AlertRow
from schemas.erasures import ErasureDone
from schemas.findings import Finding, FindingChange, Light
from schemas.interaction import Interaction, Micros
from schemas.vocabulary import Channel


class Journey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's interactions with no silence longer than the gap between them.

    Sums (`wait_seconds`, `transfers`, `effort_seconds`) add up what is known and are None when nothing is known.
    `effort_seconds` is the customer's time: wait, talk, hold, service and duration.
    `resolved` is the last known outcome's answer; `first_contact_resolved` is None when no outcome is known and
    True when resolved with exactly one contact.
    """

    journey_id: str
    customer: str
    started_at: Micros
    ended_at: Micros
    closed: bool
    interactions: int
    contacts: int
    path: tuple[Channel, ...]
    """Channels in the order of the timeline, repeats kept."""
    channels: tuple[Channel, ...]
    """Distinct, in the order of first appearance."""
    subjects: tuple[str, ...]
    """Distinct and sorted: `case:ID`, `order:ID`, `reason:a.b`, `thread:ID`."""
    wait_seconds: float | None
    transfers: int | None
    effort_seconds: float | None
    resolved: bool | None
    first_contact_resolved: bool | None
    dropped: int = 0
    """Interactions that the path no longer lists, though the sums count them (see `max_interactions`)."""


class PlacedInteraction(NamedTuple):
    """An interaction with its place: the journey it belongs to (None: anonymous, or beyond the horizon)."""

    interaction: Interaction
    journey_id: str | None
    beyond_horizon: bool = False


class StandingFinding(NamedTuple):
    """A finding as it was told last, and the number of that change."""

    finding: Finding
    sequence: int


class Coordinates(NamedTuple):
    """Where a raw record stands: topic (under replay the file's name), partition, offset."""

    topic: str
    partition: int
    offset: int


class OffsetRange(NamedTuple):
    """Consecutive records of one partition: every offset from `first` to `last`, both included."""

    topic: str
    partition: int
    first: int
    last: int


def offset_ranges(topic: str, partition: int, offsets: Sequence[int]) -> tuple[OffsetRange, ...]:
    """The fewest ranges that hold exactly these offsets, which must ascend strictly (as a log is read).

    >>> [(each.first, each.last) for each in offset_ranges("touchline.phone", 0, [3, 4, 5, 9])]
    [(3, 5), (9, 9)]
    """
    if not offsets:
        return ()
    if offsets[-1] - offsets[0] == len(offsets) - 1:
        return (OffsetRange(topic, partition, offsets[0], offsets[-1]),)
    ranges: list[OffsetRange] = []
    first = last = offsets[0]
    for offset in offsets[1:]:
        if offset != last + 1:
            ranges.append(OffsetRange(topic, partition, first, last))
            first = offset
        last = offset
    ranges.append(OffsetRange(topic, partition, first, last))
    return tuple(ranges)


class DeadLetter(NamedTuple):
    """A raw record that could not be used, with why. `value`, `key` and `headers` are as they came."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """Kafka tells a null value from an empty one; ClickHouse shows both as empty."""
    stage: str
    """`decode`, `validate` or `process`."""
    error: str
    """Class of the error, a stable word to group by."""
    message: str
    """What is wrong, naming the field."""
    occurred_at: Micros
    """When it was declared dead."""


class Fading(NamedTuple):
    """How a light goes out by itself: each contribution is halved every `half_life`, red ends when the score falls
    below `red_until`, yellow below `yellow_until` (thousandths of a point).
    """

    half_life: Micros
    yellow_until: int
    red_until: int


class IdentityRow(NamedTuple):
    """An identifier and whose it is, as known at one position of the log of links."""

    identifier: str
    """Its name: `phone:+359888123456`."""
    customer: str
    """The canonical customer; the identifier itself while it is nobody else's."""
    shared: bool
    """Whether more than one customer uses it, so that it names nobody."""
    since: Micros
    """When the earliest interaction, or fact, that links it took place."""
    evidence: tuple[str, ...]
    """What links it: `SOURCE/ID` of the interaction or of the fact, the weightiest first, a few at most."""
    removed: bool = False
    """It is linked with nothing any more."""


class IdentityChange(NamedTuple):
    """An identifier changed hands: a merge, an unmerge, or a limit that was passed."""

    identifier: str
    before: str
    after: str
    kind: Literal["merge", "unmerge"]
    """merge: it joined somebody; unmerge: it left somebody."""
    changed_at: Micros
    """When the interaction or the fact that decided took place."""
    by: str
    """`learnt` or the source of the fact (`operator:ann`)."""
    reason: str | None


class SinkBatch(NamedTuple):
    """What one batch of one partition writes. Writing it again, whole or re-formed, changes nothing that shows.

    `version` orders what was known of a customer: higher replaces. `received` and `dead` come from the identify
    stage, `stored` and `superseded` from the journeys stage; each source offset counts once in the ledger.
    """

    version: int = 0
    interactions: tuple[PlacedInteraction, ...] = ()
    journeys: tuple[Journey, ...] = ()
    retracted: tuple[tuple[str, str], ...] = ()
    """(customer, journey_id) of journeys that are no more."""
    dead_letters: tuple[DeadLetter, ...] = ()
    received: tuple[Coordinates | OffsetRange, ...] = ()
    """Records that were read; those of a log as ranges, which cost next to nothing."""
    superseded: tuple[Coordinates, ...] = ()
    stored: tuple[Coordinates, ...] = ()
    """Facts that are in the log of links; interactions name their own coordinates."""
    incarnation: int = 0
    """Which life of the topics the coordinates belong to (microseconds since the epoch; under replay a digest)."""
    findings: tuple[FindingChange, ...] = ()
    """In the order in which they became known; the last one of a finding is how it stands."""
    lights: tuple[Light, ...] = ()
    """At most one for each customer; one without contributions is green and removes what was stored."""
    alerts: tuple[AlertRow, ...] = ()
    fading: Fading | None = None
    """Needed with lights: the same for all of them."""
    links_seen: int = 0
    """Position in the log of links under which the rows were decided, the epoch's base added; with the revision
    before it and the version after it, it orders the rows of one interaction (docs/adr/0004-identity.md)."""
    identities: tuple[IdentityRow, ...] = ()
    identity_changes: tuple[IdentityChange, ...] = ()
    erasures: tuple[ErasureDone, ...] = ()
    """Written when nothing of what was forgotten will be written any more."""
    moved: tuple[PlacedInteraction, ...] = ()
    """Interactions that lie in another journey now; what the ledger says of their records was said before."""
