"""What twelve bytes tell of an interaction: who it is, and whom it names."""

import msgspec
import pytest

from schemas.sightings import MARK_BYTES, sighting_of
from schemas.vocabulary import IDENTIFIER_KINDS, IdentifierKind
from tests.builders import call

NOBODYS = call("2026-03-01T10:00Z", id="1")


def named(**customer: str) -> bytes:
    return sighting_of(msgspec.structs.replace(NOBODYS, **customer))


@pytest.mark.parametrize("kind", IDENTIFIER_KINDS)
def test_each_identifier_is_told(kind: IdentifierKind) -> None:
    assert named(**{kind: "a"}) not in (named(), named(**{kind: "b"}))
    assert named(**{kind: "a"})[:MARK_BYTES] == named()[:MARK_BYTES]


def test_a_value_of_one_kind_is_none_of_another() -> None:
    assert len({named(**{kind: "a"}) for kind in IDENTIFIER_KINDS}) == len(IDENTIFIER_KINDS)


def test_nothing_else_is_told() -> None:
    later = msgspec.structs.replace(NOBODYS, occurred_at=7, outcome="resolved", revision=3)
    assert sighting_of(later) == sighting_of(NOBODYS)
