"""The measurement of identity runs on the product's own code; here on so little that it takes no time."""

from bench.identity_cost import PER_CUSTOMER, measure


def test_every_figure_is_measured() -> None:
    figures = measure(customers=50, count=40)
    assert figures["links"] == 50 * (PER_CUSTOMER - 1)
    assert figures["identifiers"] >= 50 * PER_CUSTOMER
    assert all(figures[name] > 0 for name in ("identify, us an event", "identify, events a second and core"))
