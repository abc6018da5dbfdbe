"""Whether the bytes of a dead letter name a certain customer: they came in any notation, and may be no JSON at all."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from schemas.identifiers import Normaliser
from schemas.links import Name, kind_of
from schemas.vocabulary import IdentifierKind

TELLING: Final = 6
"""A shorter number of a customer is looked for only where it is said what it is: `7` stands in many records."""

_NUMBER: Final = re.compile(r"\+?[0-9(][0-9 ()./\u00a0-]{4,24}[0-9]")
_ADDRESS: Final = re.compile(r"[^\s\"'<>,;:()\[\]\\]+@[^\s\"'<>,;:()\[\]\\]+")


class Mentions:
    """Knows the names of one customer, and the `(source, id)` of the customer's interactions."""

    def __init__(
        self, names: Iterable[Name], interactions: Collection[tuple[str, str]], normaliser: Normaliser
    ) -> None:
        """`normaliser` is the one that the pipeline reads identifiers with."""
        values: dict[IdentifierKind, set[str]] = {}
        for name in names:
            values.setdefault(kind_of(name), set()).add(name.partition(":")[2])
        self._values: Mapping[IdentifierKind, set[str]] = values
        self._normaliser = normaliser
        self._interactions = frozenset(interactions)
        self._ids = frozenset(id_ for _, id_ in interactions)
        words = [
            re.escape(value)
            for kind, of_kind in values.items()
            if kind not in ("phone", "email")
            for value in of_kind
            if len(value) >= TELLING
        ]
        words += [re.escape(name) for name in names]
        self._words = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(words))})(?![\w-])") if words else None

    def in_record(self, key: bytes, value: bytes, headers: Iterable[bytes]) -> bool:
        """Whether key, value or a header names the customer, or one of the interactions.

        Telephone numbers and addresses are found in any notation; other identifiers as words of their own, those of
        fewer than `TELLING` characters only in a JSON field of their kind or behind it (`crm:A1`).
        """
        texts = [one.decode(errors="replace") for one in (key, value, *headers)]
        if any(map(self._in_text, texts)):
            return True
        try:
            document = json.loads(value)
        except (ValueError, RecursionError):
            return False
        return self._is_interaction(document, texts[2:]) or any(
            self._in_field(field, text) for field, text in _fields(document)
        )

    def _in_text(self, text: str) -> bool:
        if self._words is not None and self._words.search(text) is not None:
            return True
        phones, emails = self._values.get("phone", ()), self._values.get("email", ())
        return (bool(phones) and any(self._is("phone", found[0]) for found in _NUMBER.finditer(text))) or (
            bool(emails) and any(self._is("email", found[0]) for found in _ADDRESS.finditer(text))
        )

    def _in_field(self, field: str, text: str) -> bool:
        return self._in_text(text) or any(field == kind and self._is(kind, text) for kind in self._values)

    def _is(self, kind: IdentifierKind, text: str) -> bool:
        if kind == "phone":
            normal = self._normaliser.phone(text)[0]
        elif kind == "email":
            normal = self._normaliser.email(text)[0]
        else:
            normal = text.strip()
        return normal in self._values.get(kind, ())

    def _is_interaction(self, document: Any, headers: list[str]) -> bool:
        """CloudEvents may say `source` and `id` around the event, in the event, or in headers."""
        ids = self._ids.intersection(headers)
        sources = set(headers)
        for field, text in _fields(document):
            if field == "source":
                sources.add(text)
            elif field == "id" and text in self._ids:
                ids |= {text}
        return any((source, id_) in self._interactions for id_ in ids for source in sources)


def _fields(document: Any) -> Iterator[tuple[str, str]]:
    """Every text and number of a JSON document, with the name of its field (that of the list it is in)."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += ((name, one) for one in value)
        elif isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            yield name, str(value)
