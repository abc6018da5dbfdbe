"""The internal log of links (`touchline.links`): what every worker knows about who is whom.

Two kinds of record. A `Link` is learnt: two identifiers were seen in one interaction. A `Statement` is told: an
upstream system or an operator says that identifiers belong together, or do not. Both form sets that are united by
`merged`: in any order, any number of times, the same result. So two records of one key may be written by two workers,
and compaction by `record_key` keeps one of each.
"""

from typing import Final, Literal, Protocol

import msgspec

from schemas.interaction import Micros
from schemas.vocabulary import CUSTOMER_PREFIX, IDENTIFIER_KINDS, WEAK_KINDS, IdentifierKind

Name = str
"""An identifier written as a customer is: its kind's prefix, a colon, its value (`phone:+359888123456`)."""

Rank = Literal[0, 1, 2]
LEARNT: Final = 0
UPSTREAM: Final = 1
OPERATOR: Final = 2

_OPERATOR: Final = "operator"
_FACT: Final = "fact:"
PREFIXES: Final = tuple(f"{CUSTOMER_PREFIX[kind]}:" for kind in IDENTIFIER_KINDS)
"""What names of each kind begin with, the strongest kind first."""
_CRM_ID, _CONTRACT, _LOYALTY, _PHONE, _EMAIL, _DEVICE = PREFIXES

_STRENGTHS: Final = {prefix[:2]: strength for strength, prefix in enumerate(PREFIXES)}
assert len(_STRENGTHS) == len(PREFIXES), "two letters must tell the kinds apart"

WEAK_FROM: Final = IDENTIFIER_KINDS.index(WEAK_KINDS[0])
"""Identifiers of this strength or a greater number are weak: people share and change them."""

WEAK_PREFIXES: Final = PREFIXES[WEAK_FROM:]
"""What names of weak identifiers begin with."""

_STRONG: Final = frozenset(prefix[:2] for prefix in PREFIXES[:WEAK_FROM])


class Link(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="l"):
    """Two identifiers that stood in one interaction; `a` is the stronger one, of equal ones the smaller.

    `first_seen` is the earliest `occurred_at` of such an interaction, and `evidence` (`source`, U+001F, `id`) that
    very one, the smallest among equals. `last_seen` is the latest, rounded down to the day (UTC), so that a link is
    written anew once a day and not with each interaction.
    """

    a: Name
    b: Name
    first_seen: Micros
    last_seen: Micros
    evidence: str


class Statement(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="s"):
    """What an upstream system or an operator said: a validated `IdentityFact`.

    It is known by `(source, id)`; a higher revision replaces it. `identifiers` are sorted by strength, then by code
    point, and normalised.
    """

    source: str
    id: str
    revision: int
    occurred_at: Micros
    links: bool
    identifiers: tuple[Name, ...]
    reason: str | None = None

    @property
    def rank(self) -> Rank:
        """How much it weighs: sources named `operator` or `operator:NAME` speak for operators."""
        source = self.source
        return OPERATOR if source == _OPERATOR or source.startswith(_OPERATOR + ":") else UPSTREAM


Record = Link | Statement

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Link | Statement)


def name_of(kind: IdentifierKind, value: str) -> Name:
    """An identifier's name."""
    return f"{CUSTOMER_PREFIX[kind]}:{value}"


class Identified(Protocol):
    """What carries identifiers: `Identifiers` themselves, an interaction."""

    @property
    def crm_id(self) -> str | None: ...
    @property
    def contract(self) -> str | None: ...
    @property
    def loyalty(self) -> str | None: ...
    @property
    def phone(self) -> str | None: ...
    @property
    def email(self) -> str | None: ...
    @property
    def device(self) -> str | None: ...


def names_of(known: Identified) -> list[Name]:
    """The names of the identifiers present, strongest first."""
    names: list[Name] = []
    if crm_id := known.crm_id:
        names.append(_CRM_ID + crm_id)
    if contract := known.contract:
        names.append(_CONTRACT + contract)
    if loyalty := known.loyalty:
        names.append(_LOYALTY + loyalty)
    if phone := known.phone:
        names.append(_PHONE + phone)
    if email := known.email:
        names.append(_EMAIL + email)
    if device := known.device:
        names.append(_DEVICE + device)
    return names


def strength_of(name: Name) -> int:
    """The place of the name's kind in `IDENTIFIER_KINDS`: 0 is the strongest. KeyError for what is no name."""
    return _STRENGTHS[name[:2]]


def kind_of(name: Name) -> IdentifierKind:
    """The kind of an identifier by its name."""
    return IDENTIFIER_KINDS[_STRENGTHS[name[:2]]]


def is_strong(name: Name) -> bool:
    """Whether it names one customer (CRM id, contract, loyalty card)."""
    return name[:2] in _STRONG


def order_of(name: Name) -> tuple[int, Name]:
    """Sorts names: the strongest kind first, then by code point. A customer is named by its first."""
    return _STRENGTHS[name[:2]], name


def encode_record(record: Record) -> bytes:
    """Encode for the log."""
    return _encoder.encode(record)


def decode_record(value: bytes) -> Record:
    """The inverse of `encode_record`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value)


def record_key(record: Record) -> bytes:
    """The Kafka key: one for each pair, one for each fact. The length in front keeps different pairs apart."""
    if isinstance(record, Link):
        return f"{len(record.a)}:{record.a}{record.b}".encode()
    return f"{_FACT}{len(record.source)}:{record.source}{record.id}".encode()


def forgotten(key: bytes) -> tuple[Name, Name] | tuple[str, str, None]:
    """What the key of a record without a value says is forgotten: a pair of identifiers, or `(source, id, None)` of a
    statement. The inverse of `record_key`; raises `ValueError` for a foreign key.
    """
    text = key.decode()
    length, separator, rest = text.removeprefix(_FACT).partition(":")
    if not separator or not length.isdecimal() or int(length) > len(rest):
        raise ValueError("not the key of a link or of a statement")
    first, second = rest[: int(length)], rest[int(length) :]
    return (first, second, None) if text.startswith(_FACT) else (first, second)


def merged_links(one: Link, other: Link) -> Link:
    """What two records of one pair say together."""
    first = min((one.first_seen, one.evidence), (other.first_seen, other.evidence))
    return Link(one.a, one.b, first[0], max(one.last_seen, other.last_seen), first[1])


def merged_statements(one: Statement, other: Statement) -> Statement:
    """The higher revision of one fact; should a source tell two things in one revision, the greater by its bytes."""
    return max(one, other, key=lambda told: (told.revision, encode_record(told)))
