"""The fast road into the contract: msgspec structs generated from the models of `schemas.event`.

Pydantic takes two to three times as long as msgspec for a typical event. So the structs here decode the bytes
first. They accept only what the models accept, with the same values, and leave every doubt to the models:
what they refuse is not yet wrong. The models stay the only definition; tests/properties holds the two against
each other.

Times, money and `due_at` are still text in a struct (`schemas.codec` reads them). Patterns run as Python's
`re`, which is stricter here than the models' own engine, never laxer.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
import msgspec
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from schemas.event import CaseUpdate, EmailEvent, Event, OnlineActivity, PhoneEvent, VisitEvent
from schemas.values import NO_CONTROLS, NO_NUL

EVENTS: Final[dict[str, type[BaseModel]]] = {
    "phone": PhoneEvent,
    "email": EmailEvent,
    "visit": VisitEvent,
    "online": OnlineActivity,
}
CASE_UPDATES: Final[dict[str, type[BaseModel]]] = {"online": CaseUpdate}
"""They share a channel with the activities, and msgspec goes by one tag: so they have their own decoder."""

_MAX_INT: Final = 2**63 - 1
"""The greatest bound that msgspec knows; a greater `revision` goes to the model."""

_ONLY_CONTROLS: Final = (NO_CONTROLS, NO_NUL)
_CONTROL_ESCAPE: Final = re.compile(rb"\\(?:[bfnrt]|u00[017])|\x7f")
"""Finds each control character that the strings of a JSON text hold, and sometimes more."""
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_CASE_UPDATE: Final = b'"case_update"'


def decode_fast(value: bytes) -> Any:
    """The event as a struct with the attributes of its model; raise ValueError when the models must decide.

    Raw control characters are not JSON, so only a value with escapes (or DEL) needs the patterns that look for them,
    and it does not where all of them are in the text: most are the ends of its lines.
    """
    try:
        event = _decode_event(value)
    except ValueError:
        if _CASE_UPDATE not in value:
            raise
        event = _decode_case_update(value)
    if (b"\\" in value or b"\x7f" in value) and _may_hold_controls(value, event.text):
        return (_decode_careful_case_update if _CASE_UPDATE in value else _decode_careful_event)(value)
    return event


def _may_hold_controls(value: bytes, text: str | None) -> bool:
    """Whether strings of an event may hold control characters, other than its text, which may."""
    escapes = len(_CONTROL_ESCAPE.findall(value))
    return escapes > 0 and (text is None or len(_CONTROL.findall(text)) != escapes)


def decode_document(document: dict[str, Any]) -> Any:
    """`decode_fast` of an event that is a document already, out of an envelope; raises as that does.

    It is written as JSON once more, so that there is one fast road and not two. An infinity (`1e400`) would
    be written as null, so a null leaves the event to the models.
    """
    try:
        value = _encode(document)
    except (OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if b"null" in value:
        raise ValueError("perhaps an infinity")
    return decode_fast(value)


class _NoChannel(msgspec.Struct, tag_field="channel", tag=""):
    """Makes a union of one channel's struct, so that `channel` is required; never valid itself."""

    def __post_init__(self) -> None:
        raise ValueError("no channel")


def struct_decoder(models: dict[str, type[BaseModel]], careful: bool) -> msgspec.json.Decoder[Any]:
    """A decoder of one model for each channel; `careful` checks the patterns against control characters too."""
    structs = tuple(_struct(model, careful, channel) for channel, model in models.items())
    if len(structs) == 1:
        structs = (*structs, _NoChannel)  # A struct that stands alone would be taken without its tag.
    return msgspec.json.Decoder(Union[structs])  # noqa: UP007


def fields_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a model in the order of its struct: first those that events of every channel have, in the order
    of `schemas.event.Event`, then `type`, then its own. `channel` is the tag.
    """
    order = [*Event.model_fields, "type"] if issubclass(model, Event) else []
    order += [name for name in model.model_fields if name not in order and name != "channel"]
    return tuple(order)


Reader = Callable[[Any], tuple[Any, ...]]
"""Gives the values of an event, and of the objects in it, in the order of `fields_of`."""

values_of_struct: Final[Reader] = msgspec.structs.astuple
"""The `Reader` of an event of the fast road: it is structs all through."""


def values_of_model(model: BaseModel) -> tuple[Any, ...]:
    """The `Reader` of an event that the models decided: it is models all through."""
    return tuple(getattr(model, name) for name in fields_of(type(model)))


@cache
def _struct(model: type[BaseModel], careful: bool, channel: str | None = None) -> Any:
    fields: list[Any] = []
    for name in fields_of(model):
        field = model.model_fields[name]
        wire = _wire_type(_annotated(field), careful)
        fields.append((name, wire) if field.is_required() else (name, wire, field.default))
    namespace: dict[str, Any] = {} if channel is None else {"channel": channel}
    checks = [check.func for check in model.__pydantic_decorators__.model_validators.values()]
    if checks:
        namespace["__post_init__"] = checks[0] if len(checks) == 1 else _all_of(checks)
    return msgspec.defstruct(
        f"Wire{model.__name__}",
        fields,
        namespace=namespace,
        tag_field=channel and "channel",
        tag=channel,
        forbid_unknown_fields=True,
        kw_only=True,  # So that an optional field may stand before a required one.
        gc=False,
    )


def _all_of(checks: list[Callable[[Any], Any]]) -> Callable[[Any], None]:
    """The models' own checks across fields; they raise ValueError, which msgspec reports as its own error."""

    def post_init(self: Any) -> None:
        for check in checks:
            check(self)

    return post_init


def _annotated(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _wire_type(annotation: Any, careful: bool) -> Any:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        limits = dict(_limits(metadata, careful))
        wire = _wire_type(inner, careful)
        return Annotated[wire, msgspec.Meta(**limits)] if limits else wire
    if origin in (Union, UnionType):
        return Union[tuple(_wire_type(option, careful) for option in get_args(annotation))]  # noqa: UP007
    if origin is dict:
        key, value = (_wire_type(part, careful) for part in get_args(annotation))
        return dict[key, value]  # type: ignore[valid-type]
    if origin is Literal or annotation in (str, int, float, bool, type(None)):
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation, careful)
    raise TypeError(
        f"the fast road cannot express {annotation!r}; add it here or leave the model out of EVENTS"
    )


def _limits(metadata: list[Any], careful: bool) -> Iterator[tuple[str, Any]]:
    """The constraints that narrow; what converts (validators) or describes (schema, tags) is left to the
    codec."""
    for item in metadata:
        match item:
            case FieldInfo():
                yield from _limits(item.metadata, careful)
            case StringConstraints():
                if item.min_length is not None:
                    yield "min_length", item.min_length
                if item.max_length is not None:
                    yield "max_length", item.max_length
                if isinstance(item.pattern, str) and (careful or item.pattern not in _ONLY_CONTROLS):
                    yield "pattern", item.pattern.removesuffix("$") + r"\Z"
            case annotated_types.Ge(ge=bound):
                yield "ge", bound
            case annotated_types.Le(le=bound):
                yield "le", min(bound, _MAX_INT) if isinstance(bound, int) else bound
            case annotated_types.MaxLen(max_length=longest):
                yield "max_length", longest
            case annotated_types.BaseMetadata():
                raise TypeError(f"the fast road cannot express {item!r}; add it here")


_encode: Final = msgspec.json.Encoder().encode
_decode_event: Final = struct_decoder(EVENTS, careful=False).decode
_decode_careful_event: Final = struct_decoder(EVENTS, careful=True).decode
_decode_case_update: Final = struct_decoder(CASE_UPDATES, careful=False).decode
_decode_careful_case_update: Final = struct_decoder(CASE_UPDATES, careful=True).decode
