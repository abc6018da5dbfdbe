"""How customers and their weak identifiers are named in ClickHouse.

A telephone number, an e-mail address and a device are stored as keyed hashes: `phone:+359888123456` becomes
`phone:` and 32 hex digits, the same in every table, and the column `phone` holds the digits alone. CRM ids,
contracts and loyalty cards stand in clear text. Without the key nobody finds the number by trying all numbers,
as one could with a plain hash.

The hash is BLAKE2b (RFC 7693) with a key and a digest of 16 bytes, over the identifier's name in UTF-8. The ids of
journeys and findings, which are made of customers' names, have a key that is derived from it.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final, Protocol, overload

from schemas.links import WEAK_PREFIXES
from schemas.vocabulary import CUSTOMER_PREFIX, WEAK_KINDS, IdentifierKind

WEAK: Final = WEAK_KINDS
"""The kinds of identifiers that are hashed; they are columns of interactions under the same names."""

CACHE_SIZE: Final = 131_072
"""Names of each kind that one process remembers (some 30 MB when full)."""

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}(?:;ext=[0-9]+)?")
_ADDRESS: Final = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_HASHED: Final = re.compile(f"(?:{'|'.join(WEAK_PREFIXES)})[0-9a-f]{{32}}")


class Names(Protocol):
    """From what the pipeline says to what is stored; None stays None. It answers every name."""

    @overload
    def __getitem__(self, name: str, /) -> str: ...
    @overload
    def __getitem__(self, name: None, /) -> None: ...


class Pseudonyms:
    """Names as they are stored. `customers` maps customers; `phone`, `email` and `device` bare identifiers.

    Made without a key it changes nothing: clear text.
    """

    def __init__(self, key: bytes | None) -> None:
        """`key` has 1 to 64 bytes. ValueError otherwise."""
        if key is not None and not 1 <= len(key) <= blake2b.MAX_KEY_SIZE:
            raise ValueError(f"the key must have 1 to {blake2b.MAX_KEY_SIZE} bytes, not {len(key)}")
        self._key = key
        self._stored: set[str] = set()
        self._unrecorded: dict[str, str] = {}
        self.customers: Names = _Customers(self)
        self.bare: Mapping[str, Names] = {kind: _Bare(self, kind) for kind in WEAK}
        """The stored form of a bare identifier, by kind."""

    @property
    def clear(self) -> bool:
        """Whether everything is stored as it is."""
        return self._key is None

    @property
    def fingerprint(self) -> str:
        """What tells one key from another without giving it away: 16 hex digits, `clear` without a key."""
        if self._key is None:
            return "clear"
        return blake2b(b"fingerprint", key=self._key, digest_size=8).hexdigest()

    @property
    def id_key(self) -> bytes:
        """The key of ids that are made of a customer's name (`JourneyPolicy.id_key`): 32 bytes, none in clear text.

        Another one than that of the names, so that an id tells nothing of a name's hash.
        """
        if self._key is None:
            return b""
        return blake2b(key=self._key, digest_size=32, person=b"ids").digest()

    def stored_customer(self, name: str) -> str:
        """How a customer that a person has named is stored.

        A weak name that reads like a stored one (32 hex digits) is taken for one, so that what a query has
        shown can be asked for again.
        """
        return name if self.is_stored(name) else self.customers[name]

    def is_stored(self, name: str) -> bool:
        """Whether a name reads like that of a weak identifier as it is stored: its kind and 32 hex digits."""
        return _HASHED.fullmatch(name) is not None

    def accept_stored(self, name: str) -> None:
        """From now on `name` is known to be a stored name already, read back from a table, and stays as it is."""
        if name.startswith(WEAK_PREFIXES):
            self._stored.add(name)

    def hashed(self, name: str) -> str:
        """The stored form of a weak identifier's name, which is kept for `unrecorded`."""
        if self._key is None or name in self._stored:
            return name
        digest = blake2b(name.encode(), key=self._key, digest_size=16).hexdigest()
        stored = f"{name.partition(':')[0]}:{digest}"
        self._unrecorded[stored] = name
        return stored

    def erased_customer(self, name: str) -> bytes:
        """How a customer who is forgotten stands in the log of erasures: 16 bytes, of a weak or a strong name."""
        return self._erased(b"customer", name)

    def erased_identity(self, source: str, id: str) -> bytes:  # noqa: A002
        """How an interaction that is forgotten stands in the log of erasures: 16 bytes."""
        return self._erased(b"interaction", f"{len(source)}:{source}{id}")

    def erased_fact(self, source: str, id: str) -> bytes:  # noqa: A002
        """How a fact that is forgotten stands in the log of erasures: 16 bytes, other than those of an interaction."""
        return self._erased(b"fact", f"{len(source)}:{source}{id}")

    def _erased(self, what: bytes, name: str) -> bytes:
        # Other digests than those of the tables, so that nobody finds a forgotten customer's new rows by the log.
        return blake2b(name.encode(), key=self._key or b"", digest_size=16, person=what).digest()

    def veiled(self, text: str, names: Iterable[str] = ()) -> str:
        """A text in which weak identifiers stand as they are stored: the values of those that are named, and whatever
        else reads like a telephone number (E.164) or an e-mail address.
        """
        if self._key is None:
            return text
        stored: dict[str, str] = {}
        for name in names:
            if name.startswith(WEAK_PREFIXES):
                kind, _, value = name.partition(":")
                if value in text:
                    stored[value] = self.bare[kind][value]
        if stored:
            # At once, the longest first: a value may be part of another one, or of what another one became.
            found = re.compile("|".join(map(re.escape, sorted(stored, key=len, reverse=True))))
            text = found.sub(lambda match: stored[match[0]], text)
        if "+" in text:
            text = _NUMBER.sub(lambda found: self.bare["phone"][found[0]], text)
        if "@" in text:
            text = _ADDRESS.sub(lambda found: self.bare["email"][found[0].lower()], text)
        return text

    def unrecorded(self) -> tuple[tuple[str, str], ...]:
        """(stored name, clear name) of what was hashed since it was last said to be recorded."""
        return tuple(self._unrecorded.copy().items())

    def recorded(self, names: tuple[tuple[str, str], ...]) -> None:
        """These pairs of `unrecorded` stand in the table of identifiers."""
        for stored, _ in names:
            self._unrecorded.pop(stored, None)

    def forget(self) -> None:
        """Forget the names that were asked for: of whoever was erased none stays in memory, and one that comes again is
        recorded again.
        """
        for remembered in (self.customers, *self.bare.values()):
            assert isinstance(remembered, _Remembered)
            remembered.begin_anew()


class _Remembered(dict[Any, Any]):
    """Answers by heart what was asked before: a dict lookup is all that a repetition costs."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        super().__init__({None: None})
        self._pseudonyms = pseudonyms

    def begin_anew(self) -> None:
        """Forget all."""
        self.clear()
        self[None] = None

    def _remember(self, asked: str, answer: str) -> str:
        if len(self) >= CACHE_SIZE:
            self.begin_anew()
        self[asked] = answer
        return answer


class _Customers(_Remembered):
    def __missing__(self, name: str) -> str:
        return self._remember(name, self._pseudonyms.hashed(name) if name.startswith(WEAK_PREFIXES) else name)


class _Bare(_Remembered):
    def __init__(self, pseudonyms: Pseudonyms, kind: IdentifierKind) -> None:
        super().__init__(pseudonyms)
        self._prefix = f"{CUSTOMER_PREFIX[kind]}:"

    def __missing__(self, value: str) -> str:
        stored = self._pseudonyms.customers[self._prefix + value]
        return self._remember(value, stored[len(self._prefix) :])


CLEAR: Final = Pseudonyms(None)
"""Everything as it is."""
