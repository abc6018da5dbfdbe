"""Which fields hold personal data: the tag `x-personal-data` of the schema.

`identifier` names a person; `content` is what a person said or wrote, or free data that may hold anything;
`staff` names an employee. Masking and erasure ask `schemas.event.personal_fields`.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

PersonalKind = Literal["identifier", "content", "staff"]

TAG: Final = "x-personal-data"


def personal(kind: PersonalKind) -> Any:
    """Metadata of a field (inside `Annotated`) that tags it in the generated JSON Schema."""
    return Field(json_schema_extra={TAG: kind})


def tagged_fields(model: type[BaseModel], path: str = "") -> dict[str, PersonalKind]:
    """The tagged fields of a model and of the models inside it, by dotted path."""
    found: dict[str, PersonalKind] = {}
    for name, field in model.model_fields.items():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= tagged_fields(part, f"{path}{name}.")
        for part in (field, *field.metadata, *_parts(field.annotation)):
            extra = getattr(part, "json_schema_extra", None) if isinstance(part, FieldInfo) else None
            if isinstance(extra, dict) and TAG in extra:
                found[path + name] = extra[TAG]
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside its brackets."""
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)
