"""Rule files: what is refused, and where the error points; what a version stands for."""

from pathlib import Path

import pytest

from streams.rule_files import CATALOGUE, RuleProblem, compile_files, load_rules, read_rule, read_rules

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
        ("{wait_seconds} s", "{waits} s", r"the sentence names \{waits\}"),
        ("threshold", "treshold", r"r\.yaml:7: stands_when\.0: .*'treshold'"),
        ("id: long_wait", "id: Long wait", r"r\.yaml:1: id: "),
        ("action:", "title: again\naction:", r"r\.yaml:5: 'title' is given twice"),
        ("stands_when:", "stands_when: [", r"r\.yaml:\d+: "),
        (
            "action:",
            "calendar: {zone: Europe/Sofya}\naction:",
            r"r\.yaml:5: calendar\.zone: 'Europe/Sofya' is no",
        ),
        ("action:", "calendar: {country: XX}\naction:", r"r\.yaml:5: calendar\.country: "),
        (
            "action:",
            "calendar: {week: {mon: [9-17]}}\naction:",
            r"r\.yaml:5: calendar\.week\.mon\.0: write opening",
        ),
        ("action:", "calendar: {week: {mon: []}}\naction:", r"r\.yaml:5: calendar: .*never opens"),
        (
            "action:",
            'calendar: {week: {mon: ["09:00-13:00", "12:00-17:00"]}}\naction:',
            r"r\.yaml:5: calendar: the hours of mon overlap",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_field(old: str, new: str, problem: str) -> None:
    assert old in RULE
    with pytest.raises(RuleProblem, match=problem):
        read_rule(RULE.replace(old, new, 1), "r.yaml")


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULE.replace("minor", "grave"))
    (tmp_path / "b.yaml").write_text(RULE.replace("1d", "soon"))
    with pytest.raises(RuleProblem) as refused:
        load_rules(tmp_path)
    assert len(refused.value.problems) == 2


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULE)
    (tmp_path / "b.yaml").write_text(RULE)
    with pytest.raises(RuleProblem, match=r"b\.yaml: id: .*a\.yaml is called 'long_wait' already"):
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
