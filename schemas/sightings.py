"""The log of sightings (`touchline.sightings`): of which interactions a first revision was told, and of whom.

An interaction that is told again in the revision that is known changes nothing, also where it names somebody else. Only
revisions above 0 are announced with all they name (`schemas.corrections`); of the others every worker knows these
twelve bytes, for as long as the log keeps them and `KnownSightings` has room.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final
from zlib import crc32

from schemas.interaction import Interaction

MARK_BYTES: Final = 8
SIGHTING_BYTES: Final = 12

SIGHTINGS_A_RECORD: Final = 4_096
"""A record of the log has so many at the most, 48 KiB."""


def sighting_of(interaction: Interaction) -> bytes:
    """Twelve bytes: eight that stand for the identity `(source, id)`, four for the identifiers that it names.

    BLAKE2b (RFC 7693) with a digest of 8 bytes over `SOURCE U+001F ID` in UTF-8; CRC-32 over the identifiers as
    normalised, U+001F between them, and the mark. An event has the mark of one among six million others once in
    3 * 10^12 times; two customers of one identity go for one once in 4 * 10^9 times.
    """
    one = interaction
    mark = blake2b(f"{one.source}\x1f{one.id}".encode(), digest_size=MARK_BYTES).digest()
    # No identifier is empty, so an empty one is an absent one.
    strong = f"{one.crm_id or ''}\x1f{one.contract or ''}\x1f{one.loyalty or ''}"
    named = f"{strong}\x1f{one.phone or ''}\x1f{one.email or ''}\x1f{one.device or ''}"
    return mark + crc32(mark, crc32(named.encode())).to_bytes(4, "big")


def packed_sightings(sightings: Iterable[bytes]) -> Iterator[bytes]:
    """Values of records of the log that hold these sightings, in their order."""
    together = b"".join(sightings)
    size = SIGHTINGS_A_RECORD * SIGHTING_BYTES
    for at in range(0, len(together), size):
        yield together[at : at + size]


def unpacked_sightings(value: bytes) -> list[bytes]:
    """The sightings of a record. ValueError for foreign bytes."""
    if len(value) % SIGHTING_BYTES:
        raise ValueError(f"{len(value)} bytes are no sightings of {SIGHTING_BYTES} each")
    return [value[at : at + SIGHTING_BYTES] for at in range(0, len(value), SIGHTING_BYTES)]
