"""Interactions that name another one by its id: of the same source if that has it, else of any."""

from collections.abc import Callable, Sequence
from typing import Any

from schemas.interaction import Interaction
from streams.core.detection.line import Line


def references(
    line: Line, anchors: Sequence[int], names: int, fields: Sequence[Callable[[Interaction], Any]]
) -> dict[int, int]:
    """For each anchor that is named in one of the fields, the earliest interaction that names it, not earlier than
    the anchor itself. `names` marks those that have one of the fields, `fields` read them.

    A reference means the anchor of its own source; where that source has none of this id, every anchor that has
    it.
    """
    of_source: dict[tuple[str, str], int] = {}
    of_any: dict[str, list[int]] = {}
    for anchor in anchors:
        interaction = line.interactions[anchor]
        of_source[interaction.source, interaction.id] = anchor
        of_any.setdefault(interaction.id, []).append(anchor)
    found: dict[int, int] = {}
    for index in line.having(names):
        interaction = line.interactions[index]
        for read in fields:
            name = read(interaction)
            if name is None:
                continue
            same = of_source.get((interaction.source, name))
            for anchor in of_any.get(name, ()) if same is None else (same,):
                if line.at[index] >= line.at[anchor]:
                    found.setdefault(anchor, index)
    return found
