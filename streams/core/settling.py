"""All of the input at once, as `replay` has it: put in an order in which nothing comes late."""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.interaction import Interaction, routing_key
from schemas.records import Coordinates
from streams.core.timeline import coordinates_of


class Settled(NamedTuple):
    """What is left when everything has been told. `interactions` are sorted by position."""

    interactions: list[Interaction]
    superseded: list[Coordinates]


def settle(interactions: Iterable[Interaction]) -> Settled:
    """Of each identity the highest revision, the first told among equals; all others are superseded.

    `advance_batch` of the result finds nothing late and nothing repeated, so the order of the input cannot
    matter and nothing is beyond the horizon. As on the live road, an identity is looked for under its own
    routing key only.
    """
    latest: dict[tuple[bytes, str, str], Interaction] = {}
    superseded: list[Coordinates] = []
    for interaction in interactions:
        identity = (routing_key(interaction), interaction.source, interaction.id)
        held = latest.get(identity)
        if held is None:
            latest[identity] = interaction
        elif interaction.revision > held.revision:
            superseded.append(coordinates_of(held))
            latest[identity] = interaction
        else:
            superseded.append(coordinates_of(interaction))
    return Settled(sorted(latest.values(), key=lambda one: one.position), superseded)
