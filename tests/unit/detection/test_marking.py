"""A mark is what the conditions say, whatever is remembered of shapes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.core.detection.conditions import compile_condition
from streams.core.detection.marking import Marker
from tests.builders import call, interaction, page_view, visit

AT = "2026-03-02T10:00Z"
CONDITIONS: tuple[dict[str, Any], ...] = (
    {"channel": {"exists": True}},
    {"type": ["call", "visit"]},
    {"contact": True},
    {"contact": False},
    {"verdict": ["resolved", "unresolved"]},
    {"verdict": {"exists": True}},
    {"wait_seconds": {"above": 600}},
    {"wait_seconds": {"not": 600}},
    {"wait_seconds": [5, 600]},
    {"transfers": {"exists": True}},
    {"price_charged": {"at_least": "12.50"}},
    {"reason": "billing"},
    {"reason": {"exists": False}},
    {"attributes.plan": "gold"},
    {"attributes.plan": {"exists": True}},
    {"outcome": {"exists": True}, "wait_seconds": {"below": 600}},
    {"not": {"wait_seconds": {"below": 600}}},
    {"any": [{"treatment": "rude"}, {"transfers": {"at_least": 2}}, {"attributes.plan": "iron"}]},
    {"success": False},
)
COMPILED = [compile_condition(spec) for spec in CONDITIONS]
MARKER = Marker(COMPILED)

told = st.fixed_dictionaries(
    {},
    optional={
        "wait_seconds": st.sampled_from((0.0, 5.0, 600.0, 601.0)),
        "transfers": st.integers(0, 3),
        "outcome": st.sampled_from(("resolved", "unresolved", "unknown")),
        "reason": st.sampled_from(("billing", "tariff")),
        "treatment": st.sampled_from(("rude", "good")),
        "attributes": st.sampled_from(({"plan": "gold"}, {"plan": "iron"}, {"shoe": "7"})),
        "success": st.booleans(),
    },
)
kinds = st.sampled_from(
    (("phone", "call"), ("visit", "visit"), ("online", "page_view"), ("online", "case_update"))
)


@given(
    kinds, st.sampled_from((None, "inbound", "outbound")), st.sampled_from((None, "closed", "reopened")), told
)
def test_a_mark_is_what_the_conditions_say(
    kind: tuple[str, str], direction: str | None, action: str | None, fields: dict[str, Any]
) -> None:
    one = interaction(*kind, AT, direction=direction, action=action, **fields)  # type: ignore[arg-type]
    said = sum(1 << place for place, condition in enumerate(COMPILED) if condition.holds(one))
    assert MARKER.mark(one) == said


def test_interactions_of_one_shape_are_told_apart_by_their_amounts() -> None:
    marker = Marker([compile_condition({"wait_seconds": {"above": 600}})])
    waits = (600.0, 601.0, 5.0, None, 700.0)
    assert [marker.mark(call(AT, wait=wait)) for wait in waits] == [0, 1, 0, 0, 1]


def test_more_shapes_than_are_remembered_are_marked_alike() -> None:
    marker = Marker([compile_condition({"reason": "r7"})], shapes=3)
    assert [marker.mark(call(AT, reason=f"r{number}")) for number in range(9)] == [0] * 7 + [1, 0]


def test_a_rule_set_of_no_conditions_marks_nothing() -> None:
    marker = Marker([])
    assert [marker.mark(one) for one in (call(AT), visit(AT), page_view(AT))] == [0] * 3
    assert marker.bytes_a_mark == 1
