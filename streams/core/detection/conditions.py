"""Conditions on one interaction: written in a rule file, compiled once to a function.

    type: [call, visit]                   one of several
    outcome: abandoned                    equal
    wait_seconds: {above: 600}            in, not, above, at_least, below, at_most, exists
    attributes.plan: gold                 the free attributes of the contract
    contact: true                         the customer turned to people
    verdict: resolved                     the outcome, where a case update speaks by its action
    any: [{...}, {...}]                   also: all, not

All entries of a mapping must hold. A field that is absent equals nothing and compares with nothing; `not` holds for it.
What no interaction of the contract can fulfil is refused, and so is a mapping that says nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, ge, gt, le, lt
from typing import Any, Final, Literal, get_args, get_type_hints

from schemas.interaction import Interaction
from schemas.vocabulary import CaseAction
from streams.core.detection.operands import (
    Number,
    OperandError,
    is_number,
    number,
    refuse_never,
    types_on,
    values_of_field,
    words_of,
)
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
CONTACT_TYPES: Final = frozenset({"call", "voicemail", "sms", "message", "visit", "form", "chat"})
"""The only types that can be contacts (`streams.core.facets.is_contact`); a test holds the two together."""
_DECIDE_THE_TYPE: Final = ("type", "channel", "contact")
_ONLY_CASE_UPDATES: Final = frozenset({"case_update"})
_CASE_ACTIONS: Final = frozenset(get_args(CaseAction))
_DEEPEST: Final = 32
"""Entries of a path; a YAML alias may lead back to itself."""


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


def field_hints() -> dict[str, Any]:
    """The fields of the contract that a rule may name, `attributes.NAME` aside, with their types."""
    return {name: hint for name, hint in _HINTS.items() if name not in _NOT_SELECTED}


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
    return _mapping(spec, path, None)


def _mapping(spec: Any, path: Sequence[str | int], among: frozenset[str] | None) -> Condition:
    """A condition on interactions of which it is known that they are of the types `among`; None: of any."""
    if not isinstance(spec, Mapping):
        raise ConditionError(path, "write a mapping of fields, such as {type: call}")
    if not spec:
        raise ConditionError(
            path, "an empty condition selects everything: name a field, such as {channel: {exists: true}}"
        )
    if len(path) > _DEEPEST:
        raise ConditionError(path[:_DEEPEST], "the condition is nested too deeply")
    for name in _DECIDE_THE_TYPE:
        if name in spec:
            types = _field(name, spec[name], (*path, name), None).types
            if types is not None:
                among = types if among is None else among & types
    if among is not None and not among:
        raise ConditionError(path, "no interaction has such a type on such a channel: this never holds")
    return _all_of([_entry(str(name), value, (*path, str(name)), among) for name, value in spec.items()])


def _entry(name: str, value: Any, path: Sequence[str | int], among: frozenset[str] | None) -> Condition:
    match name:
        case "any" | "all":
            if not isinstance(value, list) or not value:
                raise ConditionError(path, f"{name} takes a list of conditions")
            parts = [_mapping(one, (*path, index), among) for index, one in enumerate(value)]
            return _any_of(parts) if name == "any" else _all_of(parts)
        case "not":
            inner = _mapping(value, path, among)
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
            return _field(name, value, path, among)


def _field(name: str, value: Any, path: Sequence[str | int], among: frozenset[str] | None) -> Condition:
    read, hint = reader_of(name, path)
    if not isinstance(value, Mapping):
        value = {"in": value}
    if not value:
        raise ConditionError(path, f"write a value, a list, or one of {', '.join(_OPERATORS)}")
    tests: list[Test] = []
    types: frozenset[str] | None = None
    amounts = frozenset[str]()
    limits: dict[str, Number] = {}
    numeric = is_number(hint)
    words = words_of(name, hint)
    if name == "action" and among == _ONLY_CASE_UPDATES:
        words = _CASE_ACTIONS
    for operator, operand in value.items():
        where = (*path, operator) if operator != "in" else path
        try:
            match operator:
                case "in" | "not":
                    wanted = frozenset(values_of_field(name, hint, operand, words))
                    tests.append(_membership(read, wanted, operator == "in"))
                    if numeric:
                        amounts = frozenset({name})
                    if operator == "in":
                        types = _types_of(name, wanted)
                case "exists":
                    if not isinstance(operand, bool):
                        raise ConditionError(where, "exists takes true or false")
                    if not operand and len(value) > 1:
                        raise ConditionError(where, f"{name} cannot be absent and be compared: leave one out")
                    tests.append(_existence(read, operand))
                case _ if operator in _COMPARISONS:
                    if not numeric:
                        raise ConditionError(where, f"{name} is no number")
                    amounts = frozenset({name})
                    limit = limits[operator] = number(name, hint, operand)
                    tests.append(_comparison(read, _COMPARISONS[operator], limit))
                case _:
                    raise ConditionError(where, f"{operator!r} is none of {', '.join(_OPERATORS)}")
        except OperandError as error:
            raise ConditionError(where, str(error)) from None
    try:
        refuse_never(name, limits)
    except OperandError as error:
        raise ConditionError(path, str(error)) from None
    only_exists = value.keys() == {"exists"} and name in _HINTS
    return Condition(
        _conjunction(tests),
        (name,),
        types,
        frozenset() if numeric or only_exists else frozenset(BEHIND_DERIVED.get(name, (name,))),
        frozenset({name}) if only_exists or (numeric and not amounts) else frozenset(),
        amounts,
    )


def _types_of(name: str, wanted: frozenset[Any]) -> frozenset[str] | None:
    """The interaction types that can fulfil a field's being one of some values, None when any can."""
    if name == "type":
        return wanted
    if name == "channel":
        return types_on(tuple(wanted))
    return CONTACT_TYPES if name == "contact" and wanted == {True} else None


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
    read: Callable[[Interaction], Any], compare: Callable[[Any, Any], bool], limit: Number
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
