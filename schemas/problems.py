"""What is wrong with an event, in words for the owner of the upstream system.

Every problem names the field by its path in the event and says what is expected. Values are never repeated,
since they may be personal; neither are field names that do not look like field names.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.event import AnyEvent
from schemas.values import CURRENCY_PATTERN, MONEY_PATTERN, NO_CONTROLS, NO_NUL, REASON_PATTERN

MAX_PROBLEMS: Final = 8
"""Problems that one message spells out; the rest are counted."""

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_NUMBER_IN_NAME: Final = re.compile(r"[0-9]{4,}")

_MONEY: Final = 'expected a decimal string such as "12.50", at most 18 digits before and 6 after the point'
_TIME: Final = 'expected an RFC 3339 time with an offset, such as "2026-03-01T10:00:00+02:00"'

_PATTERNS: Final[dict[str, str]] = {
    MONEY_PATTERN: _MONEY,
    CURRENCY_PATTERN: 'expected an ISO 4217 code of three capital letters such as "EUR"',
    REASON_PATTERN: 'expected a dotted taxonomy such as "billing.overcharge"',
    NO_CONTROLS: "contains a control character",
    NO_NUL: "contains a NUL character",
}

_STRINGS: Final[dict[str, str]] = {
    "agreed": _MONEY,
    "charged": _MONEY,
    "occurred_at": _TIME,
    "due_at": _TIME,
}
"""Fields whose type is a string of a certain form; who sends a number needs to know which."""

_WORDS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is required",
    "string_type": lambda _: "expected a string",
    "int_type": lambda _: "expected a whole number",
    "int_from_float": lambda _: "expected a whole number",
    "float_type": lambda _: "expected a number",
    "bool_type": lambda _: "expected true or false",
    "dict_type": lambda _: "expected an object",
    "model_type": lambda _: "expected an object",
    "model_attributes_type": lambda _: "expected an object",
    "finite_number": lambda _: "expected a finite number",
    "greater_than_equal": lambda ctx: f"must be {_plain(ctx['ge'])} or more",
    "less_than_equal": lambda ctx: f"must be {_plain(ctx['le'])} or less",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda ctx: f"must have at most {ctx['max_length']} characters",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} entries",
    "literal_error": lambda ctx: f"expected {ctx['expected']}",
    "union_tag_invalid": lambda ctx: f"expected {ctx['expected_tags']}",
    "union_tag_not_found": lambda _: "is required",
    "string_pattern_mismatch": lambda ctx: _PATTERNS.get(ctx["pattern"], "does not have the expected form"),
}


def explain(error: ValidationError) -> str:
    """All problems as one line: `price.charged: expected a decimal string ...; customer: is required`."""
    details = error.errors(include_url=False, include_input=False)
    shown = [_problem(detail) for detail in details[:MAX_PROBLEMS]]
    if len(details) > MAX_PROBLEMS:
        shown.append(f"and {len(details) - MAX_PROBLEMS} more")
    return "; ".join(shown)


def _problem(detail: ErrorDetails) -> str:
    kind = detail["type"]
    path = _path(detail)
    if kind == "extra_forbidden":
        return f"{'.'.join(map(_shown, path))}: unknown field; {_advice(path, detail['loc'])}"
    words = _WORDS.get(kind)
    reason = words(detail.get("ctx", {})) if words else detail["msg"]
    if kind == "string_type" and path:
        reason = _STRINGS.get(path[-1], reason)
    name = ".".join(map(_shown, path)) or "event"
    return f"{name}: {reason}"


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def _path(detail: ErrorDetails) -> tuple[str, ...]:
    """The path in the event: the location without the tags of the union, and with the tag's field where it
    failed."""
    loc = tuple(str(part) for part in detail["loc"] if part != "[key]")
    if detail["type"].startswith("union_tag"):
        return ("type",) if loc else ("channel",)
    return loc[2:] if loc[:1] == ("online",) else loc[1:]


def _shown(part: str) -> str:
    looks_like_a_name = _FIELD_NAME.fullmatch(part) and not _NUMBER_IN_NAME.search(part)
    return part if looks_like_a_name else "(a name not shown)"


def _advice(path: tuple[str, ...], loc: tuple[int | str, ...]) -> str:
    known = _fields_at(tuple(str(part) for part in loc[:-1]))
    near = difflib.get_close_matches(path[-1][:80], known, n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else "free data goes to attributes"


def _fields_at(loc: tuple[str, ...]) -> Iterable[str]:
    """The field names of the object at a location, tags included; empty where there is no such object."""
    model = _model_of(loc)
    for name in loc[2:] if loc[:1] == ("online",) else loc[1:]:
        field = model.model_fields.get(name) if model else None
        model = (
            next(filter(_is_model, (field.annotation, *get_args(field.annotation))), None) if field else None
        )
    return model.model_fields if model else ()


def _model_of(loc: tuple[str, ...]) -> type[BaseModel] | None:
    candidates: Iterable[type[AnyEvent]] = get_args(AnyEvent)
    wanted = loc[:2] if loc[:1] == ("online",) else loc[:1]
    for model in candidates:
        tags = [get_args(model.model_fields[tag].annotation) for tag in ("channel", "type")]
        if wanted and all(value in values for value, values in zip(wanted, tags, strict=False)):
            return model
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
