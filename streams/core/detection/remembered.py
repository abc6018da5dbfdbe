"""What a customer's state keeps for detection between two evaluations, as bytes: a MessagePack array.

Fields have a position: a new one is appended at the end, with a default, and old bytes stay readable.
"""

from typing import Final

import msgspec

from schemas.findings import Colour, Finding
from schemas.interaction import Micros
from streams.core.state import unpack_steps
from streams.core.timeline import Step


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a customer's state keeps for detection (`CustomerState.detection`)."""

    version: str = ""
    """`Detection.version` of the last evaluation."""
    due: Micros | None = None
    """The earliest instant at which findings or a colour change with no new interaction."""
    known: tuple[Finding, ...] = ()
    sequences: dict[str, int] = {}
    """How many changes have been told of each finding; a repeated batch numbers them alike."""
    colours: tuple[Colour, tuple[tuple[str, Colour], ...]] = ("green", ())
    """As last told: of the customer, of each channel."""
    held: int = 0
    aside: bytes = b""
    """Steps that have left the timeline, encoded one behind the other, in the timeline's order."""
    forgotten_before: Micros | None = None
    """Nothing that occurred earlier is held any more; None: nothing has been forgotten."""
    touched: Micros = 0
    """The clock when something last arrived."""
    marks: bytes = b""
    """`RuleSet.mark` of the steps aside and of those on the timeline, in their order, as `RuleSet.packed` has them."""
    lit_until: Micros | None = None
    """Before it the light has the colours last told, if the findings stay; None: for ever."""
    outlived: tuple[str, ...] = ()
    """Ids of those of `known` that have ceased to stand by a change of rules alone (`transition`)."""

    def steps(self) -> list[Step]:
        """The steps aside."""
        return unpack_steps(self.held, self.aside) if self.held else []


NOTHING_REMEMBERED: Final = Remembered()

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Remembered)


def encode_remembered(remembered: Remembered) -> bytes:
    """Encode for the state; nothing remembered is no bytes."""
    return b"" if remembered == NOTHING_REMEMBERED else _encoder.encode(remembered)


def decode_remembered(value: bytes) -> Remembered:
    """The inverse of `encode_remembered`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value) if value else NOTHING_REMEMBERED
