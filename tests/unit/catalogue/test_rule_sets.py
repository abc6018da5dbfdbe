"""Rule files that are strange in themselves, and records that are: refused by name, whatever they hold."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.interaction import DAY
from schemas.rule_sets import RuleFiles, decode_rules, encode_rules
from streams.catalogue.rule_files import CATALOGUE, RuleProblem, Unreadable, read_rule, rule_files
from streams.catalogue.rule_sets import NO_RULES, compile_record, read_folder, told_version, validated

STRANGE = {
    "a key that is a list": "? [a, b]\n: c\n",
    "a key that is a set": "? !!set {a}\n: b\n",
    "no number": "id: !!int x\n",
    "no fraction": "id: !!float abc\n",
    "no truth value": "id: !!bool perhaps\n",
    "no date": "id: !!timestamp 2001-99-99\n",
    "a number of 5,000 digits": "id: " + "9" * 5_000 + "\n",
    "nested beyond all measure": "id: " + "[" * 2_000 + "]" * 2_000 + "\n",
    "two documents": "--- a\n--- b\n",
    "itself": "&a {id: *a}\n",
    "a version of YAML that is none": "%YAML 9.9\n---\nid: x\n",
    "nothing": "",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_strange_yaml_is_a_problem_of_its_file(text: str) -> None:
    with pytest.raises(RuleProblem, match=r"^strange\.yaml:"):
        read_rule(text, "strange.yaml")


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=40), min_size=1, max_size=3))
def test_whatever_files_hold_that_is_no_rule_is_a_problem(contents: dict[str, bytes]) -> None:
    with pytest.raises(RuleProblem):
        validated(contents, 30 * DAY)


@given(st.binary(max_size=60).filter(lambda value: value != NO_RULES))
@example(b"")
@example(encode_rules(RuleFiles("v", {"a.yaml": "id: ["})))
def test_a_record_that_is_none_is_refused(value: bytes) -> None:
    assert told_version(value)
    with suppress(RuleProblem):
        assert compile_record(value, 30 * DAY).rules == ()


def test_what_is_published_compiles_to_the_version_that_it_says() -> None:
    published = read_folder(CATALOGUE, 30 * DAY)
    assert compile_record(encode_rules(published), 30 * DAY).version == published.version
    assert {CATALOGUE / name for name in published.files} == set(rule_files(CATALOGUE))


def test_the_set_without_rules_has_none() -> None:
    assert compile_record(NO_RULES, 30 * DAY).rules == ()
    assert decode_rules(NO_RULES).files == {}


def test_a_file_that_cannot_be_read_is_named_with_the_reason() -> None:
    with pytest.raises(RuleProblem, match=r"^a\.yaml: cannot be read: Permission denied$"):
        validated({"a.yaml": Unreadable("Permission denied", is_gone=False)}, 30 * DAY)


def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(RuleProblem, match="cannot be read: Permission denied"):
        rule_files(tmp_path)


def test_a_record_with_one_id_twice_is_refused() -> None:
    text = (CATALOGUE / "gave_up.yaml").read_text("utf-8")
    record = encode_rules(RuleFiles("v", {"a.yaml": text, "b.yaml": text}))
    with pytest.raises(RuleProblem, match=r"b\.yaml.*a\.yaml is called 'gave_up' already"):
        compile_record(record, 30 * DAY)
