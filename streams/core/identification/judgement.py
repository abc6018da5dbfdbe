"""Whether what a customer holds, or is about to get, is the customer's: what must go, and where to."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from schemas.corrections import Correction
from schemas.interaction import Interaction
from schemas.links import Name
from schemas.records import Coordinates
from streams.core.identification.moves import CustomerOf, customer_of, is_outdated, is_overruled
from streams.core.identification.naming import naming_of
from streams.core.timeline import Identity, Step, coordinates_of

CorrectionOf = Callable[[Identity], Correction | None]
"""The highest correction that is known of an interaction."""


class Judgement(NamedTuple):
    """What is not where it belongs. `leaving` are identities of held interactions that go.

    `forwards` are interactions with their right customer in them, to be sent on; `superseded` the raw records of those
    that are corrected already, or erased, and go nowhere.
    """

    leaving: Sequence[Identity]
    forwards: Sequence[Interaction]
    superseded: Sequence[Coordinates]


IsErased = Callable[[str, str], bool]
"""Whether an interaction `(source, id)` was forgotten."""

BELONGS = Judgement((), (), ())
"""Everything is where it belongs."""


def judge(
    steps: Sequence[Step],
    holder: Name | None,
    canonical: CustomerOf,
    correction: CorrectionOf,
    is_erased: IsErased | None = None,
) -> Judgement:
    """What must leave the timeline of `holder` (None: an anonymous one).

    An interaction goes when its identifiers name another customer, or when a higher revision does, or one that is equal
    and was announced before it. One that is corrected is not sent on: what corrects it was announced, so it comes. What
    is erased goes nowhere either; without `is_erased` nothing is.
    """
    leaving: list[Identity] = []
    forwards: list[Interaction] = []
    superseded: list[Coordinates] = []
    for step in steps:
        if is_erased is not None and is_erased(step.source, step.id):
            leaving.append((step.source, step.id))
            superseded.append(coordinates_of(step.interaction()))
            continue
        naming = naming_of(step.body)
        identifiers, unnormalised = naming.identifiers, naming.unnormalised
        customer = canonical(identifiers, unnormalised)
        known = correction((step.source, step.id))
        if customer == holder and (
            known is None
            or not is_overruled(step.revision, identifiers, unnormalised, holder, known, canonical)
        ):
            continue
        leaving.append((step.source, step.id))
        interaction = step.interaction()
        if is_outdated(step.revision, identifiers, unnormalised, known):
            superseded.append(coordinates_of(interaction))
        else:
            forwards.append(msgspec.structs.replace(interaction, customer=customer))
    return Judgement(leaving, forwards, superseded) if leaving else BELONGS


def judge_arrival(
    arrival: Interaction, named_by_now: bool, canonical: CustomerOf, known: Correction | None
) -> Judgement | None:
    """Why an arrival is refused; None: it is accepted.

    `named_by_now` says that its customer was named by what is known now, so that it need not be asked for again.
    """
    if known is not None and is_outdated(arrival.revision, arrival.identifiers, arrival.unnormalised, known):
        return Judgement((), (), (coordinates_of(arrival),))
    if named_by_now:
        return None
    customer = customer_of(arrival, canonical)
    if customer == arrival.customer:
        return None
    return Judgement((), (msgspec.structs.replace(arrival, customer=customer),), ())
