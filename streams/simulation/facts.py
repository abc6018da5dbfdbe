"""What the CRM says about who is whom: facts for `touchline.identity`, beside the events of a simulation.

The CRM knows the contract of every customer, and mostly a number and an address; of a changed number it learns some
days late, if at all. It says nothing of devices, and nothing of who shares a telephone with whom.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from schemas.interaction import DAY, Micros
from streams.simulation.people import Person
from streams.simulation.simulation import Simulation

_KNOWS_PHONE: Final = 0.85
_KNOWS_EMAIL: Final = 0.8
_HEARS_OF_NEW_PHONE: Final = 0.7
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def identity_facts(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """Yield the facts as objects of the contract, by customer; the same for the same simulation.

    Each customer has one fact; where the CRM hears of a new number, a second revision of it names both.
    """
    rng = Random(f"facts/{simulation.seed}")
    begin, span = simulation.begin, simulation.until - simulation.begin
    for person in simulation.people():
        known: dict[str, Any] = {"crm_id": person.crm_id, "contract": person.contract}
        if person.loyalty is not None:
            known["loyalty"] = person.loyalty
        if rng.random() < _KNOWS_EMAIL:
            known["email"] = person.email
        knows_phone, hears, delay = rng.random() < _KNOWS_PHONE, rng.random(), rng.random()
        if knows_phone:
            known["phone"] = person.phones[0]
        yield _fact(person, 0, begin - DAY, known)
        if knows_phone and person.new_phone_after is not None and hears < _HEARS_OF_NEW_PHONE:
            at = begin + int(person.new_phone_after * span) + int(5 * delay * DAY)
            if at <= simulation.until:
                yield _fact(person, 1, at, {**known, "phone": list(person.phones)})


def _fact(person: Person, revision: int, at: Micros, identifiers: dict[str, Any]) -> dict[str, Any]:
    when = _EPOCH + timedelta(microseconds=at - at % 1_000_000)
    return {
        "id": f"customer-{person.crm_id}",
        "source": "crm",
        "revision": revision,
        "occurred_at": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "operation": "link",
        "identifiers": identifiers,
        "reason": "master data",
    }
