"""Identifiers as people type them: written as a customer is (`phone:+359888123456`, `crm:A1`), in any notation."""

from collections.abc import Mapping
from typing import Final

from schemas.identifiers import Identifiers, Normaliser
from schemas.links import Name, kind_of, name_of
from schemas.vocabulary import CUSTOMER_PREFIX, IDENTIFIER_KINDS, IdentifierKind

KINDS: Final[Mapping[str, IdentifierKind]] = {CUSTOMER_PREFIX[kind]: kind for kind in IDENTIFIER_KINDS}


def read_name(text: str, normaliser: Normaliser) -> Name:
    """The identifier that a text names, normalised as the pipeline normalises it.

    Raises ValueError, with what to write instead, for an unknown kind and for what cannot be normalised.

    >>> read_name("phone:0888 123 456", Normaliser("BG"))
    'phone:+359888123456'
    """
    prefix, colon, value = text.partition(":")
    kind = KINDS.get(prefix.strip().lower())
    if not colon or kind is None:
        known = ", ".join(f"{prefix}:" for prefix in KINDS)
        raise ValueError(f"{text!r} does not begin with a kind of identifier: write one of {known}")
    if not value.strip():
        raise ValueError(f"{text!r} has no value behind the kind")
    identifiers, unnormalised = normaliser.normalise(Identifiers(**{kind: value}))
    normal: str | None = getattr(identifiers, kind)
    if normal is None or unnormalised:
        what = f"is no telephone number in {normaliser.region}" if kind == "phone" else "is no e-mail address"
        raise ValueError(f"{text!r} {what}: give it in full, as in {_EXAMPLES[kind]}")
    return name_of(kind, normal)


_EXAMPLES: Final = {"phone": "phone:+359888123456", "email": "email:ann@example.com"}


def by_kind(names: tuple[Name, ...]) -> dict[str, list[str]]:
    """The values of names by kind: `identifiers` of an `IdentityFact`."""
    values: dict[str, list[str]] = {}
    for name in names:
        values.setdefault(kind_of(name), []).append(name.partition(":")[2])
    return values
