"""How identifiers are normalised at the edge."""

import pytest

from schemas.identifiers import Identifiers, Normaliser

BULGARIA = Normaliser("BG")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+359888123456", "+359888123456"),
        ("0888 123 456", "+359888123456"),
        ("00359 88 812 3456", "+359888123456"),
        (" (088) 812-34-56 ", "+359888123456"),
        ("tel:+359-888-123-456", "+359888123456"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+39 06 6982", "+39066982"),
        ("+440123456789", "+44123456789"),
        ("+359 2 123 4567 ext. 12", "+35921234567;ext=12"),
        ("+35921234567;ext=12", "+35921234567;ext=12"),
        ("+٣٥٩٨٨٨١٢٣٤٥٦", "+359888123456"),
    ],
)
def test_a_possible_number_becomes_e164(written: str, normal: str) -> None:
    assert BULGARIA.phone(written) == (normal, True)


@pytest.mark.parametrize("written", ["withheld", "12", "+999888123456", "0888 123 456 789 012 345", "+"])
def test_a_number_that_is_not_possible_is_kept_and_marked(written: str) -> None:
    assert BULGARIA.phone(f" {written} ") == (written, False)


def test_the_region_reads_numbers_without_a_country_code() -> None:
    assert Normaliser("UA").phone("050 123 4567") == ("+380501234567", True)


def test_an_unknown_region_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="'XX'"):
        Normaliser("XX")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Ann.Lee@Example.COM", "ann.lee@example.com"),
        (" ann@example.com ", "ann@example.com"),
        ("Ann Lee <ann@example.com>", "ann@example.com"),
        ("Иван@Пример.БГ", "иван@пример.бг"),
        ("ann@xn--e1afmkfd.xn--90ae", "ann@пример.бг"),
        ("ann@xn--bcher-kva.example", "ann@b\u00fccher.example"),
        ("e\u0301ve@example.com", "\u00e9ve@example.com"),
        ("Ann@Intranet.Local", "ann@intranet.local"),
    ],
)
def test_an_address_is_lower_case_and_nfc(written: str, normal: str) -> None:
    assert BULGARIA.email(written) == (normal, True)


@pytest.mark.parametrize(
    "written", ["ann", "ann@", "@example.com", "Ann(at)example.com", "a b@example.com", "a@b@c.com"]
)
def test_an_address_that_is_none_is_kept_and_marked(written: str) -> None:
    assert BULGARIA.email(written) == (written, False)


def test_blank_identifiers_are_absent() -> None:
    blank = Identifiers("", " ", "\t", "  ", "\u00a0", "")
    assert BULGARIA.normalise(blank) == (Identifiers(), ())


def test_other_identifiers_are_stripped_and_nfc() -> None:
    found, unnormalised = BULGARIA.normalise(Identifiers(crm_id=" A1 ", contract="Cafe\u0301", device="d"))
    assert found == Identifiers(crm_id="A1", contract="Caf\u00e9", device="d")
    assert unnormalised == ()


def test_kinds_that_were_kept_are_named() -> None:
    _, unnormalised = BULGARIA.normalise(Identifiers(phone="withheld", email="none"))
    assert unnormalised == ("phone", "email")
