"""What may link and how far, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from zlib import crc32

from schemas.vocabulary import IdentifierKind

CUSTOMERS: Final[Mapping[IdentifierKind, int]] = MappingProxyType(
    {"contract": 3, "loyalty": 3, "phone": 1, "email": 1, "device": 1}
)
COMPANIONS: Final[Mapping[IdentifierKind, int]] = MappingProxyType({"phone": 4, "email": 4, "device": 4})


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """When an identifier is *shared* (it stops linking), and which values never link.

    `customers`, by kind: how many customers it may be linked with. For a contract and a loyalty card, CRM ids
    directly linked with it are counted (a company's contract); for weak kinds, customers that are named by one and the
    same kind of identifier (two CRM ids are two customers; a CRM id and a contract may well be one).
    `companions`, by weak kind: how many telephone numbers, or addresses, it may be linked with. A kiosk's device meets
    many; devices are not counted, since people clear their cookies.
    `hub`: an identifier that was ever seen with more than so many others is shared for good, whatever they are.
    `words` name nobody, whatever the kind. `own_numbers` (E.164) and `own_domains` are the company's.
    `blocked` are names (`phone:+359888123456`, `device:kiosk-7`) that never link.
    """

    customers: Mapping[IdentifierKind, int] = field(default_factory=lambda: CUSTOMERS)
    companions: Mapping[IdentifierKind, int] = field(default_factory=lambda: COMPANIONS)
    hub: int = 1_000
    words: frozenset[str] = field(
        default=frozenset(
            {
                "admin", "anon", "anonymous", "blocked", "default", "dummy", "empty", "guest", "n/a", "na", "nan",
                "nil", "no", "nobody", "none", "noreply", "not available", "null", "private", "restricted", "root",
                "system", "test", "tester", "unavailable", "undefined", "unknown", "user", "withheld", "xxx",
                "анонимен", "без номера", "невідомий", "неизвестен", "неизвестный", "няма", "нет", "скрит", "скрыт",
            }
        )
    )  # fmt: skip
    own_numbers: frozenset[str] = frozenset()
    own_domains: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse bounds that no identifier could obey."""
        for name, limits in (("customers", self.customers), ("companions", self.companions)):
            for kind, limit in limits.items():
                if limit < 1:
                    raise ValueError(f"{name}: {kind} must be 1 or more, not {limit}")
        if self.hub < 1:
            raise ValueError(f"hub must be 1 or more, not {self.hub}")

    @property
    def basis(self) -> int:
        """A digest of all of it: with another one the same links may give other customers."""
        told = (
            sorted(self.customers.items()),
            sorted(self.companions.items()),
            self.hub,
            *(sorted(names) for names in (self.words, self.own_numbers, self.own_domains, self.blocked)),
        )
        return crc32(repr(told).encode())


DEFAULT_POLICY: Final = IdentityPolicy()
