"""What the table keeps for one customer, as bytes: a MessagePack array whose first element is the due
instant.

Fields have a position: a new one is appended at the end, with a default, and old bytes stay readable
(tests/golden pins them).
"""

import msgspec

from schemas.interaction import Micros
from schemas.records import Journey
from streams.core.timeline import Step


class EmittedJourney(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was last emitted of a journey: enough to tell what changed.

    A journey into which nothing arrived is a function of its members and of the clock, so its count and
    whether it is closed say all. `interactions` counts carried ones too.
    """

    journey_id: str
    interactions: int
    closed: bool


class CustomerState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One customer; a forgotten customer keeps `newest` and `floor` alone, an anonymous interaction one step
    alone.
    """

    due: Micros | None
    """The earliest instant at which evaluating again changes something; None: never."""
    newest: Micros
    """Greatest `occurred_at` ever accepted; it never goes back, so neither does the horizon."""
    clock: Micros
    """`now` when this state was written; a later evaluation never looks back behind it."""
    floor: Micros | None
    """What occurred at this instant or earlier may no longer be added: journeys there are final."""
    emitted: tuple[EmittedJourney, ...] = ()
    """Journeys as last emitted, oldest first: those of `carried` and `steps` together."""
    steps: tuple[Step, ...] = ()
    carried: tuple[Journey, ...] = ()


class _Due(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first element of a state."""

    due: Micros | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CustomerState)
_due_decoder = msgspec.msgpack.Decoder(_Due)


def encode_state(state: CustomerState) -> bytes:
    """Encode for the table and its changelog."""
    return _encoder.encode(state)


def decode_state(value: bytes) -> CustomerState:
    """The inverse of `encode_state`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value)


def next_due(state: bytes) -> Micros | None:
    """When a customer must be evaluated again, read from the encoded state without decoding the rest."""
    return _due_decoder.decode(state).due
