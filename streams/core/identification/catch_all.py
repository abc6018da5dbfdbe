"""Values that stand for nobody, or for everybody: they never link and name no customer."""

import re
from typing import Final

from schemas.links import Name, kind_of
from streams.core.identification.policy import IdentityPolicy

_ZEROS: Final = re.compile(r"[\W_]*(?:0[\W_]*)+")
"""`0`, `0000000`, `00000000-0000-0000-0000-000000000000`."""

_ONE_DIGIT: Final = re.compile(r"\+?\d{0,3}?(\d)\1{5,}")
"""`9999999`, also behind a country code (`+359999999999`)."""

_ONE_CHARACTER: Final = re.compile(r"(\S)\1{3,}")
_NOT_A_WORD: Final = re.compile(r"[\W_]*")

_MAILBOX_OF_NOBODY: Final = re.compile(
    r"(?:no|do[._-]?not|not)[._-]?reply.*|.*[._+-]no[._-]?reply|mailer[._-]?daemon|postmaster|hostmaster|abuse"
    r"|bounces?(?:[+._-].*)?"
)
_RESERVED_DOMAIN: Final = re.compile(r"(?:.*\.)?(?:invalid|localhost)")


class CatchAll:
    """Tells the values that never link, by a policy: made once, asked often."""

    def __init__(self, policy: IdentityPolicy) -> None:
        self._words = policy.words
        self._numbers = policy.own_numbers
        self._domains = tuple(domain.lower().lstrip("@.") for domain in policy.own_domains)
        self._blocked = policy.blocked

    def __call__(self, name: Name) -> bool:
        """Whether an identifier, given by its name, names nobody."""
        value = name.partition(":")[2]
        if name in self._blocked or not value:
            return True
        folded = value.casefold()
        if folded in self._words or _NOT_A_WORD.fullmatch(value) or _ZEROS.fullmatch(value):
            return True
        match kind_of(name):
            case "phone":
                return value.partition(";")[0] in self._numbers or _ONE_DIGIT.fullmatch(value) is not None
            case "email":
                return self._is_mailbox_of_nobody(folded)
            case "device":
                return _ONE_CHARACTER.fullmatch(value.replace("-", "")) is not None
        return False

    def _is_mailbox_of_nobody(self, address: str) -> bool:
        local, at, domain = address.rpartition("@")
        if not at:
            return False
        return (
            local in self._words
            or _MAILBOX_OF_NOBODY.fullmatch(local) is not None
            or _RESERVED_DOMAIN.fullmatch(domain) is not None
            or any(domain == own or domain.endswith("." + own) for own in self._domains)
        )
