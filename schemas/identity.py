"""The contract of `touchline.identity`: facts about who is whom, from systems and people that know.

A fact is known by `(source, id)`; a higher `revision` replaces it, also with other identifiers. `link` says that the
identifiers are one customer's, `unlink` that no two of them are. How facts weigh against each other and against what
was learnt is told in docs/adr/0004-identity.md.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.cloudevents import Unreadable, unwrap
from schemas.codec import MAX_BYTES, Rejected
from schemas.identifiers import Identifiers, Normaliser
from schemas.interaction import Micros
from schemas.links import Statement, name_of, order_of
from schemas.parts import Part
from schemas.personal import personal
from schemas.timestamps import format_timestamp
from schemas.values import MAX_REVISION, Id, Identifier, Timestamp
from schemas.vocabulary import IDENTIFIER_KINDS, IdentifierKind

MAX_IDENTIFIERS: Final = 100
"""Identifiers of one kind in one fact."""

Several = Identifier | Annotated[list[Identifier], Field(max_length=MAX_IDENTIFIERS)]
"""One identifier of a kind, or a list of them. Blank ones are absent."""


class NamedIdentifiers(Part):
    """Two or more identifiers; a kind may hold a list."""

    crm_id: Several | None = None
    """Id in the CRM. Strong: it names one customer."""
    contract: Several | None = None
    """Contract or account number. Strong."""
    loyalty: Several | None = None
    """Loyalty card number. Strong."""
    phone: Several | None = None
    """Telephone number in any notation; without a country code it is read in the default region. Weak."""
    email: Several | None = None
    """E-mail address. Weak."""
    device: Several | None = None
    """Cookie or device id. Weak."""

    def each(self) -> Iterator[tuple[IdentifierKind, str]]:
        """Every identifier that is not blank, with its kind."""
        for kind in IDENTIFIER_KINDS:
            value: str | list[str] | None = getattr(self, kind)
            for one in (value,) if isinstance(value, str) else value or ():
                if one.strip():
                    yield kind, one

    @model_validator(mode="after")
    def _names_two(self) -> "NamedIdentifiers":
        if len({(kind, one.strip()) for kind, one in self.each()}) < 2:
            raise PydanticCustomError("too_few", "give two or more different identifiers")
        return self


class IdentityFact(Part):
    """A system of record, or an operator, says that identifiers are one customer's, or that they are not."""

    id: Id
    """Unique within `source`. The same id again is the same fact."""
    source: Id
    """Who says so. `operator` and `operator:NAME` are kept for operators, who outrank systems."""
    revision: Annotated[int, Field(ge=0, le=MAX_REVISION)] | None = 0
    """A higher revision replaces the fact, a lower or equal one changes nothing."""
    occurred_at: Timestamp
    """Since when it is known: RFC 3339 with an offset. Of two facts of one rank about a pair the later one holds."""
    operation: Literal["link", "unlink"]
    """link: they are one customer's; unlink: no two of them are."""
    identifiers: NamedIdentifiers
    """Whom it is about."""
    reason: Annotated[str, StringConstraints(max_length=1_024), personal("content")] | None = None
    """Why, in words; operators are asked for it."""


FACT: Final[TypeAdapter[IdentityFact]] = TypeAdapter(IdentityFact)


def fact_key(source: str, id: str) -> bytes:  # noqa: A002 - the contract's own word
    """The Kafka key of a fact: `source`, U+001F, `id`. Compaction keeps the latest record of each fact."""
    return f"{source}\x1f{id}".encode()


class FactDecoder:
    """Decodes records of `touchline.identity`; the settings are those of `schemas.codec.Decoder`."""

    def __init__(self, region: str, future_micros: Micros) -> None:
        self._normalise = Normaliser(region).normalise
        self._future = future_micros

    def decode(
        self, value: bytes | None, headers: Sequence[tuple[str, bytes]], now: Micros
    ) -> Statement | Rejected:
        """The statement, or why there is none. Never raises, whatever the bytes; `now` is the clock.

        Besides what the models refuse: a telephone number or an address that cannot be normalised (it would link
        nothing, and nobody would know), and identifiers that are the same once they are normalised.
        """
        try:
            if value is not None and len(value) > MAX_BYTES:
                raise Unreadable("decode", "too_large", f"the value is longer than {MAX_BYTES} bytes")
            fact = FACT.validate_python(unwrap(value, headers))
        except Unreadable as problem:
            return Rejected(problem.stage, problem.error, str(problem))
        except ValidationError as problem:
            return Rejected("validate", "invalid", _explain(problem))
        # Validated: microseconds, though the field is declared as it is written.
        occurred_at: Any = fact.occurred_at
        if occurred_at > now + self._future:
            return Rejected(
                "validate",
                "from_the_future",
                f"occurred_at: {format_timestamp(occurred_at)} is further ahead of the clock "
                f"({format_timestamp(now)}) than allowed",
            )
        names: set[str] = set()
        for kind, one in fact.identifiers.each():
            identifiers, unnormalised = self._normalise(Identifiers(**{kind: one}))
            normal = getattr(identifiers, kind)
            if unnormalised or normal is None:
                return Rejected(
                    "validate", "invalid", f"identifiers.{kind}: cannot be normalised; give it in full"
                )
            names.add(name_of(kind, normal))
        if len(names) < 2:
            return Rejected(
                "validate", "invalid", "identifiers: they are one and the same once they are normalised"
            )
        return Statement(
            fact.source,
            fact.id,
            fact.revision or 0,
            occurred_at,
            fact.operation == "link",
            tuple(sorted(names, key=order_of)),
            fact.reason,
        )


_WORDS: Final[dict[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "unknown field",
    "string_type": "expected a string",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "list_type": "expected a string or a list of strings",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "contains a control character",
}
_CHOICE: Final = frozenset(("constrained-str", "str", "list[constrained-str]"))
_FIELDS: Final = frozenset((*IdentityFact.model_fields, *NamedIdentifiers.model_fields))


def _explain(error: ValidationError) -> str:
    """All problems as one line; no value is repeated, nor a field name that is not ours."""
    lines = dict.fromkeys(map(_problem, error.errors(include_url=False, include_input=False)))
    return "; ".join(lines)


def _problem(detail: ErrorDetails) -> str:
    path = [str(part) for part in detail["loc"] if isinstance(part, str) and not _is_choice(part)]
    shown = ".".join(part if part in _FIELDS else "(a name not shown)" for part in path) or "fact"
    context = detail.get("ctx", {})
    match detail["type"]:
        case "literal_error":
            reason = f"expected {context['expected']}"
        case "greater_than_equal" | "less_than_equal":
            reason = f"must be 0 to {MAX_REVISION}"
        case "string_too_long":
            reason = f"must have at most {context['max_length']} characters"
        case "too_long":
            reason = f"must have at most {context['max_length']} entries"
        case "string_type" | "list_type" if path[:1] == ["identifiers"]:
            reason = _WORDS["list_type"]
        case kind:
            reason = _WORDS.get(kind, detail["msg"])
    return f"{shown}: {reason}"


def _is_choice(part: str) -> bool:
    """Whether a part of a location is not a field but the branch of a union."""
    return part in _CHOICE or "[" in part
