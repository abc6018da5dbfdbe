"""The log of corrections (`touchline.corrections`): interactions that were told again, for every worker to know.

A revision above 0 may name another customer than the one before, which lies on a timeline in some partition, or is yet
to come. So `identify` announces every such revision to all before it sends it on, and who holds a lower one lets it go.
"""

from typing import Final

import msgspec

from schemas.identifiers import Identifiers
from schemas.interaction import Interaction


class Correction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """That interaction `(source, id)` exists in a revision above 0, and whom that revision names."""

    source: str
    id: str
    revision: int
    identifiers: Identifiers
    unnormalised: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The identity `(source, id)`."""
        return self.source, self.id


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Correction)


def correction_of(interaction: Interaction) -> Correction | None:
    """What is to be announced of an interaction; None for a revision of 0."""
    if not interaction.revision:
        return None
    return Correction(
        interaction.source,
        interaction.id,
        interaction.revision,
        interaction.identifiers,
        interaction.unnormalised,
    )


def encode_correction(correction: Correction) -> bytes:
    """Encode for the log."""
    return _encoder.encode(correction)


def decode_correction(value: bytes) -> Correction:
    """The inverse of `encode_correction`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value)


def correction_key(correction: Correction) -> bytes:
    """The Kafka key: the identity. The length in front keeps different identities apart."""
    return f"{len(correction.source)}:{correction.source}{correction.id}".encode()


def corrected(key: bytes) -> tuple[str, str]:
    """The identity `(source, id)` that a key names: the inverse of `correction_key`. ValueError for a foreign key."""
    length, separator, rest = key.decode().partition(":")
    if not separator or not length.isdecimal() or int(length) > len(rest):
        raise ValueError("not the key of a correction")
    return rest[: int(length)], rest[int(length) :]
