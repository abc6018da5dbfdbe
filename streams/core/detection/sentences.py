"""The sentence of a finding: a template over facts and fields, read with its rule, said when a finding stands.

`{name}` is a fact that the detector tells, or a field of the anchor. Times are written as people write them, what is
absent is `?`. Names are taken as they are: format specifications and conversions are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Final

from schemas.interaction import Interaction
from schemas.timestamps import format_timestamp
from streams.core.detection.conditions import ConditionError, reader_of
from streams.core.detection.line import values_of, written
from streams.core.detection.operands import TIMES

Sentence = tuple[tuple[str, str | None], ...]
"""Pieces: a text, and the name whose word follows it."""

UNKNOWN: Final = "?"
FACTS: Final[dict[str, tuple[str, ...]]] = {
    "threshold": ("values",),
    "repeat": ("contacts", "count", "span", "subject", "values"),
    "absence": ("count", "deadline", "late", "subject"),
    "mismatch": ("actual", "excess", "expected", "key", "unit"),
    "sequence": ("count", "first_channel", "span", "subject", "then_channel"),
    "accumulation": ("count", "rules", "span"),
}
"""What the detector of each kind tells."""
_UNSAYABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a value raises that cannot be written."""


class SentenceError(ValueError):
    """A sentence that cannot be said; the message says why."""


def read_sentence(template: str) -> Sentence:
    """The pieces of a sentence; raises `SentenceError` where it is more than text and names."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise SentenceError(
            f"{error}: a name stands in braces, such as {{type}}; a brace itself is written twice"
        ) from None
    for _, name, specification, conversion in parts:
        if specification or conversion:
            raise SentenceError(
                f"the sentence names {{{name}}} with a format or a conversion: write the name alone, {{{name}}}"
            )
    return tuple((text, name) for text, name, _, _ in parts)


def check_sentence(template: str, kind: str) -> None:
    """Refuse a sentence that names what findings of a kind do not tell; raises `SentenceError`."""
    for _, name in read_sentence(template):
        if name is None or name in FACTS[kind]:
            continue
        facts = ", ".join(FACTS[kind])
        if kind == "accumulation":
            # What it counts stands in other findings: the fields of these interactions are not at hand.
            raise SentenceError(f"the sentence names {{{name}}}, which is no fact of {kind} ({facts})")
        if not _is_field(name):
            raise SentenceError(
                f"the sentence names {{{name}}}, which is neither a fact of {kind} ({facts}) nor a field"
            )


def names_in(template: str) -> tuple[str, ...]:
    """The names that a sentence repeats."""
    return tuple(name for _, name in read_sentence(template) if name is not None)


def said(
    sentence: Sentence,
    facts: Callable[[], Mapping[str, str]],
    anchor: Interaction | None = None,
    fields: Sequence[str] = (),
) -> str:
    """The sentence in words. `fields` are those whose values `{values}` tells where it is no fact.

    It never raises: what was validated can be said, and if a word cannot be after all, the finding counts more than
    the word, which is `?` then.
    """
    try:
        known = facts()
    except _UNSAYABLE:
        known = {}
    words: list[str] = []
    for text, name in sentence:
        words.append(text)
        if name is not None:
            try:
                words.append(known[name] if name in known else _of_anchor(name, anchor, fields))
            except _UNSAYABLE:
                words.append(UNKNOWN)
    return "".join(words)


def worded(name: str, value: object) -> str:
    """The value of a field as a reader writes it: an instant in UTC, true and false; absent is `?`."""
    if value is None:
        return UNKNOWN
    return format_timestamp(value) if name in TIMES and isinstance(value, int) else written(value)


def _is_field(name: str) -> bool:
    try:
        reader_of(name)
    except ConditionError:
        return False
    return True


def _of_anchor(name: str, anchor: Interaction | None, fields: Sequence[str]) -> str:
    if anchor is None:
        return UNKNOWN
    if name == "values":
        told = values_of(anchor, fields)
        return ", ".join(
            f"{field.replace('_', ' ')} {_of_anchor(field, anchor, ()) if field in TIMES else value}"
            for field, value in told.items()
        )
    return worded(name, reader_of(name)[0](anchor))
