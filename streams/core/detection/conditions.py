"""Conditions on one interaction: written in a rule file, compiled once to a function.

    type: [call, visit]                   one of several
    outcome: abandoned                    equal
    wait_seconds: {above: 600}            in, not, above, at_least, below, at_most, exists
    attributes.plan: gold                 the free attributes of the contract
    contact: true                         the customer turned to people
    verdict: resolved                     the outcome, where a case update speaks by its action
    any: [{...}, {...}]                   also: all, not

All entries of a mapping must hold. A field that is absent equals nothing and compares with nothing; `not` holds for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter, ge, gt, le, lt
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from schemas.interaction import Interaction
from schemas.vocabulary import INTERACTION_TYPES
from streams.core.facets import is_contact, known_outcome

Test = Callable[[Interaction], bool]
Verdict = Literal["resolved", "unresolved", "promised", "abandoned"]

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "above": gt,
    "at_least": ge,
    "below": lt,
    "at_most": le,
}
_OPERATORS: Final = ("in", "not", "exists", *_COMPARISONS)
_NUMBERS: Final = (int, float, Decimal)
CONTACT_TYPES: Final = frozenset({"call", "voicemail", "sms", "message", "visit", "form", "chat"})
"""The only types that can be contacts (`streams.core.facets.is_contact`); a test holds the two together."""
_TYPES: Final = frozenset(kind for kinds in INTERACTION_TYPES.values() for kind in kinds)


class ConditionError(ValueError):
    """A condition that cannot be meant; `path` leads to the entry from the condition's top."""

    def __init__(self, path: Sequence[str | int], reason: str) -> None:
        super().__init__(reason)
        self.path = tuple(path)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `fields` are those of the contract that it reads; `types` the only interaction types that
    can fulfil it, None when any can.

    What decides it, the type aside, is the value of the fields in `words`, whether those in `presences` and `amounts`
    are there, and how much the amounts are. Derived fields are told by those that they are derived from.
    """

    holds: Test
    fields: tuple[str, ...]
    types: frozenset[str] | None
    words: frozenset[str] = frozenset()
    presences: frozenset[str] = frozenset()
    amounts: frozenset[str] = frozenset()


def verdict(interaction: Interaction) -> Verdict | None:
    """The known outcome as a word: what was said, or, of a case update without an outcome, what its action
    means.
    """
    said = interaction.outcome
    if said is None:
        known = known_outcome(interaction)
        return None if known is None else ("resolved" if known else "unresolved")
    return None if said == "unknown" else said


_DERIVED: Final[dict[str, tuple[Callable[[Interaction], Any], Any]]] = {
    "contact": (is_contact, bool),
    "verdict": (verdict, Verdict | None),
}
BEHIND_DERIVED: Final[dict[str, tuple[str, ...]]] = {
    "contact": ("type", "direction"),
    "verdict": ("outcome", "action"),
}
"""The fields of the contract that, the type aside, decide a derived one."""

_HINTS: Final[dict[str, Any]] = get_type_hints(Interaction)
_NOT_SELECTED: Final = frozenset({"attributes", "unnormalised"})


def field_names() -> list[str]:
    """The names that a condition may use, less `attributes.NAME`."""
    return sorted([*(_HINTS.keys() - _NOT_SELECTED), *_DERIVED])


def reader_of(name: str, path: Sequence[str | int] = ()) -> tuple[Callable[[Interaction], Any], Any]:
    """How to read a field and what type it has; raises `ConditionError`."""
    if name in _DERIVED:
        return _DERIVED[name]
    if name in _HINTS and name not in _NOT_SELECTED:
        return attrgetter(name), _HINTS[name]
    head, _, key = name.partition(".")
    if head == "attributes" and key:
        return (lambda interaction: interaction.attributes.get(key)), str | None
    raise ConditionError(
        path, f"{name!r} is no field; write one of {', '.join(field_names())}, attributes.NAME"
    )


def compile_condition(spec: Mapping[str, Any], path: Sequence[str | int] = ()) -> Condition:
    """Compile a condition as the rule file has it; raises `ConditionError` with the path to what is wrong."""
    if not isinstance(spec, Mapping):
        raise ConditionError(path, "write a mapping of fields, such as {type: call}")
    parts = [_entry(str(name), value, (*path, str(name))) for name, value in spec.items()]
    return _all_of(parts)


def _entry(name: str, value: Any, path: Sequence[str | int]) -> Condition:
    match name:
        case "any" | "all":
            if not isinstance(value, list) or not value:
                raise ConditionError(path, f"{name} takes a list of conditions")
            parts = [compile_condition(one, (*path, index)) for index, one in enumerate(value)]
            return _any_of(parts) if name == "any" else _all_of(parts)
        case "not":
            inner = compile_condition(value, path)
            test = inner.holds
            return Condition(
                lambda interaction: not test(interaction),
                inner.fields,
                None,
                inner.words,
                inner.presences,
                inner.amounts,
            )
        case _:
            return _field(name, value, path)


def _field(name: str, value: Any, path: Sequence[str | int]) -> Condition:
    read, hint = reader_of(name, path)
    if not isinstance(value, Mapping):
        value = {"in": value}
    if not value:
        raise ConditionError(path, f"write a value, a list, or one of {', '.join(_OPERATORS)}")
    tests: list[Test] = []
    types: frozenset[str] | None = None
    amounts = frozenset[str]()
    is_number = bool(_plain(hint) & set(_NUMBERS))
    for operator, operand in value.items():
        where = (*path, operator) if operator != "in" else path
        match operator:
            case "in" | "not":
                wanted = frozenset(_operands(name, hint, operand, where))
                tests.append(_membership(read, wanted, operator == "in"))
                if is_number:
                    amounts = frozenset({name})
                if name == "type" and operator == "in":
                    types = wanted
            case "exists":
                if not isinstance(operand, bool):
                    raise ConditionError(where, "exists takes true or false")
                tests.append(_existence(read, operand))
            case _ if operator in _COMPARISONS:
                if not is_number:
                    raise ConditionError(where, f"{name} is no number")
                amounts = frozenset({name})
                tests.append(_comparison(read, _COMPARISONS[operator], _number(operand, hint, where)))
            case _:
                raise ConditionError(where, f"{operator!r} is none of {', '.join(_OPERATORS)}")
    if name == "contact" and value.get("in") is True:
        types = CONTACT_TYPES
    only_exists = value.keys() == {"exists"} and name in _HINTS
    return Condition(
        _conjunction(tests),
        (name,),
        types,
        frozenset() if is_number or only_exists else frozenset(BEHIND_DERIVED.get(name, (name,))),
        frozenset({name}) if only_exists or (is_number and not amounts) else frozenset(),
        amounts,
    )


def _plain(hint: Any) -> set[Any]:
    """The types that a field may have, less None; a literal counts as its values' type."""
    options = get_args(hint) if get_origin(hint) is not Literal and get_args(hint) else (hint,)
    return {type(get_args(one)[0]) if get_origin(one) is Literal else one for one in options} - {NoneType}


def _words(hint: Any) -> set[Any]:
    """The closed set of words of a field; empty when it is open."""
    options = (hint,) if get_origin(hint) is Literal else get_args(hint)
    return {word for one in options if get_origin(one) is Literal for word in get_args(one)}


def _operands(name: str, hint: Any, value: Any, path: Sequence[str | int]) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    words = _TYPES if name == "type" else _words(hint)
    plain = _plain(hint)
    for one in values:
        if words and one not in words:
            raise ConditionError(path, f"{one!r} is none of {', '.join(sorted(words))}")
        if plain & set(_NUMBERS):
            if isinstance(one, bool) or not isinstance(one, int | float | str):
                raise ConditionError(path, f"{name} is a number, {one!r} is not")
        elif type(one) not in plain:
            kind = "true or false" if bool in plain else "text (put it in quotes)"
            raise ConditionError(path, f"{name} takes {kind}, not {one!r}")
    return [_number(one, hint, path) for one in values] if plain & set(_NUMBERS) else values


def _number(value: Any, hint: Any, path: Sequence[str | int]) -> float | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConditionError(path, f"{value!r} is no number")
    if Decimal in _plain(hint):
        try:
            return Decimal(str(value))
        except ArithmeticError:
            raise ConditionError(path, f"{value!r} is no number") from None
    if isinstance(value, str):
        raise ConditionError(path, f"{value!r} is no number")
    return value


def _membership(read: Callable[[Interaction], Any], wanted: frozenset[Any], is_in: bool) -> Test:
    if len(wanted) == 1:
        (only,) = wanted
        if is_in:
            return lambda interaction: read(interaction) == only
        return lambda interaction: read(interaction) != only
    if is_in:
        return lambda interaction: read(interaction) in wanted
    return lambda interaction: read(interaction) not in wanted


def _existence(read: Callable[[Interaction], Any], wanted: bool) -> Test:
    return lambda interaction: (read(interaction) is not None) is wanted


def _comparison(
    read: Callable[[Interaction], Any], compare: Callable[[Any, Any], bool], limit: float | Decimal
) -> Test:
    def holds(interaction: Interaction) -> bool:
        value = read(interaction)
        return value is not None and compare(value, limit)

    return holds


def _conjunction(tests: Sequence[Test]) -> Test:
    match tests:
        case []:
            return lambda _: True
        case [only]:
            return only
        case [one, two]:
            return lambda interaction: one(interaction) and two(interaction)
        case [one, two, three]:
            return lambda interaction: one(interaction) and two(interaction) and three(interaction)
        case _:
            return lambda interaction: all(test(interaction) for test in tests)


def _all_of(parts: Sequence[Condition]) -> Condition:
    types: frozenset[str] | None = None
    for part in parts:
        if part.types is not None:
            types = part.types if types is None else types & part.types
    return _joined(_conjunction([part.holds for part in parts]), parts, types)


def _any_of(parts: Sequence[Condition]) -> Condition:
    tests = [part.holds for part in parts]
    types: frozenset[str] | None = frozenset()
    for part in parts:
        types = None if types is None or part.types is None else types | part.types
    if len(tests) == 2:
        one, two = tests
        return _joined(lambda interaction: one(interaction) or two(interaction), parts, types)
    return _joined(lambda interaction: any(test(interaction) for test in tests), parts, types)


def _joined(holds: Test, parts: Sequence[Condition], types: frozenset[str] | None) -> Condition:
    return Condition(
        holds,
        tuple(dict.fromkeys(field for part in parts for field in part.fields)),
        types,
        frozenset().union(*(part.words for part in parts)),
        frozenset().union(*(part.presences for part in parts)),
        frozenset().union(*(part.amounts for part in parts)),
    )
