"""Sentences: what they may name, how values are written, and that a word which cannot be said costs nothing else."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from schemas.interaction import DAY, Interaction
from streams.catalogue.rule_files import compile_files
from streams.core.detection.detect import detect
from streams.core.detection.rule import parse_rule
from streams.core.detection.ruleset import RuleSet
from streams.core.detection.sentences import FACTS, SentenceError, check_sentence, read_sentence, said
from tests.builders import call, case_update, interaction, mail

ANN = "crm:ann"
AT = "2026-03-02T10:00Z"


def rule(case: dict[str, Any], sentence: str, **entries: Any) -> RuleSet:
    whole = {"id": "one", "title": "One", "cool_down": "1d", "sentence": sentence, "action": "Do it."}
    return compile_files([parse_rule({**whole, **entries, "stands_when": [{"severity": "minor", **case}]})])


def told(rules: RuleSet, *interactions: Interaction) -> list[str]:
    line = sorted(interactions, key=lambda one: one.position)
    return [finding.sentence for finding in detect(ANN, line, line[-1].occurred_at + DAY, rules).findings]


CALL: dict[str, Any] = {"kind": "threshold", "where": {"type": "call"}}


def test_a_sentence_may_name_an_attribute() -> None:
    rules = rule(
        CALL, "On {attributes.plan}, {attributes.shoe size}, {attributes.none}: {{so}} {attributes.a[0]}."
    )
    one = call(AT, ANN, attributes={"plan": "gold", "shoe size": "7", "a[0]": "x"})
    assert told(rules, one) == ["On gold, 7, ?: {so} x."]


def test_instants_are_written_as_people_write_them() -> None:
    rules = rule(CALL, "At {occurred_at}, by {promise_due_at}, in by {received_at}.")
    one = call(AT, ANN, promise_due_at=1_793_613_600_000_000)
    assert told(rules, one) == ["At 2026-03-02T10:00:00Z, by 2026-11-02T10:00:00Z, in by ?."]


def test_derived_fields_are_said() -> None:
    rules = rule({"kind": "threshold", "where": {"type": ["call", "case_update"]}}, "{contact}, {verdict}")
    several = call(AT, ANN), case_update("closed", "2026-03-02T11:00Z", ANN)
    assert told(rules, *several) == ["true, ?", "false, resolved"]


def test_values_that_are_instants_are_written_as_people_write_them() -> None:
    looked_at = {"type": "call", "occurred_at": {"above": 1}, "wait_seconds": {"above": 1}}
    rules = rule({"kind": "threshold", "where": looked_at}, "{values}")
    assert told(rules, call(AT, ANN, wait=600.0)) == [
        "type call, occurred at 2026-03-02T10:00:00Z, wait seconds 600"
    ]


def test_counted_values_are_written_like_fields() -> None:
    repeat = {
        "kind": "repeat",
        "where": {"type": "call"},
        "at_least": 2,
        "within": "7d",
        "distinct": "success",
    }
    several = [
        call(f"2026-03-0{day}T10:00Z", ANN, case="C", success=said) for day, said in ((2, True), (3, None))
    ]
    assert told(rule(repeat, "{values}"), *several) == ["true, ?"]


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("{wait_seconds:d}", r"names \{wait_seconds\} with a format or a conversion"),
        ("{wait_seconds:zzz}", r"names \{wait_seconds\} with a format"),
        ("{wait_seconds:{text}}", r"names \{wait_seconds\} with a format"),
        ("{text!r}", r"names \{text\} with a format or a conversion"),
        ("{", "a brace itself is written twice"),
        ("}", "a brace itself is written twice"),
        ("{}", r"names \{\}, which is neither"),
        ("{0}", r"names \{0\}, which is neither"),
        ("{span}", r"names \{span\}, which is neither a fact of threshold \(values\) nor a field"),
        ("{text.__class__}", "neither a fact"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(sentence: str, problem: str) -> None:
    with pytest.raises(SentenceError, match=problem):
        check_sentence(sentence, "threshold")


def test_an_accumulation_has_no_anchor_whose_fields_could_be_told() -> None:
    check_sentence("{count} in {span}: {rules}", "accumulation")
    with pytest.raises(
        SentenceError, match=r"\{type\}, which is no fact of accumulation \(count, rules, span\)"
    ):
        check_sentence("{type}", "accumulation")


def test_a_word_that_cannot_be_said_does_not_cost_the_others() -> None:
    def broken() -> Mapping[str, str]:
        raise OverflowError

    anchor = mail(AT, ANN, promise_due_at=2**62)
    sentence = read_sentence("{type} by {deadline}, {promise_due_at}.")
    assert said(sentence, broken, anchor) == "message by ?, ?."


PRICED: dict[str, Any] = {"price_ref": "P", "price_currency": "EUR", "case_id": "C"}
STORIES: dict[str, tuple[dict[str, Any], list[Interaction]]] = {
    "threshold": (CALL, [call(AT, ANN)]),
    "repeat": (
        {"kind": "repeat", "where": {"type": "call"}, "at_least": 2, "within": "7d", "distinct": "id"},
        [call(AT, ANN, case="C"), call("2026-03-03T10:00Z", ANN, case="C")],
    ),
    "absence": (
        {"kind": "absence", "after": {"type": "call"}, "unless": {"type": "visit"}, "within": "1h"},
        [call(AT, ANN, case="C")],
    ),
    "mismatch": (
        {
            "kind": "mismatch",
            "expected": "price_agreed",
            "actual": "price_charged",
            "same": ["price_currency"],
            "by": [{"key": "price_ref", "compare": "each"}],
            "within": "7d",
        },
        [
            interaction("online", "order", AT, ANN, price_agreed=Decimal(5), **PRICED),
            interaction("online", "payment", "2026-03-03T10:00Z", ANN, price_charged=Decimal(9), **PRICED),
        ],
    ),
    "sequence": (
        {"kind": "sequence", "first": {"type": "call"}, "then": {"type": "message"}, "within": "7d"},
        [call(AT, ANN, case="C"), mail("2026-03-03T10:00Z", ANN, case="C")],
    ),
}


@pytest.mark.parametrize("kind", STORIES)
def test_every_fact_of_a_kind_is_told(kind: str) -> None:
    case, story = STORIES[kind]
    for fact in FACTS[kind]:
        (sentence,) = told(rule(case, f"<{{{fact}}}>"), *story)
        assert "?" not in sentence, fact


def test_every_fact_of_an_accumulation_is_told() -> None:
    small = {"id": "small", "title": "S", "cool_down": "1d", "sentence": "s", "action": "a"}
    many = {**small, "id": "many", "sentence": "<{count}|{rules}|{span}>"}
    cuts = {"kind": "accumulation", "severity": "major", "of": "minor", "at_least": 2, "within": "7d"}
    rules = compile_files(
        [
            parse_rule({**small, "stands_when": [{"severity": "minor", **CALL}]}),
            parse_rule({**many, "stands_when": [cuts]}),
        ]
    )
    found = told(rules, call(AT, ANN), call("2026-03-03T10:00Z", ANN))
    assert "<2|small|1 d>" in found, found


def test_a_reference_may_stand_in_an_attribute() -> None:
    absence = {
        "kind": "absence",
        "after": {"promise_what": {"exists": True}},
        "due": "promise",
        "kept_by": ["attributes.keeps"],
    }
    rules = rule(absence, "Promised: {promise_what}.")
    promise = call(AT, ANN, id="p", promise_what="call back", promise_due_at=1_772_500_000_000_000)
    kept = call("2026-03-02T11:00Z", ANN, attributes={"keeps": "p"})
    assert told(rules, promise, call("2026-03-03T11:00Z", ANN)) == ["Promised: call back."]
    assert told(rules, promise, kept) == []
