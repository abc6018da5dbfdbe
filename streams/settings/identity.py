"""Settings of identity: `[identity]`, and the policy that they say."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, field_validator, model_validator

from schemas.links import Name
from streams.settings.section import Count, Section
from streams.settings.word_lists import WordList

if TYPE_CHECKING:
    from schemas.identifiers import Normaliser
    from streams.core.identification.policy import IdentityPolicy


class IdentitySettings(Section):
    """How identifiers are normalised at the edge, how they are stored, and which link: alike for all workers."""

    region: str = Field("BG", description="ISO 3166 country of phone numbers without a country code")
    clear_text: bool = Field(
        False, description="Store phone numbers, addresses and devices in ClickHouse as they are, not hashed"
    )
    hash_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret key of those hashes, the same for all workers; unset: made once and kept in the home",
    )
    customers_of_contract: Count = Field(3, description="CRM ids that one contract may have")
    customers_of_loyalty: Count = Field(3, description="CRM ids that one loyalty card may have")
    customers_of_phone: Count = Field(1, description="Customers that one telephone number may have")
    customers_of_email: Count = Field(1, description="Customers that one address may have")
    customers_of_device: Count = Field(1, description="Customers that one device may have")
    companions_of_phone: Count = Field(
        4,
        description="Numbers, or addresses, that are seen with one telephone number before it links no more",
    )
    companions_of_email: Count = Field(4, description="The same for one address")
    companions_of_device: Count = Field(4, description="The same for one device")
    hub: Count = Field(
        1_000, description="Identifiers of any kind that one may be seen with before it links no more"
    )
    own_numbers: WordList = Field(
        frozenset(), description="The company's own telephone numbers: they name nobody"
    )
    own_domains: WordList = Field(
        frozenset(), description="The company's own domains: addresses there name nobody"
    )
    blocked: WordList = Field(
        frozenset(), description="Identifiers that never link, such as `phone:+359888123456,device:kiosk-7`"
    )
    words: WordList = Field(
        frozenset(),
        description="Values that name nobody, besides `unknown`, `anonymous`, `test` and their like",
    )

    @model_validator(mode="after")
    def _lists_can_be_read(self) -> "IdentitySettings":
        if self.own_numbers or self.blocked:
            identity_policy(self)
        return self

    @field_validator("region")
    @classmethod
    def _region_has_numbers(cls, value: str) -> str:
        import phonenumbers

        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(
                f"{value!r} is no country with telephone numbers; write two capitals, such as BG"
            )
        return value


def identity_policy(settings: IdentitySettings) -> "IdentityPolicy":
    """Limits as they are, numbers and names normalised as those of events are.

    Raises ValueError for a telephone number, an address or a name that no event could have.
    """
    from schemas.identifiers import Normaliser  # telephone numbers of all countries, which few commands need
    from streams.core.identification.policy import IdentityPolicy

    normaliser = Normaliser(settings.region)
    numbers = _names((f"phone:{number}" for number in settings.own_numbers), normaliser)
    return IdentityPolicy(
        customers={
            "contract": settings.customers_of_contract,
            "loyalty": settings.customers_of_loyalty,
            "phone": settings.customers_of_phone,
            "email": settings.customers_of_email,
            "device": settings.customers_of_device,
        },
        companions={
            "phone": settings.companions_of_phone,
            "email": settings.companions_of_email,
            "device": settings.companions_of_device,
        },
        hub=settings.hub,
        words=IdentityPolicy().words | {word.casefold() for word in settings.words},
        own_numbers=frozenset(name.partition(":")[2] for name in numbers),
        own_domains=settings.own_domains,
        blocked=frozenset(_names(settings.blocked, normaliser)),
    )


def _names(texts: Iterable[str], normaliser: "Normaliser") -> Iterator[Name]:
    from streams.named_identifiers import read_name

    return (read_name(text, normaliser) for text in texts)
