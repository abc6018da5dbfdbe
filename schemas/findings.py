"""What dissatisfies a customer, as data: findings, their evidence, and the changes that are told of them.

A finding stands between the core, which detects, and the sinks and notifiers, which store and tell. Records are
flat MessagePack arrays: fields have a position, so a new one is appended at the end, with a default. Times are
microseconds since the epoch, UTC.
"""

from typing import Final, Literal, NamedTuple, get_args

import msgspec

from schemas.interaction import Interaction, Micros
from schemas.links import WEAK_PREFIXES, Name, name_of
from schemas.vocabulary import WEAK_KINDS, Channel

Severity = Literal["minor", "major", "severe"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""Mildest first."""

FindingState = Literal["open", "resolved", "settled", "withdrawn"]
"""`open`: it stands. `resolved`: it was true and has been put right. `settled`: a horizon has passed since it was
raised, it stays as it was. `withdrawn`: it never was true, a late or corrected interaction says so."""

ChangeKind = Literal["raised", "updated", "resolved", "withdrawn", "settled", "reopened"]
Colour = Literal["green", "yellow", "red"]

ERASED: Final = "erased"
"""The reason of a withdrawal because the customer was forgotten."""


class Identity(NamedTuple):
    """What an interaction is known by."""

    source: str
    id: str


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One interaction that a finding rests on: where its raw record stands, and the values that mattered."""

    source: str
    id: str
    topic: str
    partition: int
    offset: int
    occurred_at: Micros
    channel: Channel
    values: dict[str, str] = {}

    @property
    def identity(self) -> Identity:
        """`(source, id)`."""
        return Identity(self.source, self.id)


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One pattern of the catalogue that stands, or stood, for a customer.

    `finding_id` derives from rule, case, customer, anchor and counted subject: the same as long as it is true.
    `raised_at` is the instant by event time since which it stands: the deadline that passed, or the interaction
    that completed it. It is never a reading of a clock.
    """

    finding_id: str
    rule: str
    rule_version: str
    case: str
    """Which of the rule's cases stands (`unanswered`, `wait`)."""
    customer: str
    severity: Severity
    weight: float
    """What it adds to the light at `raised_at`."""
    channel: Channel
    """The process that it counts for."""
    state: FindingState
    raised_at: Micros
    resolved_at: Micros | None
    anchor: Identity
    evidence: tuple[Evidence, ...]
    """In the order of the timeline."""
    counterfactual: tuple[Identity, ...]
    """A smallest set of evidence without which it would not stand."""
    sentence: str
    """Why, in words, over the evidence."""
    action: str
    """What to do about it."""
    subjects: tuple[str, ...] = ()
    """What it is about: the counted key value, or all keys of the anchor."""
    extends_to: Micros = 0
    """The instant of the last thing that it counts."""


class FindingChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One difference between what was known and what is known now.

    `at` is event time for what events decide (`raised_at`, `resolved_at`, the end of the horizon), and the
    evaluation's `now` for an update, a withdrawal or a reopening, which only learning brings about.
    `cause` is the interaction that did it, None where time or a change of rules did.
    """

    kind: ChangeKind
    finding: Finding
    at: Micros
    reason: str
    cause: Identity | None = None
    sequence: int = 0
    """1, 2, 3 ... for each finding, in the order in which its changes are told; a repetition has the same."""


class Contribution(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one finding adds to a light at an instant, in thousandths of a point."""

    finding_id: str
    rule: str
    channel: Channel
    severity: Severity
    raised_at: Micros
    points: int
    sentence: str
    weight: float = 0.0
    """Points that it added at `raised_at`; halved every half-life they are `points` / 1000."""
    names: tuple[str, ...] = ()
    """Weak identifiers that the sentence may repeat (`weak_names`)."""


class ChannelLight(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The light of one process. `score` is the sum of the points of the contributions of this channel."""

    channel: Channel
    score: int
    colour: Colour


class Light(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's light at `at`. `score` (thousandths of a point) is the sum of the contributions' points.

    `next_change` is the first instant after `at` at which a colour changes by decay alone, None if none does.
    """

    customer: str
    at: Micros
    score: int
    colour: Colour
    by_channel: tuple[ChannelLight, ...]
    contributions: tuple[Contribution, ...]
    next_change: Micros | None = None


def erased(finding: Finding) -> Finding:
    """A finding of a customer who is forgotten, withdrawn, as far as who was told of it must know."""
    return msgspec.structs.replace(
        finding,
        state="withdrawn",
        resolved_at=None,
        anchor=Identity("", ""),
        evidence=(),
        counterfactual=(),
        sentence="The customer was forgotten.",
        action="",
        subjects=(),
    )


NAMING_FIELDS: Final = frozenset({"customer", *WEAK_KINDS})
"""Fields of an interaction whose values are, or may be, weak identifiers."""


def weak_names(finding: Finding) -> tuple[Name, ...]:
    """The weak identifiers that a finding repeats, its sentence too: its customer, what it is about, and the values of
    its evidence. None of them twice.
    """
    names = [name for name in (finding.customer, *finding.subjects) if name.startswith(WEAK_PREFIXES)]
    for item in finding.evidence:
        values = item.values
        if not NAMING_FIELDS.isdisjoint(values):
            customer = values.get("customer", "")
            if customer.startswith(WEAK_PREFIXES):
                names.append(customer)
            names.extend([name_of(kind, values[kind]) for kind in WEAK_KINDS if kind in values])
    return tuple(dict.fromkeys(names)) if names else ()


def evidence_of(interaction: Interaction, values: dict[str, str]) -> Evidence:
    """An interaction as evidence."""
    return Evidence(
        interaction.source,
        interaction.id,
        interaction.topic,
        interaction.partition,
        interaction.offset,
        interaction.occurred_at,
        interaction.channel,
        values,
    )


_encoder = msgspec.msgpack.Encoder()
_finding_decoder = msgspec.msgpack.Decoder(Finding)
_change_decoder = msgspec.msgpack.Decoder(FindingChange)


def encode_finding(finding: Finding) -> bytes:
    """Encode for the state."""
    return _encoder.encode(finding)


def decode_finding(value: bytes) -> Finding:
    """The inverse of `encode_finding`; raises `msgspec.DecodeError` on foreign bytes."""
    return _finding_decoder.decode(value)


def encode_change(change: FindingChange) -> bytes:
    """Encode a change."""
    return _encoder.encode(change)


def decode_change(value: bytes) -> FindingChange:
    """The inverse of `encode_change`; raises `msgspec.DecodeError` on foreign bytes."""
    return _change_decoder.decode(value)
