"""The pipeline as it is by default, with hashed identifiers: the same rows, and nothing of them in clear text."""

from pathlib import Path

from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import open_road, simulated


def test_hashed_rows_are_the_rows_of_clear_text_under_other_names(tmp_path: Path) -> None:
    events = simulated(seed=11, customers=40, days=10)
    hashing = {"TOUCHLINE_IDENTITY__CLEAR_TEXT": "false"}
    with open_road(tmp_path, "mock", environ=hashing) as road:
        road.publish(events)
        road.wait_until_balanced(60)
        road.assert_as_computed_by(Oracle(events), 30)
        for kind in ("phone", "email", "device"):
            named = road.rows(f"SELECT {kind}, customer FROM interactions WHERE {kind} IS NOT NULL")
            assert named, kind
            for bare, customer in named:
                assert len(bare) == 32, kind
                assert int(bare, 16) >= 0
                assert not customer.startswith(f"{kind}:") or len(customer) == len(kind) + 33
