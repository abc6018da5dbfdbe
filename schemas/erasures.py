"""The log of erasures (`touchline.erasures`): what was forgotten, for every worker to let go of and never take again.

It names nobody: customers and interactions stand in it as keyed hashes of 16 bytes
(`Pseudonyms.erased_customer` and `Pseudonyms.erased_identity`), so the log itself need not be forgotten.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.interaction import Micros

HASH_BYTES: Final = 16

HASHES_PER_RECORD: Final = 40_000
"""18 bytes each as they are encoded: a record stays below one megabyte."""


class Erasure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer is to be forgotten: one part of `parts`, which are told apart by `part` (0, 1, ...).

    What holds is the union of all parts. An erasure is complete, and may be swept, when all of them are known.
    """

    id: str
    asked_at: Micros
    customers: tuple[bytes, ...]
    """Hashes of every name of the customer: `crm:A1`, `phone:+359888123456`."""
    interactions: tuple[bytes, ...]
    """Hashes of every `(source, id)` that is no more."""
    part: int = 0
    parts: int = 1


class ErasureDone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The owner of a partition of `touchline.interactions` has let go of what an erasure names."""

    id: str
    partition: int


def erasure_parts(
    id: str, asked_at: Micros, customers: Iterable[bytes], interactions: Iterable[bytes]
) -> tuple[Erasure, ...]:
    """An erasure as the records that carry it: at least one, none with more than `HASHES_PER_RECORD` hashes.

    The same arguments, in any order, make the same records: publishing them again replaces them.
    """
    names = tuple(sorted(set(customers)))
    identities = tuple(sorted(set(interactions)))
    ends = range(0, len(names) + len(identities), HASHES_PER_RECORD) or range(1)
    return tuple(
        Erasure(
            id,
            asked_at,
            names[start : start + HASHES_PER_RECORD],
            identities[max(0, start - len(names)) : max(0, start + HASHES_PER_RECORD - len(names))],
            part,
            len(ends),
        )
        for part, start in enumerate(ends)
    )


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Erasure)


def encode_erasure(erasure: Erasure) -> bytes:
    """Encode for the log."""
    return _encoder.encode(erasure)


def decode_erasure(value: bytes) -> Erasure:
    """The inverse of `encode_erasure`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value)


def erasure_key(erasure: Erasure) -> bytes:
    """The Kafka key: the erasure and the part."""
    return f"{erasure.id}/{erasure.part}".encode()
