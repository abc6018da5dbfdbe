"""What reading the same records again brings again, and what it does not.

A worker that dies when its states are in the changelog and its rows are not yet written leaves records that are read
again, by states that know them. An arrival that is known is written again with its journey (`apply_arrivals`), so
those rows need no care. All others are to be kept until they are written.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.records import Journey, PlacedInteraction
from streams.core.advance import Advance


class Unrepeated(NamedTuple):
    """Rows of one customer that the arrivals would not bring again."""

    interactions: Sequence[PlacedInteraction]
    journeys: Sequence[Journey]


ALL_REPEATED: Final = Unrepeated((), ())


def unrepeated(advance: Advance) -> Unrepeated:
    """Of a customer's rows, those that its arrivals would not bring again if they came after this advance.

    That is what time has closed; and all of it where a journey was taken apart, where rows stand for more than the
    arrivals, or where something left the timeline, since an arrival that is not held is not known.
    """
    rows, journeys = advance.interactions, advance.journeys
    if advance.left or advance.retracted or len(rows) != len(advance.placed) + advance.beyond:
        return Unrepeated(rows, journeys)
    if not journeys or (len(journeys) == 1 and rows and rows[-1].journey_id == journeys[0].journey_id):
        return ALL_REPEATED
    arrived_in = {row.journey_id for row in rows}
    closed = [journey for journey in journeys if journey.journey_id not in arrived_in]
    return Unrepeated((), closed) if closed else ALL_REPEATED
