"""What the table keeps for one customer, as bytes: a MessagePack array whose first element is the due
instant.

Fields have a position: a new one is appended at the end, with a default, and old bytes stay readable
(tests/golden pins them).
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.interaction import Micros
from schemas.records import Journey
from streams.core.marks import identity_mark, marks_of
from streams.core.step import Step

__all__ = [
    "CustomerState",
    "decode_state",
    "encode_state",
    "identity_mark",
    "marks_of",
    "next_due",
    "pack_steps",
    "unpack_steps",
]


class CustomerState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One customer. A forgotten one keeps `newest` and `floor` alone, an anonymous interaction one step
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
    basis: int
    """`JourneyPolicy.basis` of the journeys: with another one they are evaluated anew."""
    journeys: tuple[Journey, ...] = ()
    """As last emitted, oldest first: those of `carried` and `steps` together."""
    held: int = 0
    """How many steps `packed` holds."""
    packed: bytes = b""
    """The steps in the timeline's order, encoded one behind the other: appending one opens none of them."""
    carried: tuple[Journey, ...] = ()
    marks: bytes = b""
    """`identity_mark` of every held step, in no order: an arrival whose mark is not among them is not held."""
    journeys_due: Micros | None = None
    """`due` as far as journeys and dormancy go; set where rules are in force."""
    detection: bytes = b""
    """What rules remember (`streams.core.detection.customer.Remembered`); empty without rules."""

    def steps(self) -> list[Step]:
        """The held steps."""
        return unpack_steps(self.held, self.packed)


class _Due(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first element of a state."""

    due: Micros | None


_encoder = msgspec.msgpack.Encoder()
_buffer: Final = bytearray()
_decoder = msgspec.msgpack.Decoder(CustomerState)
_steps_decoder = msgspec.msgpack.Decoder(list[Step])
_due_decoder = msgspec.msgpack.Decoder(_Due)


def encode_state(state: CustomerState) -> bytes:
    """Encode for the table and its changelog. Not for several threads at once: they would share the buffer.

    The copy is for memory: what the encoder gives by itself was cut from a larger buffer, and a table of such bytes has
    a hole of a kilobyte behind each.
    """
    _encoder.encode_into(state, _buffer)
    return bytes(_buffer)


def decode_state(value: bytes) -> CustomerState:
    """The inverse of `encode_state`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value)


def next_due(state: bytes) -> Micros | None:
    """When a customer must be evaluated again, read from the encoded state without decoding the rest."""
    return _due_decoder.decode(state).due


def pack_steps(steps: Iterable[Step]) -> bytes:
    """Steps one behind the other, as `CustomerState.packed` has them."""
    return b"".join(map(_encoder.encode, steps))


def unpack_steps(held: int, packed: bytes) -> list[Step]:
    """The inverse of `pack_steps`; `held` is their number."""
    return _steps_decoder.decode(b"\xdd" + held.to_bytes(4, "big") + packed)
