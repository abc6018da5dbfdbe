"""The validated interaction: what travels on `touchline.interactions` and what every later stage works on.

The edge (`schemas.codec`) turns a raw event into this record once; behind it nobody sees JSON or a dict. The record is
flat and encoded as a MessagePack array: fields have a position, so a new one is appended at the end, with a
default, and old bytes stay readable (tests/golden pins them).

Times are integers, microseconds since 1970-01-01 UTC: comparing and subtracting them is exact and cheap.
"""

from decimal import Decimal
from typing import Final, NewType

import msgspec

from schemas.identifiers import Identifiers
from schemas.vocabulary import (
    Channel,
    ComplaintStage,
    Direction,
    Outcome,
    RatingScale,
    SubjectStage,
    Treatment,
)

CustomerId = NewType("CustomerId", str)
"""The canonical customer: an identifier prefixed by its kind (`crm:A1`, `phone:+359888123456`)."""

Micros = int
"""An instant: microseconds since the Unix epoch, UTC."""

SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 86_400 * SECOND

CONTROL_KEY: Final = b"\x00control"
"""Kafka key of control records (watermarks) on the interactions topic; no customer key begins with a NUL."""


_new_tuple: Final = tuple.__new__


class Interaction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One touchpoint, validated and normalised. Absent means unknown (None), never zero.

    Identity is `(source, id)`; a higher `revision` replaces, a lower or equal one changes nothing.
    `customer` is the canonical customer, None for an anonymous interaction.
    `topic`, `partition`, `offset` are the coordinates of the raw record; under replay the file's name, 0, the line.
    """

    source: str
    id: str
    revision: int
    channel: Channel
    type: str
    occurred_at: Micros
    customer: str | None = None
    direction: Direction | None = None

    # identifiers as normalised at the edge; `unnormalised` names the kinds that were kept as they came
    crm_id: str | None = None
    contract: str | None = None
    loyalty: str | None = None
    phone: str | None = None
    email: str | None = None
    device: str | None = None
    unnormalised: tuple[str, ...] = ()

    # subject
    reason: str | None = None
    case_id: str | None = None
    order_id: str | None = None
    product: str | None = None
    stage: SubjectStage | None = None

    outcome: Outcome | None = None

    # price
    price_agreed: Decimal | None = None
    price_charged: Decimal | None = None
    price_currency: str | None = None
    price_ref: str | None = None

    # promise; a due *date* keeps its day, since its end depends on the calendar that judges it
    promise_what: str | None = None
    promise_due_at: Micros | None = None
    promise_due_on: str | None = None
    promise_kept_ref: str | None = None
    promise_cancelled_ref: str | None = None

    rating_scale: RatingScale | None = None
    rating_value: float | None = None
    rating_resolved: bool | None = None

    treatment: Treatment | None = None
    sentiment: float | None = None
    complaint_remedy_sought: str | None = None
    complaint_stage: ComplaintStage | None = None

    transfers: int | None = None
    follows: str | None = None
    staff_id: str | None = None
    text: str | None = None
    attributes: dict[str, str] = {}

    # phone, visit
    wait_seconds: float | None = None
    talk_seconds: float | None = None
    hold_seconds: float | None = None
    wrap_up_seconds: float | None = None
    ivr_path: str | None = None

    # email
    thread_id: str | None = None
    in_reply_to: str | None = None

    # visit
    office_id: str | None = None
    ticket: str | None = None
    service_seconds: float | None = None

    # online
    session_id: str | None = None
    action: str | None = None
    target: str | None = None
    success: bool | None = None
    duration_seconds: float | None = None

    # where it came from
    topic: str = ""
    partition: int = 0
    offset: int = 0
    received_at: Micros | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The identity `(source, id)`."""
        return self.source, self.id

    @property
    def identifiers(self) -> Identifiers:
        """What it carries of whose it is."""
        known = self.crm_id, self.contract, self.loyalty, self.phone, self.email, self.device
        return _new_tuple(Identifiers, known)  # `Identifiers(...)` goes through a function in Python.

    @property
    def position(self) -> tuple[Micros, str, str]:
        """The place on a timeline; ties in time are broken by source and id, by code point."""
        return self.occurred_at, self.source, self.id


class WatermarkReport(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A control record: how far each source partition has been read, by event time, and what the sender knew.

    `marks` maps `"topic/partition"` to the instant before which nothing of that partition is still unread.
    `links_seen` is the position in the log of links that the sender had read when it named the customers of the
    interactions that follow.
    """

    marks: dict[str, Micros]
    links_seen: int = 0


_interaction_encoder = msgspec.msgpack.Encoder()
_interaction_decoder = msgspec.msgpack.Decoder(Interaction)
_watermark_decoder = msgspec.msgpack.Decoder(WatermarkReport)


def encode_interaction(interaction: Interaction) -> bytes:
    """Encode for the interactions topic."""
    return _interaction_encoder.encode(interaction)


def decode_interaction(value: bytes) -> Interaction:
    """The inverse of `encode_interaction`; raises `msgspec.DecodeError` on foreign bytes."""
    return _interaction_decoder.decode(value)


def encode_watermarks(report: WatermarkReport) -> bytes:
    """Encode a control record for the interactions topic (key `CONTROL_KEY`)."""
    return _interaction_encoder.encode(report)


def decode_watermarks(value: bytes) -> WatermarkReport:
    """The inverse of `encode_watermarks`; raises `msgspec.DecodeError` on foreign bytes."""
    return _watermark_decoder.decode(value)


def routing_key(interaction: Interaction) -> bytes:
    """The Kafka key on the interactions topic: the customer; for an anonymous one its own identity."""
    if interaction.customer is not None:
        return interaction.customer.encode()
    return f"anonymous:{interaction.source}\x1f{interaction.id}".encode()
