"""Which values a condition may compare a field with: the words, numbers and forms that the event contract allows it.

A condition on any other value would never hold, or always, and nobody would be told.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from schemas.parts import RATING_RANGES
from schemas.values import CURRENCY_PATTERN, MAX_REVISION, MAX_SECONDS
from schemas.vocabulary import INTERACTION_TYPES

Number = int | float | Decimal

_NUMBERS: Final = (int, float, Decimal)
_TYPES: Final = frozenset(kind for kinds in INTERACTION_TYPES.values() for kind in kinds)
_MARKS: Final = [bound for bounds in RATING_RANGES.values() for bound in bounds]
RANGES: Final[dict[str, tuple[Number, Number]]] = {
    "revision": (0, MAX_REVISION),
    "sentiment": (-1, 1),
    "transfers": (0, 65_535),
    "rating_value": (min(_MARKS), max(_MARKS)),
    "wait_seconds": (0, MAX_SECONDS),
    "talk_seconds": (0, MAX_SECONDS),
    "hold_seconds": (0, MAX_SECONDS),
    "wrap_up_seconds": (0, MAX_SECONDS),
    "service_seconds": (0, MAX_SECONDS),
    "duration_seconds": (0, MAX_SECONDS),
}
"""The least and the greatest value that the contract allows a number; a test holds them against it."""
_FORMS: Final[dict[str, tuple[str, str]]] = {
    "price_currency": (CURRENCY_PATTERN, "an ISO 4217 code of three capital letters such as EUR"),
    "promise_due_on": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a date such as '2026-03-01'"),
}
"""Text of a certain form, and the form in words."""
TIMES: Final = frozenset({"occurred_at", "promise_due_at", "received_at"})
"""Fields that are instants; a test holds them against the contract."""
_NO_AMOUNTS: Final = TIMES | {"revision", "partition", "offset"}


class OperandError(ValueError):
    """A value that the field cannot have; the message says which it can."""


def plain_types(hint: Any) -> set[Any]:
    """The types that a field may have, less None; a literal counts as its values' type."""
    options = get_args(hint) if get_origin(hint) is not Literal and get_args(hint) else (hint,)
    return {type(get_args(one)[0]) if get_origin(one) is Literal else one for one in options} - {NoneType}


def is_number(hint: Any) -> bool:
    """Whether a field of that type is a number (a truth value is none)."""
    return not plain_types(hint).isdisjoint(_NUMBERS)


def holds_any_text(hint: Any) -> bool:
    """Whether a field of that type holds text of no closed vocabulary."""
    return plain_types(hint) == {str} and not words_of("", hint)


def amounts_among(hints: Mapping[str, Any]) -> list[str]:
    """The names of those fields that hold amounts: numbers that are no instants, positions or revisions."""
    return sorted(name for name, hint in hints.items() if is_number(hint) and name not in _NO_AMOUNTS)


def words_of(name: str, hint: Any) -> frozenset[str]:
    """The closed set of words of a field; empty when it is open."""
    if name == "type":
        return _TYPES
    options = (hint,) if get_origin(hint) is Literal else get_args(hint)
    return frozenset(word for one in options if get_origin(one) is Literal for word in get_args(one))


def values_of_field(name: str, hint: Any, value: Any, words: frozenset[str]) -> list[Any]:
    """The values that `in` and `not` are given, one or a list; `words` are those that the field may have, empty when
    any. Raises `OperandError`.
    """
    values = value if isinstance(value, list) else [value]
    if not values:
        raise OperandError(f"{name} is none of an empty list: write at least one value")
    if is_number(hint):
        return [_whole(name, hint, number(name, hint, one)) for one in values]
    kind = "true or false" if bool in plain_types(hint) else "text (put it in quotes)"
    pattern, form = _FORMS.get(name, ("", ""))
    for one in values:
        if words and not (isinstance(one, str) and one in words):
            raise OperandError(f"{one!r} is none of {', '.join(sorted(words))}")
        if type(one) not in plain_types(hint):
            raise OperandError(f"{name} takes {kind}, not {one!r}")
        if pattern and re.fullmatch(pattern, one) is None:
            raise OperandError(f"{name} is {form}, not {one!r}")
    return values


def number(name: str, hint: Any, value: Any) -> Number:
    """A number that the field can have; of amounts also written as text. Raises `OperandError`."""
    wrong = OperandError(f"{name} is a number, {value!r} is no number")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    found: Number
    if Decimal in plain_types(hint):
        try:
            found = Decimal(str(value))
        except ArithmeticError:
            raise wrong from None
    elif isinstance(value, str):
        raise wrong
    else:
        found = value
    # A whole number is finite whatever its size; `isfinite` would make a float of it.
    if not isinstance(found, int) and not (
        found.is_finite() if isinstance(found, Decimal) else isfinite(found)
    ):
        raise wrong
    low, high = RANGES.get(name, (found, found))
    if not low <= found <= high:
        raise OperandError(f"{name} is {low} to {high}, never {value}")
    return found


def refuse_never(name: str, limits: Mapping[str, Number]) -> None:
    """Refuse limits (`above`, `at_least`, `below`, `at_most`) that no value of the field keeps; raises
    `OperandError`.
    """
    least, greatest = RANGES.get(name, (None, None))
    lower: list[tuple[Number, bool]] = [] if least is None else [(least, False)]
    upper: list[tuple[Number, bool]] = [] if greatest is None else [(greatest, False)]
    lower.extend((limits[word], word == "above") for word in ("above", "at_least") if word in limits)
    upper.extend((limits[word], word == "below") for word in ("below", "at_most") if word in limits)
    for low, is_open in lower:
        for high, ends_open in upper:
            if low > high or (low == high and (is_open or ends_open)):
                told = " and ".join(f"{word.replace('_', ' ')} {limit}" for word, limit in limits.items())
                within = "" if least is None else f" (it is {least} to {greatest})"
                raise OperandError(f"{name} is never {told}{within}")


def _whole(name: str, hint: Any, value: Number) -> Number:
    if plain_types(hint) == {int} and value != int(value):
        raise OperandError(f"{name} is a whole number, never {value}")
    return value


def types_on(channels: Sequence[Any]) -> frozenset[str]:
    """The interaction types of channels."""
    return frozenset(
        kind for channel, kinds in INTERACTION_TYPES.items() if channel in channels for kind in kinds
    )
