"""Every rule that ships goes as its fixtures tell, and each has all four kinds of them."""

from pathlib import Path

import pytest

from streams.catalogue.rule_files import load_rules
from streams.catalogue.rule_fixtures import FIXTURES, FixtureError, run_fixtures

RULES = load_rules()
IDS = [rule.id for rule in RULES.rules]


def test_the_catalogue_is_the_one_of_thirteen_rules() -> None:
    assert IDS == [
        "bad_treatment",
        "broken_promise",
        "complaint_unacknowledged",
        "gave_up",
        "low_rating",
        "overcharge",
        "passed_around",
        "reopened",
        "repeat_contact",
        "self_service_failed",
        "slow_answer",
        "thousand_cuts",
        "unresolved",
    ]


@pytest.mark.parametrize("rule", IDS)
def test_a_rule_goes_as_its_fixtures_tell(rule: str) -> None:
    results = run_fixtures(rule, RULES)
    assert {result.file for result in results} >= {
        "positive.yaml",
        "negative.yaml",
        "boundary.yaml",
        "late.yaml",
    }
    assert not [f"{result.file}: {result.story}: {result.problem}" for result in results if not result.passed]


def test_no_fixtures_without_a_rule() -> None:
    assert sorted(folder.name for folder in FIXTURES.iterdir()) == IDS


def test_a_story_that_goes_otherwise_says_what_came(tmp_path: Path) -> None:
    (tmp_path / "low_rating").mkdir()
    (tmp_path / "low_rating" / "wrong.yaml").write_text(
        "- story: s\n  expect: []\n"
        "  events: [{id: r, is: review, at: 2026-03-02 10:00, rating: {scale: stars5, value: 1}}]"
    )
    (result,) = run_fixtures("low_rating", RULES, tmp_path)
    assert not result.passed
    assert "not expected" in result.problem
    assert "'anchor': 'r'" in result.problem


def test_an_event_that_is_not_of_the_contract_is_named(tmp_path: Path) -> None:
    (tmp_path / "low_rating").mkdir()
    (tmp_path / "low_rating" / "wrong.yaml").write_text(
        "- {story: s, events: [{id: r, is: review, at: 2026-03-02 10:00, stars: 1}], expect: []}"
    )
    with pytest.raises(FixtureError, match=r"wrong\.yaml: s: event r: .*stars"):
        run_fixtures("low_rating", RULES, tmp_path)
