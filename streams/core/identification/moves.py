"""What has to leave a timeline, and where it goes: the plan of merge, unmerge and correction."""

from collections.abc import Callable, Iterable

import msgspec

from schemas.corrections import Correction
from schemas.identifiers import Identifiers
from schemas.interaction import Interaction
from schemas.links import Name

CustomerOf = Callable[[Identifiers, tuple[str, ...]], Name | None]
"""`IdentityIndex.customer_of`."""


def customer_of(interaction: Interaction, canonical: CustomerOf) -> Name | None:
    """Whose an interaction is, by the identifiers that it carries; None is anonymous."""
    return canonical(interaction.identifiers, interaction.unnormalised)


def moves(
    timeline: Iterable[Interaction], holder: Name | None, canonical: CustomerOf
) -> dict[Name | None, list[Interaction]]:
    """By new customer, the interactions that `holder` must give away, with that customer already in them.

    Empty when everything is where it belongs. Merge, unmerge and a limit that was passed are all this: an interaction
    always carries the identifiers that decide.
    """
    leaving: dict[Name | None, list[Interaction]] = {}
    for interaction in timeline:
        customer = customer_of(interaction, canonical)
        if customer != holder:
            leaving.setdefault(customer, []).append(msgspec.structs.replace(interaction, customer=customer))
    return leaving


def is_outdated(
    revision: int, identifiers: Identifiers, unnormalised: tuple[str, ...], correction: Correction | None
) -> bool:
    """Whether an interaction that carries these is corrected already, so that it is superseded and not stored: by a
    higher revision, or by an equal one that names otherwise and was announced before it.
    """
    if correction is None or correction.revision < revision:
        return False
    return (
        correction.revision > revision
        or correction.identifiers != identifiers
        or correction.unnormalised != unnormalised
    )


def is_overruled(
    revision: int,
    identifiers: Identifiers,
    unnormalised: tuple[str, ...],
    holder: Name | None,
    correction: Correction | None,
    canonical: CustomerOf,
) -> bool:
    """Whether a held interaction must go because it is outdated by one that names another customer.

    While that one is `holder`'s own, the held one waits to be replaced by it, so that the journey shows no gap.
    It has to be asked again whenever links have changed.
    """
    return (
        is_outdated(revision, identifiers, unnormalised, correction)
        and correction is not None
        and canonical(correction.identifiers, correction.unnormalised) != holder
    )
