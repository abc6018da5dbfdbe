"""`touchline doctor`: what is fine, what is a warning, what fails, and what to do."""

import json
import socket
from pathlib import Path

import click
import pytest

from schemas.ahead import Mode
from streams import cli
from streams.commands import doctor
from streams.commands.checks import (
    Check,
    check_home,
    check_port,
    check_python,
    check_speed,
    guarded,
    judge_space,
    local_ports,
)
from streams.commands.checks_alerts import Untold, check_alerts, judge_routes, judge_untold
from streams.commands.checks_servers import judge_clock, judge_lag, judge_topics
from streams.commands.doctor import lines_of, verdict
from streams.kafka.admin import Difference, Survey
from streams.kafka.lag import PartitionLag
from streams.settings import Settings, load_settings

WHSEC = "whsec_" + "QUFB" * 10


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"TOUCHLINE_HOME": str(tmp_path)}, tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 12, 0), "fail")]
)
def test_only_python_3_11_will_do(version: tuple[int, int, int], status: str) -> None:
    assert check_python(version).status == status


@pytest.mark.parametrize(
    ("mode", "status"), [("compiled", "ok"), ("pure", "ok"), ("stale", "warn"), ("not compiled", "ok")]
)
def test_only_a_stale_build_is_a_warning(mode: Mode, status: str) -> None:
    check = check_speed(mode)
    assert (check.name, check.status) == ("hot path", status)


@pytest.mark.parametrize(
    ("free", "status"),
    [(499_999_999, "fail"), (500_000_000, "warn"), (4_999_999_999, "warn"), (5_000_000_000, "ok")],
)
def test_space_is_judged_at_its_boundaries(free: int, status: str) -> None:
    assert judge_space(Path(), free).status == status


def test_a_home_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = check_home(tmp_path / "file" / "home")
    assert (check.status, "TOUCHLINE_HOME" in check.what_to_do) == ("fail", True)


def test_a_home_that_does_not_exist_yet_is_fine_and_is_not_made(tmp_path: Path) -> None:
    assert check_home(tmp_path / "a" / "b").status in ("ok", "warn")
    assert not (tmp_path / "a").exists()


def test_a_port_of_another_process_fails_with_its_setting(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        check = check_port(settings, "Kafka", other.getsockname()[1], "TOUCHLINE_LOCAL__KAFKA_PORT")
    assert check.status == "fail"
    assert "TOUCHLINE_LOCAL__KAFKA_PORT" in check.found + check.what_to_do


def test_ports_are_looked_at_only_where_an_embedded_server_would_take_them(tmp_path: Path) -> None:
    def ports(**environ: str) -> list[str]:
        named = {f"TOUCHLINE_{name}": value for name, value in environ.items()}
        return [what for what, _, _ in local_ports(load_settings(named, tmp_path / "absent.toml"))]

    assert ports() == ["Kafka", "ClickHouse", "ClickHouse HTTP"]
    assert ports(KAFKA__BOOTSTRAP="k:1") == ["ClickHouse", "ClickHouse HTTP"]
    assert ports(CLICKHOUSE__URL="clickhouse://db") == ["Kafka"]
    assert ports(LOCAL__KAFKA_PORT="0") == ["ClickHouse", "ClickHouse HTTP"]


@pytest.mark.parametrize(
    ("survey", "status"),
    [
        (Survey(existing=("a",)), "ok"),
        (Survey(missing=("a",)), "fail"),
        (Survey(existing=("a",), differences=(Difference("a", "partitions", "8", "4"),)), "fail"),
        (Survey(existing=("a",), differences=(Difference("a", "retention.ms", "8", "4"),)), "warn"),
        (Survey(existing=("a",), config_known=False), "ok"),
    ],
)
def test_topics_fail_when_workers_could_not_start(survey: Survey, status: str) -> None:
    assert judge_topics(survey).status == status


@pytest.mark.parametrize(
    ("row", "lag"),
    [
        (PartitionLag("t", 0, 10, 0, 10), 0),
        (PartitionLag("t", 0, 4, 0, 10), 6),
        (PartitionLag("t", 0, None, 7, 10), 3),
        (PartitionLag("t", 0, 2, 7, 10), 3),
        (PartitionLag("t", 0, 12, 0, 10), 0),
    ],
)
def test_lag_counts_what_is_kept_and_not_yet_committed(row: PartitionLag, lag: int) -> None:
    assert row.lag == lag


def test_lag_names_the_worst_partition_and_the_sum() -> None:
    check = judge_lag([PartitionLag("t", 0, 4, 0, 15), PartitionLag("t", 1, 0, 0, 1_000)])
    assert (check.status, check.found) == ("warn", "1,011 records, most on t/1 (1,000)")


def test_lag_without_any_commit_means_that_no_worker_ran() -> None:
    assert "start a worker" in judge_lag([PartitionLag("t", 0, None, 0, 11)]).what_to_do


def test_no_lag_is_fine() -> None:
    assert judge_lag([PartitionLag("t", 0, 10, 0, 10)]).status == "ok"
    assert judge_lag([PartitionLag("t", 0, 10, 0, 20)]).status == "ok"
    assert judge_lag([]).status == "ok"


@pytest.mark.parametrize(("skew", "status"), [(2.0, "ok"), (-2.0, "ok"), (2.01, "warn"), (-2.01, "warn")])
def test_clocks_may_differ_by_two_seconds_either_way(skew: float, status: str) -> None:
    assert judge_clock(skew).status == status


def test_a_check_that_raises_has_failed_and_hides_no_other() -> None:
    def broken() -> Check:
        raise ConnectionRefusedError(111, "Connection refused")

    assert guarded("x", broken) == Check("x", "fail", "Connection refused", "")


def test_a_check_for_people_has_its_advice_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = lines_of(Check("topics", "fail", "missing: t.phone", "run `touchline migrate`"))
    assert len(lines) == 2
    assert "topics" in lines[0]
    assert lines[1].strip() == "→ run `touchline migrate`"


def test_what_was_found_on_several_lines_stands_below_itself() -> None:
    (text,) = lines_of(Check("settings", "fail", "kafka.bootstap: unknown\nnonsense: unknown"))
    first, second = click.unstyle(text).splitlines()
    assert second == " " * first.index("kafka") + "nonsense: unknown"


def test_a_home_that_no_directory_can_be_is_a_failed_check_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path / "file"))
    assert cli.run(["doctor", "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert (checks["home"]["status"], checks["servers"]["status"]) == ("fail", "fail")
    assert "Set TOUCHLINE_HOME to a directory of your own" in checks["servers"]["found"]


def test_the_verdict_counts() -> None:
    checks = [Check("a", "ok", ""), Check("b", "warn", ""), Check("c", "ok", "")]
    assert verdict(checks) == "healthy: 2 ok, 1 warnings"
    assert verdict([*checks, Check("d", "fail", "")]) == "1 failed, 1 warnings, 2 ok"


@pytest.mark.parametrize(("status", "exit_status"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_failure_makes_the_exit_status(
    status: str, exit_status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [Check("a", "ok", "1"), Check("b", status, "2", "do it")]  # type: ignore[arg-type]
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    assert cli.run(["doctor", "--json"]) == exit_status
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is (status != "fail")
    assert document["checks"][1] == {"name": "b", "status": status, "found": "2", "what_to_do": "do it"}


def test_wrong_settings_are_a_failed_check_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOUCHLINE_KAFKA__PARTITIONS", "many")
    assert cli.run(["doctor", "--json"]) == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert (check["name"], check["status"]) == ("settings", "fail")
    assert check["found"].startswith("TOUCHLINE_KAFKA__PARTITIONS: ")


ALERTS = """
[[alerts.routes]]
to = ["duty"]
rules = ["{rule}"]

[alerts.destinations.duty]
kind = "webhook"
url = "https://h.example/"
"""


def written(folder: Path, rule: str, **secrets: str) -> Settings:
    """Settings with one route to one webhook."""
    file = folder / "touchline.toml"
    file.write_text(ALERTS.format(rule=rule), encoding="utf-8")
    return load_settings({f"TOUCHLINE_ALERT_SECRETS__{name}": text for name, text in secrets.items()}, file)


def test_destinations_and_routes_are_looked_at_without_telling_anybody(tmp_path: Path) -> None:
    found = {check.name: check for check in check_alerts(written(tmp_path, "overcharge", DUTY=WHSEC))}
    assert {name: check.status for name, check in found.items()} == {"destinations": "ok", "routes": "ok"}
    assert found["destinations"].found.startswith("duty")


def test_a_secret_that_is_missing_fails_by_name(tmp_path: Path) -> None:
    check = next(check_alerts(written(tmp_path, "overcharge")))
    assert (check.name, check.status) == ("destinations", "fail")
    assert check.found.startswith("TOUCHLINE_ALERT_SECRETS__DUTY: ")
    assert "bug" not in check.what_to_do


def test_a_route_for_a_rule_that_is_nowhere_is_a_warning(tmp_path: Path) -> None:
    _, check = check_alerts(written(tmp_path, "overchrge", DUTY=WHSEC))
    assert (check.name, check.status) == ("routes", "warn")
    assert "route 1 names 'overchrge'" in check.found
    assert "overcharge" in check.what_to_do
    assert judge_routes([["a"], ["b", "c"]], {"a", "b", "c"}).status == "ok"


def test_rules_that_cannot_be_read_are_a_warning_and_hide_nothing(tmp_path: Path) -> None:
    settings = written(tmp_path, "overcharge", DUTY=WHSEC)
    rules = settings.rules.model_copy(update={"directory": tmp_path})
    found = list(check_alerts(settings.model_copy(update={"rules": rules})))
    assert [(check.name, check.status) for check in found] == [("destinations", "ok"), ("routes", "warn")]


def test_without_destinations_it_is_said_that_alerts_are_only_stored(settings: Settings) -> None:
    (check,) = check_alerts(settings)
    assert (check.status, "no_route" in check.found) == ("ok", True)


def test_what_waits_and_what_failed_is_told_by_destination_number_and_reason() -> None:
    check = judge_untold([Untold("duty", 12, 0, ""), Untold("hook", 1, 3, "refused: HTTP 400: \x1bno")])
    assert check.status == "warn"
    assert check.found == (
        "duty: 12 waiting for more than 10 min; "
        "hook: 1 waiting for more than 10 min, 3 failed within a day (last: refused: HTTP 400: \\x1bno)"
    )
    assert "workers' logs" in check.what_to_do
    assert "status = 'failed'" in check.what_to_do


def test_when_everybody_is_told_all_is_well() -> None:
    assert judge_untold([]).status == "ok"
