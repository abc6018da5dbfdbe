"""`doctor` on rules: the folder, what is in force, and what the workers refuse."""

from pathlib import Path

import pytest

from schemas.interaction import DAY
from streams.catalogue.rule_files import load_rules
from streams.commands import checks_rules
from streams.commands.checks_rules import check_rules, judge_rules
from streams.commands.rules_in_force import InForce
from streams.settings import load_settings

HERE = InForce("v1", {"gave_up": "g1"}, "the topic t")


@pytest.mark.parametrize(
    ("force", "status", "found"),
    [
        (None, "ok", "valid, version v1; none were published yet"),
        (HERE, "ok", "in force, version v1"),
        (HERE._replace(version="v0"), "warn", "version v0 is in force, the folder has v1"),
        (HERE._replace(version="v0", refused="version v1: a\nb"), "warn", "those before stay, version v0; "),
        (InForce(None, {}, "t", "version v1: a\nb"), "warn", "none are in force; refused as published last"),
    ],
)
def test_rules_are_judged_by_what_is_in_force(force: InForce | None, status: str, found: str) -> None:
    check = judge_rules("v1", force)
    assert (check.name, check.status, check.found.count("\n")) == ("rules", status, 0)
    assert check.found.startswith(found)
    assert bool(check.what_to_do) == (status != "ok")


def test_a_folder_that_is_refused_is_told_with_the_first_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_rules, "broker_or_none", lambda *_: HERE)
    (tmp_path / "a.yaml").write_text("id: [")
    settings = load_settings({"TOUCHLINE_RULES__DIRECTORY": str(tmp_path)}, tmp_path / "absent.toml")
    check = check_rules(settings, "broker")
    assert check.status == "warn"
    assert f"those in force stay: {tmp_path}/a.yaml:1:" in check.found
    assert check.what_to_do.startswith(f"`touchline rules check {tmp_path}`")


def test_the_catalogue_is_judged_with_the_horizon_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(checks_rules, "broker_or_none", lambda *all_: asked.append(all_))
    settings = load_settings({"TOUCHLINE_JOURNEYS__HORIZON": "60d"}, tmp_path / "absent.toml")
    assert load_rules(horizon=60 * DAY).version in check_rules(settings, "broker").found
    assert asked == [("broker", settings.kafka.prefix, 60 * DAY)]
