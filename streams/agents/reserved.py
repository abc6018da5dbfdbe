"""What a partition stores beside its timelines, under keys that no customer has: they begin with a NUL."""

from collections.abc import Iterable
from typing import Final

import msgspec

INTENT_KEY: Final = b"\x00intent"
"""The keys that are about to lose interactions, written before they do (docs/adr/0004-identity.md)."""

IDENTITIES_KEY: Final = b"\x00identities"
"""The position in the log of links up to which the partition's rows of identity are written."""

ERASURES_KEY: Final = b"\x00erasures"
"""The position in the log of erasures up to which the partition has forgotten everything, and said so."""

_encode = msgspec.msgpack.encode
_keys_decoder: Final = msgspec.msgpack.Decoder(list[bytes])
_position_decoder: Final = msgspec.msgpack.Decoder(int | tuple[int, int])


def is_customers(key: bytes) -> bool:
    """Whether it is the key of a timeline."""
    return not key.startswith(b"\x00")


def dump_intent(keys: Iterable[bytes]) -> bytes | None:
    """An intent to store; none is None, which removes it."""
    ordered = sorted(keys)
    return _encode(ordered) if ordered else None


def load_intent(stored: bytes | None) -> list[bytes]:
    """The stored intent; raises `msgspec.DecodeError` on foreign bytes."""
    return _keys_decoder.decode(stored) if stored is not None else []


def dump_position(position: int) -> bytes:
    """A position to store."""
    return _encode(position)


def dump_written(position: int, limits: int | None) -> bytes:
    """A position to store up to which rows of identity are written, and `IdentityPolicy.basis` as of then if known."""
    return dump_position(position) if limits is None else _encode((position, limits))


def load_position(stored: bytes | None) -> int:
    """The stored position, 0 when there is none; raises `msgspec.DecodeError` on foreign bytes."""
    found = _position_decoder.decode(stored) if stored is not None else 0
    return found if isinstance(found, int) else found[0]


def load_limits(stored: bytes | None) -> int | None:
    """What `dump_written` stored with the position; None when nothing did."""
    found = _position_decoder.decode(stored) if stored is not None else 0
    return None if isinstance(found, int) else found[1]
