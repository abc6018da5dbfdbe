"""A partition's clock between runs: stored with the timelines, under a key that no customer has."""

from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.interaction import Micros
from streams.core.watermarks import PartitionClock

CLOCK_KEY: Final = b"\x00clock"
"""No customer key begins with a NUL."""


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    marks: dict[str, Micros]
    now: Micros | None


_decode = msgspec.msgpack.Decoder(_Stored).decode


def dump_clock(clock: PartitionClock) -> bytes:
    """The clock's marks and time; what it expects is the configuration's business."""
    return msgspec.msgpack.encode(_Stored(dict(clock.marks), clock.now))


def load_clock(stored: bytes | None, expected: Iterable[str]) -> PartitionClock:
    """The stored clock, now expecting these sources; a new one when nothing was stored."""
    if stored is None:
        return PartitionClock(frozenset(expected))
    state = _decode(stored)
    return PartitionClock(frozenset(), state.marks, state.now).expecting(expected)
