"""Values that stand for nobody, or for everybody: they never link and name no customer."""

import re
from typing import Final

from schemas.links import Name
from streams.core.identification.policy import IdentityPolicy

_NOTHING: Final = r"[\W_]*|[\W_]*(?:0[\W_]*)+"
"""No letter and no digit; `0`, `0000000`, `00000000-0000-0000-0000-000000000000`."""

_NOBODY: Final = {
    "phone": re.compile(rf"{_NOTHING}|\+?\d{{0,3}}?(\d)\1{{5,}}"),
    "device": re.compile(rf"{_NOTHING}|-*(\S)(?:-*\1){{3,}}-*"),
}
"""Besides nothing: `9999999`, also behind a country code (`+359999999999`); `ffffffff-ffff`."""

_NO_VALUE: Final = re.compile(_NOTHING)

_MAILBOX_OF_NOBODY: Final = re.compile(
    r"(?:no|do[._-]?not|not)[._-]?reply.*|.*[._+-]no[._-]?reply|mailer[._-]?daemon|postmaster|hostmaster|abuse"
    r"|bounces?(?:[+._-].*)?"
)
_ROLES: Final = ("mailer", "postmaster", "hostmaster", "abuse", "bounce")
_RESERVED_DOMAINS: Final = ("invalid", "localhost")


_SOMETHING: Final = frozenset("123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def _may_be_nobody(kind: str, value: str) -> bool:
    """False where a look at two characters tells that no pattern of `_NOBODY` fits: most values are somebody's."""
    if len(value) < 2 or value[-1] not in _SOMETHING:
        return True
    if kind == "phone":
        return value[-1] == value[-2]
    if kind == "device":
        return value[0] == value[1] or value[0] == "-" or value[1] == "-"
    return False


def _may_be_mailbox_of_nobody(local: str) -> bool:
    """False where it is plain to see that `_MAILBOX_OF_NOBODY` does not fit."""
    return "reply" in local or local.startswith(_ROLES)


class CatchAll:
    """Tells the values that never link, by a policy: made once, asked often."""

    def __init__(self, policy: IdentityPolicy) -> None:
        self._words = policy.words
        self._longest_word = max(map(len, policy.words), default=0)
        self._numbers = policy.own_numbers
        domains = (*_RESERVED_DOMAINS, *(domain.lower().lstrip("@.") for domain in policy.own_domains))
        self._domains = tuple("." + domain for domain in domains)
        self._blocked = policy.blocked

    def __call__(self, name: Name) -> bool:
        """Whether an identifier, given by its name, names nobody."""
        kind, _, value = name.partition(":")
        # Casefolding makes nothing shorter.
        if (len(value) <= self._longest_word and value.casefold() in self._words) or name in self._blocked:
            return True
        if _may_be_nobody(kind, value) and _NOBODY.get(kind, _NO_VALUE).fullmatch(value) is not None:
            return True
        if kind == "email":
            return self._is_mailbox_of_nobody(value.casefold())
        return kind == "phone" and bool(self._numbers) and value.partition(";")[0] in self._numbers

    def _is_mailbox_of_nobody(self, address: str) -> bool:
        local, at, domain = address.rpartition("@")
        if not at:
            return False
        return (
            local in self._words
            or (_may_be_mailbox_of_nobody(local) and _MAILBOX_OF_NOBODY.fullmatch(local) is not None)
            or ("." + domain).endswith(self._domains)
        )
