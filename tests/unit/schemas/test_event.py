"""The models: what holds for all of them."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from schemas.event import AnyEvent, CaseUpdate, OnlineActivity, personal_fields
from schemas.vocabulary import CHANNELS, IDENTIFIER_KINDS, INTERACTION_TYPES

REVIEWED_NOT_PERSONAL = {
    *("id", "source", "occurred_at", "follows", "channel", "type", "direction", "outcome", "treatment"),
    *("subject.reason", "subject.case_id", "subject.order_id", "subject.product", "subject.stage"),
    *("price.agreed", "price.charged", "price.currency", "price.ref"),
    *("promise.due_at", "promise.kept_ref", "promise.cancelled_ref"),
    *(
        "rating.scale",
        "complaint.stage",
        "ivr_path",
        "thread_id",
        "in_reply_to",
        "office_id",
        "ticket",
        "action",
    ),
}
"""Strings that name things, not people. Whoever adds a field decides here, or tags it in the model."""


def _string_fields(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        parts = list(_parts(field.annotation))
        inner = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        for part in inner:
            yield from _string_fields(part, f"{path}{name}.")
        if not inner and (str in parts or any(isinstance(part, str) for part in parts)):
            yield path + name


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def test_every_string_is_tagged_as_personal_or_reviewed() -> None:
    fields = {name for model in get_args(AnyEvent) for name in _string_fields(model)}
    tagged = set(personal_fields())
    assert fields - tagged == REVIEWED_NOT_PERSONAL
    assert tagged <= fields


def test_identifiers_of_the_customer_are_personal() -> None:
    tags = personal_fields()
    assert all(tags[f"customer.{kind}"] == "identifier" for kind in IDENTIFIER_KINDS)
    assert tags["text"] == tags["attributes"] == "content"
    assert tags["staff_id"] == "staff"


def test_the_models_know_the_types_of_the_vocabulary() -> None:
    found: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
    for model in get_args(AnyEvent):
        (channel,) = get_args(model.model_fields["channel"].annotation)
        found[channel] |= set(get_args(model.model_fields["type"].annotation))
    assert found == {channel: set(types) for channel, types in INTERACTION_TYPES.items()}


def test_activities_and_case_updates_differ_only_in_type_and_action() -> None:
    assert set(OnlineActivity.model_fields) == set(CaseUpdate.model_fields)


def test_every_field_says_what_it_means() -> None:
    for model in get_args(AnyEvent):
        assert [name for name, field in model.model_fields.items() if not field.description] == []
