"""The simulated people and their identifiers."""

from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest

from schemas.identifiers import Identifiers, Normaliser
from streams.simulation import Simulation
from streams.simulation.names import family_after, latin
from streams.simulation.people import Person, populate


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return list(populate(9, 3_000, 0.8))


def test_a_greater_population_begins_with_the_same_people() -> None:
    small = [person.facts() for person in populate(9, 20, 0.8)]
    large = [person.facts() for person in islice(populate(9, 500, 0.8), 20)]
    assert small == large


def test_identifiers_name_one_person_each_save_for_shared_phones(people: list[Person]) -> None:
    for identifier in ("crm_id", "contract", "email"):
        assert len({getattr(person, identifier) for person in people}) == len(people)
    devices = [device for person in people for device in person.devices]
    assert len(set(devices)) == len(devices)
    numbers = Counter(person.phones[0] for person in people)
    assert 0.02 < sum(count > 1 for count in numbers.values()) / len(people) < 0.12


def test_some_people_change_their_number_some_day(people: list[Person]) -> None:
    changed = [person for person in people if person.new_phone_after is not None]
    assert 0.02 < len(changed) / len(people) < 0.1
    one = changed[0]
    assert one.phone_at(0.0) == one.phones[0] != one.phone_at(1.0)


def test_identifiers_are_such_as_the_edge_can_normalise(people: list[Person]) -> None:
    normalise = Normaliser("BG").normalise
    for person in people[:300]:
        known = Identifiers(
            person.crm_id, person.contract, person.loyalty, person.phones[0], person.email, person.devices[0]
        )
        identifiers, left = normalise(known)
        assert isinstance(identifiers, Identifiers)
        assert left == ()


def test_people_of_different_seeds_share_nothing() -> None:
    ids = [
        {person.crm_id for person in Simulation(seed, 50, datetime(2026, 1, 1, tzinfo=UTC)).people()}
        for seed in (1, 2)
    ]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    ("given", "family", "language", "expected"),
    [
        ("Мария", "Иванов", "bg", "Иванова"),
        ("Радост", "Петров", "bg", "Петрова"),
        ("Георги", "Иванов", "bg", "Иванов"),
        ("Ксения", "Жуков", "ru", "Жукова"),
        ("Оксана", "Шевченко", "uk", "Шевченко"),
        ("Olivia", "Smith", "en", "Smith"),
    ],
)
def test_family_names_agree_where_the_language_asks_for_it(
    given: str, family: str, language: str, expected: str
) -> None:
    assert family_after(given, family, language) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Щерев", "Їжакевич", "Ґудзь", "Фёдор", "O'Brien", "Ó-Súilleabháin", "Zoë"])
def test_latin_names_are_plain_ascii_letters(name: str) -> None:
    assert latin(name).isascii()
    assert latin(name).isalpha()
