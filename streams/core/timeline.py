"""A customer's timeline: the set of interactions, held sorted by `(occurred_at, source, id)`.

A timeline holds *steps*: what `evaluate` reads of an interaction, worked out once when it arrives, beside
the whole interaction as bytes. Reading a state again then costs the few fields of a step; the bytes are
opened only when a row must be written anew.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.interaction import Interaction, encode_interaction
from schemas.records import Coordinates, Journey
from schemas.vocabulary import CHANNELS
from streams.core.facets import effort_seconds, is_contact, known_outcome, subjects_of
from streams.core.step import Identity, Step

__all__ = [
    "CHANNEL_BITS",
    "CONTACT",
    "NOT_RESOLVED",
    "RESOLVED",
    "Identity",
    "Step",
    "Timeline",
    "coordinates_of",
    "step_of",
    "timeline_of",
]

CHANNEL_BITS: Final = 0b00011
CONTACT: Final = 0b00100
RESOLVED: Final = 0b01000
NOT_RESOLVED: Final = 0b10000

_CHANNEL_INDEX: Final[dict[str, int]] = {channel: index for index, channel in enumerate(CHANNELS)}


class Timeline(NamedTuple):
    """A customer's interactions.

    `steps` are sorted by position, identities distinct. `carried` are the sums of older journeys, or of the
    older part of the first journey, whose interactions are no longer held (see
    `JourneyPolicy.max_interactions`), oldest first; none ends after the first step.
    """

    customer: str
    steps: Sequence[Step]
    carried: Sequence[Journey] = ()


def step_of(interaction: Interaction) -> Step:
    """Work out, once, what `evaluate` reads of an interaction."""
    traits = _CHANNEL_INDEX[interaction.channel]
    if is_contact(interaction):
        traits |= CONTACT
    outcome = known_outcome(interaction)
    if outcome is not None:
        traits |= RESOLVED if outcome else NOT_RESOLVED
    return Step(
        interaction.occurred_at,
        interaction.source,
        interaction.id,
        interaction.revision,
        traits,
        interaction.wait_seconds,
        effort_seconds(interaction),
        interaction.transfers,
        subjects_of(interaction),
        encode_interaction(interaction),
    )


def timeline_of(customer: str, interactions: Sequence[Interaction]) -> Timeline:
    """A timeline of interactions in any order; of one identity the highest revision counts, the first among
    equals.
    """
    latest: dict[Identity, Interaction] = {}
    for interaction in interactions:
        held = latest.get(interaction.key)
        if held is None or interaction.revision > held.revision:
            latest[interaction.key] = interaction
    steps = sorted((step_of(interaction) for interaction in latest.values()), key=lambda step: step.position)
    return Timeline(customer, steps)


def coordinates_of(interaction: Interaction) -> Coordinates:
    """Where the raw record of an interaction stands."""
    return Coordinates(interaction.topic, interaction.partition, interaction.offset)
