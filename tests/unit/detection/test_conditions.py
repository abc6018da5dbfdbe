"""Conditions: what they select, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.parts import RATING_RANGES
from schemas.vocabulary import CHANNELS, INTERACTION_TYPES
from streams.core.detection.conditions import CONTACT_TYPES, ConditionError, compile_condition, field_names
from streams.core.detection.operands import RANGES, TIMES
from streams.core.facets import is_contact
from tests.builders import answer, call, case_update, interaction, mail, page_view, visit

AT = "2026-03-02T10:00Z"
DOCUMENTS = Path(schemas.__file__).parent / "json"


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
        ({"channel": {"exists": True}}, True),
        ({"type": "call", "channel": ["phone", "visit"]}, True),
        ({"sentiment": {"at_least": -1}}, False),
        ({"type": ["case_update", "order"], "action": "shipped"}, False),
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
        ({}, (), "an empty condition selects everything"),
        ({"any": [{"type": "call"}, {}]}, ("any", 1), "an empty condition"),
        ({"not": {}}, ("not",), "an empty condition"),
        ({"action": []}, ("action",), "at least one value"),
        ({"action": {"not": []}}, ("action", "not"), "at least one value"),
        ({"type": [["call"]]}, ("type",), "none of call"),
        ({"outcome": [{"a": "b"}]}, ("outcome",), "none of abandoned"),
        ({"sentiment": {"at_most": -8}}, ("sentiment", "at_most"), "-1 to 1, never -8"),
        ({"sentiment": 2}, ("sentiment",), "-1 to 1, never 2"),
        ({"transfers": 1.5}, ("transfers",), "a whole number, never 1.5"),
        ({"wait_seconds": {"below": 0}}, ("wait_seconds",), "never below 0"),
        ({"wait_seconds": {"above": float("nan")}}, ("wait_seconds", "above"), "nan is no number"),
        ({"price_charged": {"above": float("nan")}}, ("price_charged", "above"), "nan is no number"),
        ({"price_charged": "sNaN"}, ("price_charged",), "'sNaN' is no number"),
        ({"price_charged": {"below": ".inf"}}, ("price_charged", "below"), "no number"),
        ({"wait_seconds": {"above": 100, "below": 50}}, ("wait_seconds",), "never above 100 and below 50"),
        ({"price_charged": {"at_least": 5, "below": 5}}, ("price_charged",), "never at least 5 and below 5"),
        ({"outcome": {"exists": False, "in": ["resolved"]}}, ("outcome", "exists"), "absent"),
        ({"price_currency": "eur"}, ("price_currency",), "capital letters"),
        ({"promise_due_on": "tomorrow"}, ("promise_due_on",), "a date"),
        ({"type": "case_update", "action": "rezolved"}, ("action",), "'rezolved' is none of acknow"),
        (
            {"type": "case_update", "any": [{"action": "resolved"}, {"action": {"not": "rezolved"}}]},
            ("any", 1, "action", "not"),
            "'rezolved' is none of",
        ),
        ({"channel": "phone", "type": "visit"}, (), "never holds"),
        ({"contact": True, "any": [{"type": "call"}, {"type": "order"}]}, ("any", 1), "never holds"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused_at_its_place(
    spec: dict[str, Any], path: tuple[str | int, ...], reason: str
) -> None:
    with pytest.raises(ConditionError, match=reason) as refused:
        compile_condition(spec)
    assert refused.value.path == path


def test_a_condition_that_leads_back_to_itself_is_refused() -> None:
    spec: dict[str, Any] = {"type": "call"}
    spec["all"] = [spec]
    with pytest.raises(ConditionError, match="nested too deeply"):
        compile_condition(spec)


def test_numbers_have_the_ranges_of_the_contract() -> None:
    told: dict[str, tuple[Any, Any]] = {}
    for channel in CHANNELS:
        found = _numbers(json.loads((DOCUMENTS / f"{channel}.json").read_text("utf-8")))
        told |= {name: bounds for name, bounds in found.items() if bounds != (None, None)}
    told["rating_value"] = (
        min(low for low, _ in RATING_RANGES.values()),
        max(high for _, high in RATING_RANGES.values()),
    )
    assert told == RANGES


def _numbers(node: Any) -> dict[str, tuple[Any, Any]]:
    """The least and the greatest value of each number that a JSON Schema has on top."""
    properties = {**node.get("properties", {})}
    for part in node.get("$defs", {}).values():
        if "source" in part.get("properties", {}):
            properties |= part["properties"]
    found: dict[str, tuple[Any, Any]] = {}
    for name, said in properties.items():
        for option in said.get("anyOf", [said]):
            if option.get("type") in ("number", "integer"):
                found[name] = option.get("minimum"), option.get("maximum")
    return found


def test_the_instants_are_those_of_the_contract() -> None:
    assert {name for name in field_names() if name.endswith("_at")} == TIMES


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
