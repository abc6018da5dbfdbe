"""`touchline rules`: what `check` finds and says, what `list` knows without servers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas.findings import SEVERITIES
from schemas.interaction import DAY
from schemas.rule_sets import RuleFiles, encode_rules
from streams import cli
from streams.catalogue.rule_files import CATALOGUE, load_rules, read_rules
from streams.catalogue.rule_sets import read_folder
from streams.commands import rules, rules_in_force
from streams.commands.backtest_report import Tally, difference, percent
from streams.commands.columns import table
from streams.commands.rules import told_of
from streams.commands.rules_in_force import InForce, published
from streams.core.detection.ruleset import version_of
from streams.history.backtest import Period, Raised

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home without servers, no settings."""
    import os

    for name in [name for name in os.environ if name.startswith("TOUCHLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two rules of the catalogue with their fixtures, to be changed."""
    place = tmp_path / "rules"
    (place / "fixtures").mkdir(parents=True)
    for rule in ("gave_up", "low_rating"):
        shutil.copy(CATALOGUE / f"{rule}.yaml", place)
        shutil.copytree(CATALOGUE / "fixtures" / rule, place / "fixtures" / rule)
    return place


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


def checked(capsys: Capture, *paths: Path) -> tuple[int, dict[str, Any]]:
    """Status and document of `rules check`."""
    status = cli.run(["rules", "check", *map(str, paths), "--json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["valid"] == (status == 0)
    return status, document


# check


def test_a_folder_in_order_passes(folder: Path, capsys: Capture) -> None:
    status, document = checked(capsys, folder)
    assert status == 0
    assert [one["rule"] for one in document["files"]] == ["gave_up", "low_rating"]
    assert all(story["passed"] for one in document["files"] for story in one["fixtures"])
    assert all(len(one["fixtures"]) > 2 for one in document["files"])


def test_a_wrong_entry_is_named_with_file_line_and_field(folder: Path, capsys: Capture) -> None:
    replace(folder / "gave_up.yaml", "cool_down: 1d", "cool_down: soon")
    assert cli.run(["rules", "check", str(folder)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{folder}/gave_up.yaml:3: cool_down: ")
    assert said[-1].endswith(": 1 file with problems")


def test_every_wrong_file_is_named_and_the_others_are_checked(folder: Path, capsys: Capture) -> None:
    (folder / "broken.yaml").write_text("id: [", "utf-8")
    replace(folder / "low_rating.yaml", "id: low_rating", "id: gave_up")
    _, document = checked(capsys, folder)
    assert [(Path(one["file"]).name, one["valid"]) for one in document["files"]] == [
        ("broken.yaml", False),
        ("gave_up.yaml", True),
        ("low_rating.yaml", False),
    ]
    assert "gave_up.yaml is called 'gave_up' already" in document["files"][2]["problems"][0]


def test_a_rule_that_contradicts_its_fixture_fails(folder: Path, capsys: Capture) -> None:
    replace(folder / "gave_up.yaml", "within: 7d", "within: 6d")
    status, document = checked(capsys, folder)
    failed = [story for story in document["files"][0]["fixtures"] if not story["passed"]]
    assert status == 1
    assert failed
    assert all("expected" in story["problem"] for story in failed)


def test_a_fixture_that_cannot_be_played_is_a_problem(folder: Path, capsys: Capture) -> None:
    (folder / "fixtures" / "gave_up" / "more.yaml").write_text("- events: []\n", "utf-8")
    status, document = checked(capsys, folder)
    assert status == 1
    assert "more.yaml: a fixture file is a list of stories" in document["files"][0]["problems"][0]


def test_a_rule_that_is_not_enabled_is_played_nevertheless(folder: Path, capsys: Capture) -> None:
    replace(folder / "gave_up.yaml", "within: 7d", "within: 6d")
    replace(folder / "gave_up.yaml", "cool_down: 1d", "cool_down: 1d\nenabled: false")
    status, document = checked(capsys, folder)
    assert status == 1
    assert any(not story["passed"] for story in document["files"][0]["fixtures"])


def test_one_file_is_played_among_the_rules_of_its_folder(capsys: Capture) -> None:
    # A thousand cuts are made of the findings of other rules.
    status, document = checked(capsys, CATALOGUE / "thousand_cuts.yaml")
    assert status == 0
    assert len(document["files"][0]["fixtures"]) > 3


def test_a_rule_without_fixtures_is_told_and_passes(folder: Path, capsys: Capture) -> None:
    shutil.rmtree(folder / "fixtures" / "gave_up")
    assert cli.run(["rules", "check", str(folder)]) == 0
    assert "without fixtures: gave_up" in capsys.readouterr().out


def test_a_folder_without_rules_is_no_success(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.run(["rules", "check", str(tmp_path / "empty")]) == 1
    assert "no rule files (*.yaml) in this folder" in capsys.readouterr().err


def test_without_paths_the_configured_folder_is_checked(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_RULES__DIRECTORY", str(folder))
    _, document = checked(capsys)
    assert [one["rule"] for one in document["files"]] == ["gave_up", "low_rating"]


# list


def test_the_list_has_every_rule_of_the_catalogue(capsys: Capture) -> None:
    assert cli.run(["rules", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == load_rules().version
    assert {one["rule"]: one["rule_version"] for one in document["rules"]} == load_rules().versions
    assert document["in_force"] is None
    severities = {one["rule"]: one["severities"] for one in document["rules"]}
    assert severities["overcharge"] == ["major", "severe"]
    assert severities["bad_treatment"] == ["minor", "severe"]
    assert severities["gave_up"] == ["minor", "major"]
    assert severities["thousand_cuts"] == ["severe"]


def test_a_rule_that_is_off_is_listed_as_such(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_RULES__DIRECTORY", str(folder))
    with (folder / "gave_up.yaml").open("a", encoding="utf-8") as file:
        file.write("enabled: false\n")
    (rule, _) = read_rules(sorted(folder.glob("*.yaml")))
    assert cli.run(["rules", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("gave_up (off)")
    assert version_of(rule) in lines[1]
    assert lines[-1].startswith("in force: not known")


@pytest.mark.parametrize(
    "command", [["rules", "list"], ["rules", "backtest", "{}"], ["rules", "diff", "{}", "{}"]]
)
def test_a_wrong_rule_ends_every_command_with_file_and_line(
    command: list[str], folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_RULES__DIRECTORY", str(folder))
    replace(folder / "gave_up.yaml", "severity: minor", "severity: huge")
    assert cli.run([word.format(folder) for word in command]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {folder}/gave_up.yaml:")
    assert "severity: " in printed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--what", "churn"], "--what and --labels-until need --labels"),
        (["--horizon", "0s"], "expected more than nothing"),
        (["--from", "2026-03-02T00:00:00Z", "--to", "2026-03-02T00:00:00Z"], "must be later than --from"),
        (["--from", "2026-03-02"], "is not a time with an offset"),
    ],
)
def test_a_backtest_that_makes_no_sense_is_refused(options: list[str], said: str, capsys: Capture) -> None:
    assert cli.run(["rules", "backtest", str(CATALOGUE), *options]) == 2
    assert said in capsys.readouterr().err


# What a back-test tells


def raised(
    finding_id: str, at: int, rule: str = "gave_up", severity: str = "minor", withdrawn_at: int | None = None
) -> Raised:
    assert severity in SEVERITIES
    return Raised(finding_id, "crm:ann", rule, severity, at, "why", withdrawn_at)


def test_a_tally_counts_by_rule_severity_and_day() -> None:
    tally = Tally(load_rules(), Period(0, 3 * DAY))
    tally.add(10, [raised("1", 0), raised("2", DAY - 1, severity="major", withdrawn_at=DAY)])
    tally.add(5, [raised("3", 2 * DAY), raised("4", 2 * DAY, rule="low_rating", severity="major")])
    tally.add(1, [])
    document = tally.document()
    assert (document["customers"], document["interactions"], document["findings"], document["withdrawn"]) == (
        3,
        16,
        4,
        1,
    )
    assert document["by_severity"] == {"minor": 2, "major": 2, "severe": 0}
    assert document["per_day"] == pytest.approx(4 / 3, abs=1e-3)
    (gave_up,) = [one for one in document["by_rule"] if one["rule"] == "gave_up"]
    assert (
        gave_up["findings"],
        gave_up["minor"],
        gave_up["major"],
        gave_up["customers"],
        gave_up["withdrawn"],
    ) == (3, 2, 1, 2, 1)
    assert [(one["day"], one["findings"]) for one in document["by_day"]] == [
        ("1970-01-01", 2),
        ("1970-01-02", 0),
        ("1970-01-03", 2),
    ]


def test_a_long_period_is_not_drawn_day_by_day() -> None:
    tally = Tally(load_rules(), Period(0, 40 * DAY))
    tally.add(1, [raised("1", 35 * DAY)])
    assert list(tally.lines())[-1] == "a day: median 0, most 1 on 1970-02-05; --json has every day"


def test_a_difference_is_by_finding_id() -> None:
    old = [raised("gone", 1), raised("both", 2)]
    new = [raised("both", 3, severity="major"), raised("more", 4)]
    more, fewer, both = difference(old, new)
    assert ([one.finding_id for one in more], [one.finding_id for one in fewer]) == (["more"], ["gone"])
    assert both == [(old[1], new[0])]


def test_small_shares_keep_their_digits() -> None:
    assert [percent(share) for share in (0.5, 0.0, 0.001, 0.00012345)] == ["50.0%", "0.0%", "0.1%", "0.012%"]


def test_a_table_is_aligned_whatever_the_script_and_shows_control_characters() -> None:
    lines = table(("a", "n"), [("日本", 1), ("e\u0301", 1_000), ("\x1b[31m", None)], right=("n",))
    assert lines == ["a             n", "日本          1", "e\u0301         1,000", "\\x1b[31m"]
    assert table(("a",), []) == []


def test_a_broker_that_does_not_answer_leaves_what_is_in_force_unknown(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_in_force, "REACHABLE", 0.2)
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    assert cli.run(["rules", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["in_force"] is None


def test_rules_known_by_their_findings_alone_are_not_called_missing() -> None:
    listed = {"rule_version": "v2", "in_force": None}
    by_findings, whole_set = InForce(None, {"gave_up": "v1"}, "ClickHouse"), InForce("s", {}, "a topic")
    assert [told_of(listed, force) for force in (None, by_findings, whole_set)] == ["", "", "no"]
    assert told_of({**listed, "in_force": "v1"}, by_findings) == "v1"
    assert told_of({**listed, "in_force": "v2"}, by_findings) == "yes"


# What was published and not accepted


REFUSED = encode_rules(RuleFiles("v1", {"gave_up.yaml": "id: gave_up\nno_more: allowed\n"}))


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The newest record of rules by topic, as a broker would have it."""
    kept: dict[str, bytes] = {}
    monkeypatch.setattr(rules_in_force, "newest", lambda _broker, topic, *_: kept.get(topic))
    return kept


def test_a_record_that_is_refused_leaves_what_the_changelog_has_in_force(records: dict[str, bytes]) -> None:
    shipped = read_folder(CATALOGUE, 30 * DAY)
    records |= {"p.interactions": REFUSED, "p.timelines": encode_rules(shipped)}
    force = published("broker", "p.", 30 * DAY)
    assert force is not None
    assert (force.version, force.versions, force.source) == (
        shipped.version,
        load_rules().versions,
        "the topic p.timelines",
    )
    assert force.refused is not None
    assert force.refused.startswith("version v1: gave_up.yaml:")
    records["p.interactions"] = records["p.timelines"]
    force = published("broker", "p.", 30 * DAY)
    assert force is not None
    assert (force.source, force.refused) == ("the topic p.interactions", None)


@pytest.mark.parametrize("topics", [["p.interactions"], ["p.timelines"], ["p.interactions", "p.timelines"]])
def test_where_every_record_is_refused_none_is_in_force(records: dict[str, bytes], topics: list[str]) -> None:
    records |= dict.fromkeys(topics, REFUSED)
    force = published("broker", "p.", 30 * DAY)
    assert force is not None
    assert (force.version, dict(force.versions)) == (None, {})
    assert force.refused is not None
    assert told_of({"rule_version": "v", "in_force": None}, force) == "no"


def test_the_list_says_what_the_workers_refuse(
    records: dict[str, bytes], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rules, "in_force", lambda _settings, horizon: published("broker", "touchline.", horizon)
    )
    records["touchline.interactions"] = REFUSED
    assert cli.run(["rules", "list"]) == 0
    said = capsys.readouterr().out
    assert "in force: none (the topic touchline.interactions)" in said
    assert "refused by the workers: version v1: gave_up.yaml:" in said
    assert cli.run(["rules", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["in_force"]
    assert told["version"] is None
    assert "no_more: there is no such entry" in told["refused"]


def test_what_editors_leave_beside_a_rule_is_not_checked(folder: Path, capsys: Capture) -> None:
    (folder / ".#gave_up.yaml").symlink_to("ann@host.1:9")
    (folder / "#gave_up.yaml").write_text("id: [")
    status, document = checked(capsys, folder)
    assert status == 0
    assert [Path(one["file"]).name for one in document["files"]] == ["gave_up.yaml", "low_rating.yaml"]


@pytest.mark.parametrize(("files", "said"), [(1, "1 file, "), (2, "2 files, ")])
def test_files_are_counted_in_words(folder: Path, capsys: Capture, files: int, said: str) -> None:
    if files == 1:
        (folder / "low_rating.yaml").unlink()
    assert cli.run(["rules", "check", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(said)
