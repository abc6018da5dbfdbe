"""docs/rules.md says what the code does: kinds and their entries, fields, facts, the example, the labels."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from schemas.interaction import DAY
from streams import cli
from streams.core.detection.conditions import compile_condition, field_names, reader_of
from streams.core.detection.operands import words_of
from streams.core.detection.rule import Case, SequenceCase
from streams.core.detection.sentences import FACTS
from streams.history.outcome_labels import parse_labels

DOCUMENT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text("utf-8")
CASES: tuple[type[BaseModel], ...] = get_args(get_args(Case)[0])
COMMON = set.intersection(*(set(case.model_fields) for case in CASES)) - {"kind"}
QUOTED = re.compile(r"`([^`]+)`")


def rows(table: str) -> list[list[str]]:
    """The cells of the table that is marked so, without its head."""
    _, _, behind = DOCUMENT.partition(f"<!-- {table} -->\n")
    lines = behind[: behind.index("\n\n")].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def block(language: str, holding: str) -> str:
    """The one code block of a language that holds a text."""
    found = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    (text,) = [one for one in found if holding in one]
    return str(text)


def kind_of(case: type[BaseModel]) -> str:
    (kind,) = get_args(case.model_fields["kind"].annotation)
    return str(kind)


def documented_cases() -> dict[str, dict[str, tuple[str, str]]]:
    """By kind and entry: what it says, and what holds if it is absent."""
    told: dict[str, dict[str, tuple[str, str]]] = {}
    for kind, entry, says, absent in rows("cases"):
        if kind:
            entries = told.setdefault(kind.strip("`"), {})
        else:
            entries[entry.strip("`")] = says, absent
    return told


def test_every_entry_of_every_kind_is_documented_and_no_other() -> None:
    expected = {kind_of(case): set(case.model_fields) - COMMON - {"kind"} for case in CASES}
    assert {kind: set(entries) for kind, entries in documented_cases().items()} == expected


def test_what_all_kinds_take_is_named() -> None:
    _, _, behind = DOCUMENT.partition("Each entry of `stands_when` is a case")
    assert set(QUOTED.findall(behind[: behind.index("<!-- cases -->")])) >= COMMON


@pytest.mark.parametrize("case", CASES, ids=kind_of)
def test_required_is_what_a_file_must_say(case: type[BaseModel]) -> None:
    told = documented_cases()[kind_of(case)]
    required = {name for name, field in case.model_fields.items() if field.is_required()} - COMMON - {"kind"}
    assert {name for name, (_, absent) in told.items() if absent == "required"} == required
    flags = {
        name: str(field.default).lower()
        for name, field in case.model_fields.items()
        if isinstance(field.default, bool)
    }
    assert {name: told[name][1] for name in flags} == flags


@pytest.mark.parametrize("case", CASES, ids=kind_of)
def test_what_an_entry_is_made_of_is_named(case: type[BaseModel]) -> None:
    for name, field in case.model_fields.items():
        for part in models_in(field.annotation):
            shape = f"`{{{', '.join(part.model_fields)}}}`"
            assert shape in documented_cases()[kind_of(case)][name][0]


def models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def test_models_in_entries_are_found_at_all() -> None:
    assert sum(len(models_in(field.annotation)) for case in CASES for field in case.model_fields.values()) > 4


def test_the_default_anchor_of_a_sequence_is_the_documented_one() -> None:
    default = SequenceCase.model_fields["anchor"].default
    assert documented_cases()["sequence"]["anchor"][1] == f"`{default}`"


def test_every_field_of_a_condition_is_documented_once() -> None:
    named = [name for fields, _ in rows("fields")[:-1] for name in QUOTED.findall(fields)]
    assert sorted(named) == field_names()


def test_the_words_that_a_field_takes_are_the_contracts() -> None:
    for fields, takes in rows("fields"):
        for name in QUOTED.findall(fields):
            words = words_of(name, reader_of(name)[1])
            if name == "type":
                assert set(QUOTED.findall(takes)) < words
            else:
                assert set(QUOTED.findall(takes)) - {"exists"} == words, name


def test_every_field_can_be_compared_as_documented() -> None:
    kinds = {"true, false": True, "text": "2026-03-01", "numbers": 1}
    for fields, takes in rows("fields"):
        (value,) = [kinds[kind] for kind in kinds if takes.startswith(kind)] or QUOTED.findall(takes)[:1]
        for name in QUOTED.findall(fields.replace("`attributes.NAME`", "")):
            compile_condition({name: "EUR" if name == "price_currency" else value})
            if takes.startswith("numbers"):
                compile_condition({name: {"at_least": value}})


def test_every_fact_of_every_kind_is_documented_and_no_other() -> None:
    told = {
        kind.strip("`"): {fact[2:-2] for fact in re.findall(r"`{\w+}`", facts)}
        for kind, facts in rows("facts")
    }
    assert told == {kind: set(facts) for kind, facts in FACTS.items()}


def test_the_example_passes_its_check_with_the_answer_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for holding in (
        "# my-rules/cancelled_order.yaml\n",
        "# my-rules/fixtures/cancelled_order/boundary.yaml\n",
    ):
        file = Path(holding[2:-1])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block("yaml", holding), "utf-8")
    command, answer = block("console", "rules check my-rules").splitlines()[:2]
    assert cli.run(shlex.split(command)[2:]) == 0
    assert capsys.readouterr().out.splitlines() == [answer]


def test_the_labels_that_are_shown_can_be_read() -> None:
    labels = parse_labels(block("json", '"what"').encode().splitlines(), "labels.jsonl")
    assert [label.what for label in labels] == ["cancelled", "regulator"]
    assert labels[1].when - labels[0].when == 3 * DAY + 5 * 3_600_000_000 + 35 * 60_000_000
