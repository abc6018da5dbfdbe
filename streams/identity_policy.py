"""The policy of identity as the settings say."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from schemas.identifiers import Normaliser
from schemas.links import Name
from streams.core.identification.policy import IdentityPolicy
from streams.named_identifiers import read_name

if TYPE_CHECKING:
    from streams.settings import IdentitySettings


def identity_policy(settings: "IdentitySettings") -> IdentityPolicy:
    """Limits as they are, numbers and names normalised as those of events are.

    Raises ValueError for a telephone number, an address or a name that no event could have.
    """
    normaliser = Normaliser(settings.region)
    numbers = _names((f"phone:{number}" for number in settings.own_numbers), normaliser)
    return IdentityPolicy(
        customers={
            "contract": settings.customers_of_contract,
            "loyalty": settings.customers_of_loyalty,
            "phone": settings.customers_of_phone,
            "email": settings.customers_of_email,
            "device": settings.customers_of_device,
        },
        companions={
            "phone": settings.companions_of_phone,
            "email": settings.companions_of_email,
            "device": settings.companions_of_device,
        },
        hub=settings.hub,
        words=IdentityPolicy().words | {word.casefold() for word in settings.words},
        own_numbers=frozenset(name.partition(":")[2] for name in numbers),
        own_domains=settings.own_domains,
        blocked=frozenset(_names(settings.blocked, normaliser)),
    )


def _names(texts: Iterable[str], normaliser: Normaliser) -> Iterator[Name]:
    return (read_name(text, normaliser) for text in texts)
