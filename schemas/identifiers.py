"""The identifiers of an interaction, and how they are normalised at the edge.

- `phone`: E.164 when the number is *possible* (`phonenumbers`, with a default region). An extension is kept
as in
  RFC 3966 (`+35921234567;ext=12`), since people behind one switchboard are not one person.
- `email`: as `email-validator` normalises it, without DNS and without a display name, then lower-cased as a
whole.
  RFC 5321 lets the local part tell cases apart; providers do not, and people do not type it twice the same
  way.
- `crm_id`, `contract`, `loyalty`, `device`: Unicode NFC without white space around.

A phone or e-mail that cannot be normalised is kept as it came, without white space around, and its kind is
listed. Blank is absent. Normalising twice changes nothing.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneMetadata,
    PhoneNumberFormat,
)

CACHE_SIZE: Final = 131_072
"""Numbers and addresses that one process remembers (some 25 MB when full)."""
DOMAINS: Final = 10_000
"""International domains that one process remembers."""


class Identifiers(NamedTuple):
    """What names a customer, strongest kind first. None is absent."""

    crm_id: str | None = None
    contract: str | None = None
    loyalty: str | None = None
    phone: str | None = None
    email: str | None = None
    device: str | None = None


_tuple = tuple.__new__

Normalised = tuple[Identifiers, tuple[str, ...]]
"""Identifiers in their normal form, and the kinds among them that were kept as they came."""


Known = tuple[str | None, str | None, str | None, str | None, str | None, str | None]
"""What a source says of a customer, in the order of `Identifiers`, which are such a tuple themselves."""


class Normaliser:
    """Normalises identifiers; `region` (ISO 3166) is the country of numbers without a country code."""

    def __init__(self, region: str) -> None:
        """Raise ValueError when `region` is not a country that `phonenumbers` knows."""
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"{region!r} is not an ISO 3166 country code that has phone numbers")
        self.region = region
        self._phone = lru_cache(CACHE_SIZE)(self._parsed_phone)
        self._email = lru_cache(CACHE_SIZE)(_parsed_email)

    def normalise(self, known: Known) -> Normalised:
        """The normal form of what a source says of a customer; never raises."""
        crm_id, contract, loyalty, phone, email, device = known
        unnormalised: tuple[str, ...] = ()
        if crm_id is not None:
            crm_id = _plain(crm_id)
        if contract is not None:
            contract = _plain(contract)
        if loyalty is not None:
            loyalty = _plain(loyalty)
        if phone is not None and not is_e164(phone):
            phone, normal = self._phone(phone)
            if not normal:
                unnormalised = ("phone",)
        if email is not None:
            email, normal = self.email(email)
            if not normal:
                unnormalised = (*unnormalised, "email")
        if device is not None:
            device = _plain(device)
        # `Identifiers(...)` goes through a function in Python for what this does at once.
        return _tuple(Identifiers, (crm_id, contract, loyalty, phone, email, device)), unnormalised

    def phone(self, text: str) -> tuple[str | None, bool]:
        """The number and whether it is normal; (None, True) for a blank."""
        return (text, True) if is_e164(text) else self._phone(text)

    def email(self, text: str) -> tuple[str | None, bool]:
        """The address and whether it is normal; (None, True) for a blank."""
        if _SIMPLE_EMAIL.fullmatch(text) is not None and "--" not in text:
            return text.lower(), True
        return self._email(text)

    def _parsed_phone(self, text: str) -> tuple[str | None, bool]:
        kept = text.strip()
        if not kept:
            return None, True
        number = kept
        # Formatting can bare another national prefix (+44 0 0 20 ...), so it is repeated until it rests.
        for _ in range(3):
            formatted = _formatted(number, self.region)
            if formatted is None:
                break
            if formatted == number:
                return number, True
            number = formatted
        return kept, False


def is_e164(text: str) -> bool:
    """Whether `phonenumbers` would parse, find possible and format `text` as itself. Cheap; else ask it.

    Reads the same metadata: the country code is known, the length is possible there, and what follows the
    code cannot begin with a national prefix. tests/properties hold it against `phonenumbers` itself.
    """
    if _E164.fullmatch(text) is None:
        return False
    plan = _plan(text[1:4])
    if plan is None:
        return False
    digits, lengths, national_prefix = plan
    return len(text) - digits in lengths and (
        national_prefix is None or national_prefix.match(text, digits) is None
    )


_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")

_LOCAL: Final = r"[A-Za-z0-9_+-]{1,20}(?:\.[A-Za-z0-9_+-]{1,20}){0,2}"
_SIMPLE_LOCAL: Final = re.compile(_LOCAL)
_LONGEST_LOCAL: Final = ".".join(3 * ["a" * 20]) + "@"
_WORD_DOMAIN: Final = re.compile(r"[\w.-]{1,80}")
_SIMPLE_EMAIL: Final = re.compile(
    _LOCAL + r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,20}"
)
"""Addresses far from every limit of length; a label with `--` (punycode) is left to `email-validator`.
Domains that are reserved for inside a house (`.local`), which `email-validator` refuses, are as good as
others here.
"""


@lru_cache(1_000)
def _plan(beginning: str) -> tuple[int, frozenset[int], re.Pattern[str] | None] | None:
    """Of a number's first digits: the length of `+` and country code, possible lengths, national prefix."""
    for width in (1, 2, 3):
        code = int(beginning[:width])
        regions = COUNTRY_CODE_TO_REGION_CODE.get(code)
        if regions is None:
            continue
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        if metadata is None or metadata.general_desc is None:
            return None
        prefix = metadata.national_prefix_for_parsing
        return (
            1 + width,
            frozenset(metadata.general_desc.possible_length),
            re.compile(prefix) if prefix else None,
        )
    return None


def _formatted(text: str, region: str) -> str | None:
    """E.164 with the extension after it, or None when the number is not possible."""
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    extension, number.extension = number.extension, None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return f"{e164};ext={extension}" if extension else e164


def _parsed_email(text: str) -> tuple[str | None, bool]:
    local, _, domain = text.partition("@")
    if _SIMPLE_LOCAL.fullmatch(local) is not None and _WORD_DOMAIN.fullmatch(domain) is not None:
        normal = _normal_domain(domain)
        if normal is not None:
            return f"{local.lower()}@{normal}", True
    kept = text.strip()
    if not kept:
        return None, True
    address = _validated_email(kept)
    return (kept, False) if address is None else (address, True)


def _validated_email(text: str) -> str | None:
    try:
        address = validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_display_name=True
        ).normalized
    except (EmailNotValidError, ValueError):
        return None
    return unicodedata.normalize("NFC", address.lower())


@lru_cache(DOMAINS)
def _normal_domain(domain: str) -> str | None:
    """The normal form of a domain, which costs most of an address; None when it is none, or when its length is
    too near the limit for each simple local part.
    """
    address = _validated_email(_LONGEST_LOCAL + domain)
    return None if address is None else address.removeprefix(_LONGEST_LOCAL)


def _plain(text: str) -> str | None:
    text = text.strip()
    return (text if text.isascii() else unicodedata.normalize("NFC", text)) or None
