"""The marks by which a timeline knows, unopened, that it does not hold an interaction."""

from collections.abc import Iterable
from typing import Final
from zlib import crc32

from streams.core.step import Step

_SOURCES_KEPT: Final = 1_000

_begun: dict[str, int] = {}
"""The checksum as far as the source goes: sources are few, and return with every interaction."""


def identity_mark(source: str, id: str) -> bytes:  # noqa: A002 - the contract's own word
    """Four bytes of `(source, id)`: CRC-32 of `SOURCE\\x1fID` in UTF-8. Others may share them, so that a match has to
    be looked into.
    """
    begun = _begun.get(source)
    if begun is None:
        if len(_begun) >= _SOURCES_KEPT:
            _begun.clear()
        begun = crc32(f"{source}\x1f".encode())
        _begun[source] = begun
    return crc32(id.encode(), begun).to_bytes(4, "big")


def marks_of(steps: Iterable[Step]) -> bytes:
    """The marks of steps, as `CustomerState.marks` has them."""
    return b"".join([identity_mark(step.source, step.id) for step in steps])
