"""Identity on the whole road: links learnt and told end in the views, move what was stored, and outlive the worker."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.identity import fact_key
from tests.integration.pipeline_fixtures import Road, needs_real_kafka, open_road, wait_until

NOW = datetime.now(UTC) - timedelta(days=2)


@pytest.fixture(
    scope="module", params=["mock", pytest.param("kafka", marks=pytest.mark.java)], ids=["mock", "kafka"]
)
def road(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """A pipeline: two workers on the real Kafka, one on the mock."""
    if request.param == "kafka":
        needs_real_kafka()
    workers = 2 if request.param == "kafka" else 1
    with open_road(tmp_path_factory.mktemp("identity"), request.param, workers=workers) as running:
        yield running


def send(road: Road, name: str, partition: int, *documents: dict[str, Any]) -> None:
    """Publish documents to one partition of a source topic."""
    producer = Producer({"bootstrap.servers": road.running.servers.kafka.bootstrap, "acks": "all"})
    for document in documents:
        key = fact_key(document["source"], document["id"]) if name == "identity" else None
        producer.produce(road.topic(name), json.dumps(document).encode(), key, partition=partition)
    assert producer.flush(20) == 0
    road.published += len(documents)


def mail(id_: str, hour: int, **customer: str) -> dict[str, Any]:
    return {
        "id": id_,
        "source": "mail",
        "channel": "email",
        "type": "message",
        "direction": "inbound",
        "occurred_at": (NOW + timedelta(hours=hour)).isoformat(),
        "customer": customer,
    }


def fact(id_: str, operation: str, revision: int = 0, **identifiers: str) -> dict[str, Any]:
    return {
        "id": id_,
        "source": "crm",
        "revision": revision,
        "occurred_at": NOW.isoformat(),
        "operation": operation,
        "identifiers": identifiers,
        "reason": "the CRM says so",
    }


def wait_for_customers(road: Road, prefix: str, expected: dict[str, str]) -> None:
    """Wait until the view shows these interactions under these customers, and no other of them."""
    found: dict[str, str] = {}

    def as_expected() -> bool:
        rows = road.rows(
            "SELECT id, customer FROM interactions WHERE startsWith(id, %(prefix)s)", prefix=prefix
        )
        found.clear()
        found.update(dict(rows))
        return found == expected and len(rows) == len(expected)

    wait_until(as_expected, 20, lambda: f"{found}, expected {expected}\n{road.account()}")


def journeys_of(road: Road, customer: str) -> int:
    """How many journeys the view shows of a customer."""
    [(count,)] = road.rows("SELECT count() FROM journeys WHERE customer = %(customer)s", customer=customer)
    return int(count)


def test_a_mail_with_only_the_address_is_the_customers_who_once_gave_both(road: Road) -> None:
    send(road, "email", 0, mail("known-1", 1, crm_id="A1", email="ann@example.com"))
    wait_for_customers(road, "known-", {"known-1": "crm:A1"})
    send(road, "email", 1, mail("known-2", 2, email="ann@example.com"))
    wait_for_customers(road, "known-", {"known-1": "crm:A1", "known-2": "crm:A1"})
    assert journeys_of(road, "crm:A1") == 1


def test_a_link_that_comes_late_moves_what_was_stored_under_the_address(road: Road) -> None:
    send(road, "email", 0, mail("late-1", 1, email="bob@example.com"))
    wait_until(
        lambda: road.rows("SELECT customer FROM interactions WHERE id = 'late-1'") != [], 20, road.account
    )
    [(before,)] = road.rows("SELECT customer FROM interactions WHERE id = 'late-1'")
    assert str(before).startswith("email:")
    send(road, "email", 1, mail("late-2", 2, crm_id="B1", email="bob@example.com"))
    wait_for_customers(road, "late-", {"late-1": "crm:B1", "late-2": "crm:B1"})
    wait_until(lambda: journeys_of(road, str(before)) == 0, 20, road.account)
    assert journeys_of(road, "crm:B1") == 1


def test_facts_link_and_unlink_and_the_ledger_balances(road: Road) -> None:
    send(road, "email", 0, mail("told-1", 1, email="eve@example.com"))
    send(road, "identity", 2, fact("f1", "link", crm_id="E1", email="eve@example.com"))
    wait_for_customers(road, "told-", {"told-1": "crm:E1"})
    send(
        road,
        "identity",
        2,
        fact("f1", "link", crm_id="E1", email="eve@example.com"),
        {"id": "f2", "source": "crm"},
        fact("f1", "unlink", revision=1, crm_id="E1", email="eve@example.com"),
    )
    wait_until(
        lambda: str(road.rows("SELECT customer FROM interactions WHERE id = 'told-1'")[0][0]) != "crm:E1",
        20,
        road.account,
    )
    road.wait_until_balanced(20)
    [fates] = road.rows(
        "SELECT sum(received), sum(stored), sum(superseded), sum(dead) FROM reconciliation "
        "WHERE topic = %(topic)s",
        topic=road.topic("identity"),
    )
    assert tuple(fates) == (4, 2, 1, 1)


def test_a_correction_that_names_another_customer_moves_the_interaction(road: Road) -> None:
    send(road, "email", 0, mail("corrected-1", 1, crm_id="C1"))
    wait_for_customers(road, "corrected-", {"corrected-1": "crm:C1"})
    send(road, "email", 3, mail("corrected-1", 1, crm_id="C2") | {"revision": 1})
    wait_for_customers(road, "corrected-", {"corrected-1": "crm:C2"})
    wait_until(lambda: journeys_of(road, "crm:C1") == 0, 20, road.account)
    road.wait_until_balanced(20)


def test_an_equal_revision_that_names_another_customer_changes_nothing(road: Road) -> None:
    send(
        road,
        "email",
        0,
        mail("equal-1", 1, crm_id="Q1"),
        mail("equal-1", 1, crm_id="Q2", phone="+359888700700"),
    )
    wait_for_customers(road, "equal-", {"equal-1": "crm:Q1"})
    for partition in range(1, 4):  # whoever owns it
        send(
            road,
            "email",
            partition,
            mail("equal-1", 1, crm_id=f"Q{partition}"),
            mail(f"equal-{partition}0", 1, crm_id="Q1"),
        )
    everything = {f"equal-{number}": "crm:Q1" for number in (1, 10, 20, 30)}
    wait_for_customers(road, "equal-", everything)
    road.wait_until_balanced(20)
    assert {customer: journeys_of(road, f"crm:{customer}") for customer in ("Q1", "Q2", "Q3")} == {
        "Q1": 1, "Q2": 0, "Q3": 0
    }  # fmt: skip
    assert road.rows("SELECT sum(interactions) FROM journeys WHERE customer = 'crm:Q1'") == [(4,)]
    assert road.rows("SELECT count() FROM identity WHERE customer = 'crm:Q2'") == [(0,)]


def test_links_outlive_the_worker(road: Road) -> None:
    send(road, "email", 0, mail("kept-1", 1, crm_id="K1", email="kim@example.com"))
    wait_for_customers(road, "kept-", {"kept-1": "crm:K1"})
    for worker in road.workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
    send(road, "email", 1, mail("kept-2", 2, email="kim@example.com"))
    wait_for_customers(road, "kept-", {"kept-1": "crm:K1", "kept-2": "crm:K1"})
    road.wait_until_balanced(20)
