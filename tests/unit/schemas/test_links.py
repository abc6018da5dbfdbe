"""Who speaks for operators in the log of links."""

import pytest

from schemas.links import OPERATOR, UPSTREAM, Rank, Statement


@pytest.mark.parametrize(
    ("source", "rank"),
    [
        ("operator", OPERATOR),
        ("operator:eva", OPERATOR),
        ("operators", UPSTREAM),
        ("operator-desk", UPSTREAM),
        ("crm:operator", UPSTREAM),
    ],
)
def test_only_sources_named_operator_or_operator_and_a_name_do(source: str, rank: Rank) -> None:
    assert Statement(source, "1", 0, 0, True, ("crm:ann", "crm:bob")).rank == rank
