"""Whose interaction it is as far as it says itself."""

from typing import Final

from schemas.identifiers import Identifiers
from schemas.vocabulary import CUSTOMER_PREFIX, IDENTIFIER_KINDS

_PREFIXES: Final = tuple(f"{CUSTOMER_PREFIX[kind]}:" for kind in IDENTIFIER_KINDS)


def customer_of(
    identifiers: Identifiers,
    unnormalised: tuple[str, ...] = (),  # noqa: ARG001 - asked as `IdentityIndex.customer_of` is
) -> str | None:
    """The strongest identifier present, prefixed by its kind; None if there is none.

    For those who know of no links. `IdentityIndex.customer_of` says who it is: there what could not be normalised, or
    stands for nobody, names no customer.

    >>> customer_of(Identifiers(None, None, None, "+359888123456", "ann@example.com", None))
    'phone:+359888123456'
    """
    for strength, value in enumerate(identifiers):
        if value:
            return _PREFIXES[strength] + value
    return None
