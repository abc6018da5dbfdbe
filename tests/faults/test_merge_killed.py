"""A worker is killed in the middle of merges: the tables end as if the links had been known from the start."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from streams.simulation.mess import SimulatedEvent
from tests.faults.broken_worker import PLACES_AND_BROKERS, broken_worker
from tests.faults.test_worker_killed import kill, publishing, wait_until_ready_again, wait_until_received
from tests.integration.naive_oracle import Oracle
from tests.integration.pipeline_fixtures import Road, needs_real_kafka, open_road, simulated, wait_until

CUSTOMERS = 40
START = datetime.now(UTC) - timedelta(days=3)


def mail(number: int, nth: int, **customer: str) -> SimulatedEvent:
    """The nth mail of a customer, who is told off in it."""
    document = {
        "id": f"{number}-{nth}",
        "source": "mail",
        "channel": "email",
        "type": "message",
        "direction": "inbound",
        "occurred_at": (START + timedelta(minutes=number, hours=nth)).isoformat(),
        "customer": customer,
        "treatment": "rude",
    }
    return SimulatedEvent("email", None, json.dumps(document).encode(), (), 0, "stored", None, None)


def address(number: int) -> str:
    return f"person.{number}@example.com"


def assert_findings_are_of_the_customers(road: Road, expected: dict[str, int]) -> None:
    """Every customer has a finding for each mail, nobody else has one, nor a light."""

    def as_expected() -> bool:
        found = dict(
            road.rows("SELECT customer, count() FROM findings WHERE rule = 'bad_treatment' GROUP BY customer")
        )
        lit = {customer for (customer,) in road.rows("SELECT customer FROM lights")}
        return found == expected and lit == set(expected)

    wait_until(
        as_expected,
        20,
        lambda: road.rows(
            "SELECT f.customer, f.findings, l.customer FROM (SELECT customer, count() AS findings FROM findings"
            " WHERE rule = 'bad_treatment' GROUP BY customer) AS f FULL JOIN lights AS l USING (customer)"
        ),
    )


def wait_until_everybody_was_found_out(road: Road, findings: int) -> None:
    """Rules come into force a moment after a worker has started; without them there is nothing to tell."""
    count = "SELECT count() FROM findings WHERE rule = 'bad_treatment'"
    wait_until(lambda: road.rows(count) == [(findings,)], 30, lambda: road.rows(count))


@pytest.mark.parametrize(("place", "broker"), PLACES_AND_BROKERS)
def test_a_worker_killed_in_the_middle_of_a_merge(place: str, broker: str, tmp_path: Path) -> None:
    if broker == "kafka":
        needs_real_kafka()
    by_address = [mail(n, nth, email=address(n)) for nth in (0, 1) for n in range(CUSTOMERS)]
    by_both = [mail(n, 2, crm_id=f"C{n}", email=address(n)) for n in range(CUSTOMERS)]
    oracle = Oracle([*by_address, *by_both])
    assert oracle.customers() == {f"crm:C{n}" for n in range(CUSTOMERS)}
    with open_road(tmp_path / "home", broker, workers=1) as road:
        road.publish(by_address)
        road.wait_until_balanced(30)
        wait_until_everybody_was_found_out(road, 2 * CUSTOMERS)
        (honest,) = road.workers
        assert honest.stop() == 0
        dying = broken_worker("tests.faults.dying_worker", place, road=road, log=tmp_path / "dying.log")
        dying.start()
        try:
            road.publish(by_both)
            wait_until(lambda: not dying.running, 30, dying.account)
        finally:
            dying.stop()
        honest.launch()
        road.wait_until_balanced(45)
        road.assert_as_computed_by(oracle, 20)
        assert_findings_are_of_the_customers(road, {f"crm:C{n}": 3 for n in range(CUSTOMERS)})


@pytest.mark.java
def test_workers_killed_at_random_moments_while_customers_merge(tmp_path: Path) -> None:
    needs_real_kafka()
    events = simulated(24, 500)
    by_address = [mail(n, nth, email=address(n)) for nth in (0, 1) for n in range(CUSTOMERS)]
    by_both = [mail(n, 2, crm_id=f"C{n}", email=address(n)) for n in range(CUSTOMERS)]
    oracle = Oracle([*events, *by_address, *by_both])
    chance = Random(9)
    with open_road(tmp_path / "home", "kafka", workers=2) as road:
        with publishing(road, [*by_address, *events, *by_both], rate=500):
            for death in range(1, 5):
                wait_until_received(road, int(len(events) * (death + chance.random() * 0.8) / 5.5))
                number = chance.randrange(2)
                gone = kill(road, number)
                wait_until_ready_again(road, number, gone)
        road.wait_until_balanced(90)
        road.assert_as_computed_by(oracle, 45)
