"""Whose interaction it is: one pure function, the only place that decides."""

from typing import Final

from schemas.identifiers import Identifiers
from schemas.vocabulary import CUSTOMER_PREFIX, IDENTIFIER_KINDS

_PREFIXES: Final = tuple(f"{CUSTOMER_PREFIX[kind]}:" for kind in IDENTIFIER_KINDS)


def customer_of(
    identifiers: Identifiers,
    unnormalised: tuple[str, ...] = (),  # noqa: ARG001 - asked as `IdentityIndex.customer_of` is
) -> str | None:
    """The canonical customer: the strongest identifier present, prefixed by its kind; None if there is none.

    One that could not be normalised names a customer as well as others do.

    >>> customer_of(Identifiers(None, None, None, "+359888123456", "ann@example.com", None))
    'phone:+359888123456'
    """
    for strength, value in enumerate(identifiers):
        if value:
            return _PREFIXES[strength] + value
    return None
