"""One interaction as the timeline holds it: the record alone, which code that is compiled may use but not define."""

import msgspec

from schemas.interaction import Interaction, Micros, decode_interaction

Identity = tuple[str, str]
"""`(source, id)`: what an interaction is known by."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One interaction as `evaluate` sees it.

    `traits` packs the channel's index in `CHANNELS` (two bits) and the flags `CONTACT`, `RESOLVED`,
    `NOT_RESOLVED` of `streams.core.timeline`.
    `wait_seconds`, `effort_seconds` in seconds, None when unknown. `body` is
    `encode_interaction(interaction)`.
    """

    occurred_at: Micros
    source: str
    id: str
    revision: int
    traits: int
    wait_seconds: float | None
    effort_seconds: float | None
    transfers: int | None
    subjects: tuple[str, ...]
    body: bytes

    @property
    def identity(self) -> Identity:
        """`(source, id)`."""
        return self.source, self.id

    @property
    def position(self) -> tuple[Micros, str, str]:
        """The place on the timeline; ties in time are broken by source and id, by code point."""
        return self.occurred_at, self.source, self.id

    def interaction(self) -> Interaction:
        """The whole interaction."""
        return decode_interaction(self.body)
