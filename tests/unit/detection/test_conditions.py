"""Conditions: what they select, and what they refuse."""

from typing import Any

import pytest

from schemas.vocabulary import INTERACTION_TYPES
from streams.core.detection.conditions import CONTACT_TYPES, ConditionError, compile_condition
from streams.core.facets import is_contact
from tests.builders import answer, call, case_update, interaction, mail, page_view, visit

AT = "2026-03-02T10:00Z"


@pytest.mark.parametrize(
    ("spec", "holds"),
    [
        ({"type": "call"}, True),
        ({"type": ["visit", "call"]}, True),
        ({"type": "visit"}, False),
        ({"wait_seconds": {"above": 600}}, False),
        ({"wait_seconds": {"at_least": 600}}, True),
        ({"wait_seconds": {"at_least": 100, "below": 600}}, False),
        ({"talk_seconds": {"below": 10}}, False),
        ({"talk_seconds": {"exists": False}}, True),
        ({"outcome": {"not": "abandoned"}}, True),
        ({"outcome": {"not": ["abandoned", "resolved"]}}, False),
        ({"treatment": {"not": "rude"}}, True),
        ({"not": {"type": "call"}}, False),
        ({"any": [{"type": "visit"}, {"outcome": "resolved"}]}, True),
        ({"all": [{"type": "call"}, {"outcome": "unresolved"}]}, False),
        ({"contact": True}, True),
        ({"verdict": "resolved"}, True),
        ({"attributes.plan": "gold"}, True),
        ({"attributes.shoe": {"exists": True}}, False),
        ({"price_charged": {"at_least": "12.50"}}, False),
        ({}, True),
    ],
)
def test_a_condition_holds(spec: dict[str, Any], holds: bool) -> None:
    one = call(AT, wait=600.0, ends="resolved", attributes={"plan": "gold"})
    assert compile_condition(spec).holds(one) is holds


@pytest.mark.parametrize(
    ("spec", "path", "reason"),
    [
        ({"wait_secs": 1}, ("wait_secs",), "is no field"),
        ({"type": "cal"}, ("type",), "none of call"),
        ({"outcome": {"not": "solved"}}, ("outcome", "not"), "none of abandoned"),
        ({"wait_seconds": {"over": 3}}, ("wait_seconds", "over"), "'over' is none of"),
        ({"outcome": {"above": 3}}, ("outcome", "above"), "is no number"),
        ({"wait_seconds": "long"}, ("wait_seconds",), "no number"),
        ({"success": "yes"}, ("success",), "true or false"),
        ({"reason": 5}, ("reason",), "text"),
        ({"any": []}, ("any",), "list of conditions"),
        ({"any": [{"type": "call"}, {"colour": "red"}]}, ("any", 1, "colour"), "is no field"),
        ({"talk_seconds": {"exists": 1}}, ("talk_seconds", "exists"), "true or false"),
        ({"price_charged": {"above": "a lot"}}, ("price_charged", "above"), "no number"),
        ({"type": {}}, ("type",), "write a value"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused_at_its_place(
    spec: dict[str, Any], path: tuple[str | int, ...], reason: str
) -> None:
    with pytest.raises(ConditionError, match=reason) as refused:
        compile_condition(spec)
    assert refused.value.path == path


def test_the_types_that_can_be_contacts_are_those_that_are() -> None:
    for channel, kinds in INTERACTION_TYPES.items():
        for kind in kinds:
            inbound = interaction(channel, kind, AT, direction="inbound")
            assert is_contact(inbound) is (kind in CONTACT_TYPES)


def test_the_types_of_a_condition_are_only_a_shortcut() -> None:
    several = [call(AT), mail(AT), answer(AT), visit(AT), page_view(AT), case_update("closed", AT)]
    specs: list[dict[str, Any]] = [
        {"any": [{"type": "call"}, {"type": "visit", "wait_seconds": {"exists": False}}]},
        {"contact": True, "type": ["message", "case_update"]},
        {"not": {"type": "call"}},
        {"any": [{"type": "call"}, {"verdict": "resolved"}]},
    ]
    for condition in map(compile_condition, specs):
        if condition.types is not None:
            assert not [one for one in several if condition.holds(one) and one.type not in condition.types]
    assert compile_condition(specs[1]).types == frozenset({"message"})
    assert compile_condition(specs[2]).types is None
