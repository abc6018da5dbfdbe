"""The log of erasures (`touchline.erasures`): what was forgotten, for every worker to let go of and never take again.

It names nobody: customers and interactions stand in it as keyed hashes of 16 bytes
(`Pseudonyms.erased_customer`, `erased_identity`, `erased_fact`), so the log itself need not be forgotten.

Who forgets writes an erasure twice. First with `links_seen` of `NOT_YET`: from then on nothing that it names is taken
in any more, and what is held is let go. Then, once the log of links has its tombstones, with the position behind the
last of them: owners of partitions say that they are done (`ErasureDone`) when all that follows from that is written.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from schemas.interaction import Micros

NOT_YET: Final = -1
"""In place of `links_seen`: nobody is to say that it is done yet."""

HASHES_PER_RECORD: Final = 40_000
"""18 bytes each as they are encoded: a record stays below one megabyte."""


def letter_identity(value: bytes) -> tuple[str, str]:
    """What stands for a dead letter's bytes in place of `(source, id)`, which it may not have: no source is empty."""
    return "", blake2b(value, digest_size=16).hexdigest()


class Erasure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer is to be forgotten: one part of `parts`, which are told apart by `part` (0, 1, ...).

    What holds is the union of all parts. An erasure is complete, and may be swept, when all of them are known.
    """

    id: str
    asked_at: Micros
    customers: tuple[bytes, ...]
    """Hashes of every name of the customer: `crm:A1`, `phone:+359888123456`."""
    interactions: tuple[bytes, ...]
    """Hashes of every `(source, id)` that is no more: of interactions, of facts, and what stands for dead letters."""
    links_seen: int = 0
    """The position in the log of links behind the last tombstone of this erasure; or `NOT_YET`."""
    part: int = 0
    parts: int = 1


class ErasureDone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The owner of a partition has let go of what an erasure names: it writes no row of it any more."""

    id: str
    partition: int


def erasure_parts(
    id: str,  # noqa: A002 - the contract's own word
    asked_at: Micros,
    customers: Iterable[bytes],
    interactions: Iterable[bytes],
    links_seen: int = 0,
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
            links_seen,
            part,
            len(ends),
        )
        for part, start in enumerate(ends)
    )


class Forgetting(msgspec.Struct, frozen=True, gc=False, tag="erasure", tag_field="type"):
    """What the owner of a partition says on the alerts topic behind the withdrawals that an erasure brings about.

    JSON, under `FORGETTING_KEY`. What is known of alerts of those customers is to be forgotten; where `done`, the owner
    has let go of everything else, and this is the last of it.
    """

    ids: tuple[str, ...]
    done: bool = False


FORGETTING_KEY: Final = b"\x00erasure"
"""No customer's key begins with a NUL."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Erasure)
_forgetting_encoder: Final = msgspec.json.Encoder()
_forgetting_decoder: Final = msgspec.json.Decoder(Forgetting)


def encode_erasure(erasure: Erasure) -> bytes:
    """Encode for the log."""
    return _encoder.encode(erasure)


def decode_erasure(value: bytes) -> Erasure:
    """The inverse of `encode_erasure`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value)


def erasure_key(erasure: Erasure) -> bytes:
    """The Kafka key: the erasure and the part."""
    return f"{erasure.id}/{erasure.part}".encode()


def encode_forgetting(forgetting: Forgetting) -> bytes:
    """JSON for the alerts topic."""
    return _forgetting_encoder.encode(forgetting)


def decode_forgetting(value: bytes) -> Forgetting:
    """The inverse; raises `msgspec.DecodeError` on foreign bytes."""
    return _forgetting_decoder.decode(value)
