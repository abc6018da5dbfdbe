"""The law of rule files: what is let through is evaluated without an error, and all else is refused as a problem of
the file, whatever it says and whatever customers do.
"""

from decimal import Decimal
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.findings import SEVERITIES
from schemas.interaction import DAY, Interaction
from schemas.vocabulary import INTERACTION_TYPES
from streams.catalogue.rule_files import RuleProblem, compile_files, read_rule
from streams.core.detection.calendars import HOUR
from streams.core.detection.conditions import field_names
from streams.core.detection.detect import detect
from streams.core.detection.operands import RANGES
from streams.core.detection.rule import SUBJECT_KEYS, RuleFile
from streams.core.detection.sentences import FACTS
from tests.builders import interaction

ANN = "crm:ann"
START = 20_514 * DAY  # a Monday
FIELDS = [*field_names(), "attributes.plan", "attributes.ref"]

names = st.sampled_from(FIELDS)
severities = st.sampled_from(SEVERITIES)
spans = st.sampled_from(("1h", "8h", "2d", "7d", "400d", "3660d"))
numbers = st.one_of(
    st.integers(-2, 3),
    st.sampled_from((0.5, 600, 10**400, float("nan"), float("inf"), "12.50", "NaN", "sNaN")),
)
words = st.sampled_from(
    ("call", "message", "inbound", "phone", "resolved", "closed", "rude", "gold", "C", "EUR")
)
values = st.one_of(numbers, words, st.booleans(), st.none(), st.lists(st.one_of(words, numbers), max_size=3))
tests_of_a_field = st.one_of(
    values,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.dictionaries(
        st.sampled_from(("in", "not", "above", "at_least", "below", "at_most")), values, max_size=3
    ),
)
SENSIBLE: tuple[dict[str, Any], ...] = (
    {"contact": True},
    {"type": ["call", "message"]},
    {"channel": {"exists": True}},
    {"verdict": {"exists": True}},
    {"wait_seconds": {"at_least": 1}},
    {"price_charged": {"at_least": "0.01"}},
    {"attributes.plan": {"not": "gold"}},
    {"promise_what": {"exists": True}},
)
conditions: st.SearchStrategy[Any] = st.sampled_from(SENSIBLE) | st.recursive(
    st.sampled_from(SENSIBLE) | st.dictionaries(names, tests_of_a_field, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2).map(lambda several: {"any": several}),
        st.lists(inner, min_size=1, max_size=2).map(lambda several: {"all": several}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=3,
)
PRICE_FIELDS = ("price_agreed", "price_charged") * 8
amounts = st.sampled_from((*PRICE_FIELDS, *RANGES, "reason", "occurred_at"))
KINDS: dict[str, dict[str, Any]] = {
    "threshold": {
        "where": conditions,
        "levels": st.lists(st.fixed_dictionaries({"where": conditions, "severity": severities}), max_size=2),
        "worse": st.none()
        | st.fixed_dictionaries({"earlier": conditions, "within": spans, "severity": severities}),
    },
    "repeat": {
        "where": conditions,
        "at_least": st.integers(2, 3),
        "within": spans,
        "distinct": st.none() | names,
        "per": st.lists(st.sampled_from(SUBJECT_KEYS), min_size=1, max_size=4),
        "put_right_by": st.none() | conditions,
    },
    "absence": {
        "after": conditions,
        "unless": conditions,
        "within": spans,
        "working_time": st.booleans(),
        "waiting": st.none() | st.fixed_dictionaries({"since": conditions, "until": conditions}),
        "episode": st.booleans(),
    },
    "promise": {
        "after": conditions,
        "due": st.just("promise"),
        "kept_by": st.lists(names, min_size=1, max_size=2),
    },
    "mismatch": {
        "expected": amounts,
        "actual": amounts,
        "same": st.lists(names, max_size=2),
        "by": st.lists(
            st.fixed_dictionaries({"key": names, "compare": st.sampled_from(("each", "sum"))}),
            min_size=1,
            max_size=2,
        ),
        "tolerance": st.sampled_from((0, 0.5, float("inf"))),
        "within": spans,
        "from_excess": st.none()
        | st.fixed_dictionaries(
            {"severity": severities, "percent": st.sampled_from((0, 10, float("nan"))), "units": st.just(20)}
        ),
    },
    "sequence": {
        "first": conditions,
        "then": conditions,
        "within": spans,
        "same_subject": st.booleans(),
        "last_of": st.none() | conditions,
        "anchor": st.sampled_from(("first", "then")),
        "put_right_by": st.none() | conditions,
    },
    "accumulation": {
        "of": severities,
        "at_least": st.integers(2, 3),
        "within": spans,
        "without": st.lists(severities, max_size=1),
    },
}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(st.sampled_from(sorted(KINDS)))
    kind = "absence" if shape == "promise" else shape
    said = draw(st.fixed_dictionaries(KINDS[shape]))
    named = draw(st.lists(st.sampled_from((*FACTS[kind], *FACTS[kind], *FIELDS)), max_size=3))
    form = draw(st.sampled_from(("",) * 8 + (":d", ":>9", "!r", "[0]")))
    sentence = "So: " + ", ".join(f"{{{name}{form}}}" for name in named)
    channel = draw(st.sampled_from(("anchor", "first", "last")))
    return {"kind": kind, "severity": draw(severities), "sentence": sentence, "channel": channel, **said}


def let_through(name: str, case: dict[str, Any]) -> RuleFile | None:
    """The rule of a case, None where it is refused as a problem of its file; any other error is the law's breach."""
    rule = {
        "id": name,
        "title": name,
        "cool_down": 0,
        "sentence": "So.",
        "action": "Do.",
        "stands_when": [case],
    }
    try:
        return read_rule(yaml.safe_dump(rule, sort_keys=False, allow_unicode=True), f"{name}.yaml")
    except RuleProblem:
        return None


@st.composite
def interactions(draw: st.DrawFn) -> list[Interaction]:
    """A customer about whom everything is known now and then, at times that meet the boundaries."""
    made: list[Interaction] = []
    for number in range(draw(st.integers(2, 6))):
        channel = draw(st.sampled_from(sorted(INTERACTION_TYPES)))
        kind = draw(st.sampled_from(INTERACTION_TYPES[channel]))
        at = START + draw(st.sampled_from((0, 1, 7, 400))) * DAY + draw(st.sampled_from((0, 1, 9))) * HOUR
        said: dict[str, Any] = draw(
            st.fixed_dictionaries(
                {"case_id": st.just("C"), "wait_seconds": st.sampled_from((0.0, 600.0, 1e9))},
                optional={
                    "direction": st.sampled_from(("inbound", "outbound")),
                    "outcome": st.sampled_from(("resolved", "unresolved", "unknown")),
                    "treatment": st.sampled_from(("rude", "professional")),
                    "order_id": st.sampled_from(("C", "O")),
                    "reason": st.just("billing"),
                    "price_agreed": st.sampled_from((Decimal(5), Decimal("999999999999999999.999999"))),
                    "price_charged": st.sampled_from((Decimal(9), Decimal(-4), Decimal("0.000001"))),
                    "price_currency": st.just("EUR"),
                    "price_ref": st.sampled_from(("P", "C")),
                    "promise_what": st.just("call back"),
                    "promise_due_at": st.sampled_from((START + DAY, START - DAY)),
                    "promise_due_on": st.just("2026-03-03"),
                    "promise_kept_ref": st.sampled_from(("i0", "i1")),
                    "sentiment": st.sampled_from((-1.0, 0.25)),
                    "transfers": st.integers(0, 3),
                    "success": st.booleans(),
                    "action": st.sampled_from(("closed", "reopened", "login")),
                    "text": st.text(max_size=5),
                    "attributes": st.sampled_from(({"plan": "gold"}, {"ref": "i0", "plan": ""})),
                    "phone": st.just("+359888123456"),
                },
            )
        )
        made.append(interaction(channel, kind, at, ANN, id=f"i{number}", **said))
    return sorted(made, key=lambda one: one.position)


NAMES = ("one", "two", "three")
PRICES = [
    interaction(
        "online", "order", START, ANN, id="i0", price_agreed=Decimal(5), reason="billing", case_id="C"
    ),
    interaction(
        "online",
        "payment",
        START + DAY,
        ANN,
        id="i1",
        price_charged=Decimal(9),
        reason="billing",
        case_id="C",
    ),
]
CALLS = [
    interaction("phone", "call", START + n * DAY, ANN, id=f"i{n}", attributes={"ref": "i0"}) for n in range(2)
]
CALL: dict[str, Any] = {"kind": "threshold", "severity": "minor", "where": {"type": "call"}}
KEPT: dict[str, Any] = {
    "kind": "absence",
    "severity": "minor",
    "after": {"type": "call"},
    "due": "promise",
    "kept_by": ["attributes.ref"],
}
BY_CASE = [{"key": "case_id", "compare": "each"}]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(cases(), min_size=1, max_size=3), interactions(), st.sampled_from((0, 3, 40, 5_000)))
@example([{**CALL, "sentence": "{attributes.ref}"}], CALLS, 3)
@example([{**CALL, "sentence": "{wait_seconds:d}"}], CALLS, 3)
@example(
    [
        {
            **CALL,
            "kind": "absence",
            "after": {"type": "call"},
            "due": "promise",
            "kept_by": ["verdict"],
            "where": None,
        }
    ],
    CALLS,
    3,
)
@example(
    [{"kind": "mismatch", "severity": "minor", "expected": "reason", "actual": "price_charged", "by": BY_CASE,
      "within": "7d"}],
    PRICES,
    3,
)  # fmt: skip
@example([{**CALL, "where": {"price_charged": {"above": "NaN"}}}], PRICES, 3)
@example(
    [
        CALL,
        {
            "kind": "accumulation",
            "severity": "severe",
            "of": "minor",
            "at_least": 2,
            "within": "7d",
            "sentence": "{text}",
        },
    ],
    CALLS,
    3,
)
def test_a_rule_that_is_let_through_is_evaluated_without_an_error(
    several: list[dict[str, Any]], line: list[Interaction], days: int
) -> None:
    rules = [rule for name, case in zip(NAMES, several, strict=False) if (rule := let_through(name, case))]
    assert detect(ANN, line, START + days * DAY, compile_files(rules)) is not None


def test_most_rules_of_the_law_are_let_through() -> None:
    """A law about rules that are all refused would say nothing."""
    counted = {"let through": 0, "refused": 0}
    found: list[str] = []

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(), interactions())
    def count(case: dict[str, Any], line: list[Interaction]) -> None:
        rule = let_through("one", case)
        counted["refused" if rule is None else "let through"] += 1
        if rule is not None:
            now = START + 5_000 * DAY
            found.extend(finding.rule for finding in detect(ANN, line, now, compile_files([rule])).findings)

    count()
    assert counted["let through"] > 20, counted
    assert len(found) > 5, counted
