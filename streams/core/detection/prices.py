"""Which interactions with amounts belong together, and which of them a timeline must hold for as long as they may."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.interaction import Micros


class Charge(NamedTuple):
    """A charge above its price: refunds until `until` may settle it."""

    which: int
    until: Micros


def parted(indices: Sequence[int], at: Sequence[Micros], within: Micros) -> list[list[int]]:
    """Indices in order of time, parted where a silence is longer than `within`."""
    if at[indices[-1]] - at[indices[0]] <= within:
        return [[*indices]]
    chain = [indices[0]]
    chains = [chain]
    for index in indices[1:]:
        if at[index] - at[chain[-1]] > within:
            chain = []
            chains.append(chain)
        chain.append(index)
    return chains


def to_hold(
    chain: Sequence[int],
    prices: Sequence[int],
    above: Sequence[Charge],
    refunds: Sequence[int],
    at: Sequence[Micros],
    since: Micros,
    horizon: Micros,
    within: Micros,
) -> list[int]:
    """What of a chain must be held beside all that occurred at `since` or later, so that every charge from then
    on meets the same price and the same refunds. `above` and `refunds` are in order of time.

    That is the latest price before it and all later ones; charges above their price, and refunds, as far back as
    one may have taken what would else be left for another, and what was the price then; and of all else as
    little as leaves no silence longer than `within`, the last one always, so that the chain may go on: about
    two interactions for each `within` since the price was agreed, however many bills there were.
    """
    begin = since - horizon
    for charge in reversed(above):
        if charge.until < begin:
            break
        begin = min(begin, at[charge.which])
    needed = [index for index in (*[one.which for one in above], *refunds) if at[index] >= begin]
    earliest = min([since, *[at[index] for index in needed]])
    start = 0
    for place, index in enumerate(prices):
        if at[index] <= earliest:
            start = place
    held = {*prices[start:], *needed}
    last: int | None = None
    for place, index in enumerate(chain):
        if last is None:
            last = index if index in held else None
        elif place == len(chain) - 1 or at[chain[place + 1]] - at[last] > within:
            last = index
            held.add(index)
    return [index for index in chain if index in held]
