"""Rule files: what is refused, and where the error points; what a version stands for."""

from pathlib import Path

import pytest

from streams.catalogue.rule_files import (
    CATALOGUE,
    RuleProblem,
    compile_files,
    load_rules,
    read_rule,
    read_rules,
)

RULE = """\
id: long_wait
title: A long wait
cool_down: 1d
sentence: "Waited {wait_seconds} s."
action: Apologise.
stands_when:
  - kind: threshold
    severity: minor
    where: {wait_seconds: {above: 600}}
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("cool_down: 1d", "cool_down: soon", r"r\.yaml:3: cool_down: 'soon' is not a duration"),
        ("title: A long wait\n", "", r"r\.yaml:1: title: is missing"),
        ("action:", "acton:", r"r\.yaml:5: acton: there is no such entry"),
        ("minor", "grave", r"r\.yaml:8: stands_when\.0\.severity: Input should be"),
        ("wait_seconds: {", "waits: {", r"r\.yaml:9: stands_when\.0\.where\.waits: 'waits' is no field"),
        ("{wait_seconds} s", "{waits} s", r"r\.yaml:4: sentence: the sentence names \{waits\}"),
        ("threshold", "treshold", r"r\.yaml:7: stands_when\.0: .*'treshold'"),
        ("id: long_wait", "id: Long wait", r"r\.yaml:1: id: "),
        ("action:", "title: again\naction:", r"r\.yaml:5: 'title' is given twice"),
        ("stands_when:", "stands_when: [", r"r\.yaml:\d+: "),
        (
            "{wait_seconds} s",
            "{wait_seconds:d} s",
            r"r\.yaml:4: sentence: the sentence names \{wait_seconds\} with",
        ),
        ("{wait_seconds} s", "{wait_seconds s", r"r\.yaml:4: sentence: expected '}' before end"),
        (
            "{wait_seconds} s",
            "{span} s",
            r"r\.yaml:4: sentence: the sentence names \{span\}, which is neither",
        ),
        (
            "    severity:",
            '    sentence: "Waited {span}."\n    severity:',
            r"r\.yaml:8: stands_when\.0\.sentence: the sentence names \{span\}",
        ),
        ("cool_down: 1d", "cool_down: 3661d", r"r\.yaml:3: cool_down: a duration is 3660d at most"),
        (
            "cool_down: 1d",
            "cool_down: 9999999999999d",
            r"r\.yaml:3: cool_down: .* longer than a duration can be",
        ),
        ("action:", "calendar: {zone: UTC}\naction:", r"r\.yaml:5: calendar: no case counts working time"),
        (
            "action:",
            'calendar: {holidays: ["2026-02-30"]}\naction:',
            r"r\.yaml:5: calendar\.holidays\.0: write a date that exists",
        ),
        (
            "action:",
            "calendar: {week: {mon: [9-17]}}\naction:",
            r"r\.yaml:5: calendar\.week\.mon\.0: write opening",
        ),
        ("action:", "calendar: {week: {mon: []}}\naction:", r"r\.yaml:5: calendar: .*never opens"),
        (
            "action:",
            'calendar: {week: {mon: ["09:00-13:00", "12:00-17:00"]}}\naction:',
            r"r\.yaml:5: calendar\.week\.mon: the hours overlap",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_field(old: str, new: str, problem: str) -> None:
    assert old in RULE
    with pytest.raises(RuleProblem, match=problem):
        read_rule(RULE.replace(old, new, 1), "r.yaml")


BY = "by: [{key: price_ref, compare: each}]"
HEAD = RULE.partition("  - kind:")[0].replace("{wait_seconds}", "so many")


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (
            "kind: repeat, where: {type: call}, at_least: 3, within: 0d",
            r"0\.within: no time at all: write a duration above zero",
        ),
        (
            "kind: repeat, where: {type: call}, at_least: 3, within: 999999999d",
            r"0\.within: a duration is 3660d at most",
        ),
        (
            "kind: repeat, where: {type: call}, at_least: 3, within: 7d, per: []",
            r"0\.per: List should have at least 1",
        ),
        (
            "kind: accumulation, of: minor, at_least: 3, within: 7d, without: [severe, minor]",
            r"0\.without: minor is what it counts",
        ),
        (
            "kind: mismatch, expected: reason, actual: price_charged, within: 7d, BY",
            r"0\.expected: 'reason' holds no amount; write one of duration_seconds, .*price_agreed",
        ),
        (
            "kind: mismatch, expected: price_agreed, actual: occurred_at, within: 7d, BY",
            r"0\.actual: 'occurred_at' holds no amount",
        ),
        (
            "kind: mismatch, expected: price_agreed, actual: price_agreed, within: 7d, BY",
            r"0\.actual: an amount is never above itself",
        ),
        (
            "kind: mismatch, expected: price_agreed, actual: price_charged, within: 7d, "
            "BY, from_excess: {severity: severe, percent: .inf, units: 1}",
            r"0\.from_excess\.percent: Input should be a finite number",
        ),
        (
            "kind: absence, after: {promise_what: {exists: true}}, due: promise, kept_by: [verdict]",
            r"0\.kept_by\.0: 'verdict' cannot hold the id of an interaction",
        ),
        (
            "kind: absence, after: {type: form}, unless: {type: call}, due: promise, working_time: true",
            r"0: working_time counts within",
        ),
        (
            "kind: absence, after: {type: form}, unless: {type: call}, within: 1000d, working_time: true",
            r"0\.within: with the hours of the calendar that takes more than 3660d",
        ),
        ("kind: threshold, where: {}", r"0\.where: an empty condition"),
        ("kind: threshold, where: {any: [{action: []}]}", r"0\.where\.any\.0\.action: .* at least one value"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused_at_its_place(case: str, problem: str) -> None:
    with pytest.raises(RuleProblem, match=r"^r\.yaml:7: stands_when\." + problem):
        read_rule(f"{HEAD}  - {{severity: minor, {case.replace('BY', BY)}}}\n", "r.yaml")


@pytest.mark.parametrize(
    ("calendar", "problem"),
    [
        ("{zone: Europe/Sofya}", r"r\.yaml:8: calendar\.zone: 'Europe/Sofya' is no"),
        ("{country: XX}", r"r\.yaml:8: calendar\.country: "),
    ],
)
def test_a_calendar_that_is_unknown_is_refused_at_its_place(calendar: str, problem: str) -> None:
    case = "kind: absence, severity: minor, after: {type: form}, unless: {type: call}, within: 8h"
    with pytest.raises(RuleProblem, match=problem):
        read_rule(f"{HEAD}  - {{{case}, working_time: true}}\ncalendar: {calendar}\n", "r.yaml")


def test_two_cases_with_one_name_are_told_at_the_second() -> None:
    case = "  - {NAMEkind: threshold, severity: minor, where: {type: call}}\n"
    named = case.replace("NAME", "name: a, ")
    with pytest.raises(
        RuleProblem, match=r"r\.yaml:8: stands_when\.1\.name: 'a' is the name of stands_when\.0"
    ):
        read_rule(HEAD + named + named, "r.yaml")
    nameless = case.replace("NAME", "")
    with pytest.raises(
        RuleProblem, match=r"r\.yaml:8: stands_when\.1: 'default' is the name of stands_when\.0"
    ):
        read_rule(HEAD + nameless + nameless, "r.yaml")


@pytest.mark.parametrize(
    ("tail", "problem"),
    [
        (b"# caf\xe9 \xff\n", r"a\.yaml:10: is not text in UTF-8: .*; save it as UTF-8$"),
        (b"# \x00\n", r"a\.yaml:10: the character U\+0000 cannot stand here; take it out$"),
    ],
)
def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path, tail: bytes, problem: str) -> None:
    (tmp_path / "a.yaml").write_bytes(RULE.encode() + tail)
    with pytest.raises(RuleProblem, match=problem):
        load_rules(tmp_path)


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULE.replace("minor", "grave"))
    (tmp_path / "b.yaml").write_text(RULE.replace("1d", "soon"))
    with pytest.raises(RuleProblem) as refused:
        load_rules(tmp_path)
    assert len(refused.value.problems) == 2


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULE)
    (tmp_path / "b.yaml").write_text("# the same\n" + RULE)
    with pytest.raises(RuleProblem, match=r"b\.yaml:2: id: .*a\.yaml is called 'long_wait' already"):
        load_rules(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleProblem, match="no such folder"):
        load_rules(tmp_path / "nowhere")


def test_a_version_is_that_of_the_content_not_of_the_layout() -> None:
    one = compile_files([read_rule(RULE, "r.yaml")])
    same = compile_files([read_rule("# a comment\n" + RULE.replace("600", "600.0"), "r.yaml")])
    other = compile_files([read_rule(RULE.replace("600", "601"), "r.yaml")])
    assert one.versions["long_wait"] != other.versions["long_wait"]
    assert one.version != other.version
    assert compile_files([read_rule("# a comment\n" + RULE, "r.yaml")]).version == one.version
    assert same.rules[0].stands_when == one.rules[0].stands_when


def test_a_rule_that_is_not_enabled_is_read_and_not_in_force(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULE + "enabled: false\n")
    assert not load_rules(tmp_path).rules


def test_the_files_that_ship_are_named_after_their_rules() -> None:
    files = sorted(CATALOGUE.glob("*.yaml"))
    assert [file.stem for file in files] == [rule.id for rule in read_rules(files)]
