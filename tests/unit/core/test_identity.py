"""Whose interaction it is."""

import pytest

from schemas.identifiers import Identifiers
from streams.core.identity import customer_of


@pytest.mark.parametrize(
    ("present", "customer"),
    [
        (0, "crm:A"),
        (1, "contract:B"),
        (2, "loyalty:C"),
        (3, "phone:+359888123456"),
        (4, "email:ann@example.com"),
        (5, "device:F"),
        (6, None),
    ],
)
def test_the_strongest_identifier_names_the_customer(present: int, customer: str | None) -> None:
    strongest_first = ["A", "B", "C", "+359888123456", "ann@example.com", "F"]
    known = [None] * present + strongest_first[present:]
    assert customer_of(Identifiers(*known)) == customer


def test_an_identifier_that_was_kept_as_it_came_names_a_customer_too() -> None:
    assert customer_of(Identifiers(phone="withheld"), ("phone",)) == "phone:withheld"
