"""What an encoded interaction says of whose it is, read without decoding the rest of it."""

from typing import Final

import msgspec

from schemas.identifiers import Identifiers


class Naming(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first fields of `schemas.interaction.Interaction`, under its names and in its order."""

    source: str
    id: str
    revision: int
    channel: str
    type: str
    occurred_at: int
    customer: str | None = None
    direction: str | None = None
    crm_id: str | None = None
    contract: str | None = None
    loyalty: str | None = None
    phone: str | None = None
    email: str | None = None
    device: str | None = None
    unnormalised: tuple[str, ...] = ()

    @property
    def identifiers(self) -> Identifiers:
        """What it carries."""
        return Identifiers(self.crm_id, self.contract, self.loyalty, self.phone, self.email, self.device)


_decoder: Final = msgspec.msgpack.Decoder(Naming)


def naming_of(body: bytes) -> Naming:
    """Read it from `encode_interaction`'s bytes; raises `msgspec.DecodeError` on foreign ones."""
    return _decoder.decode(body)
