"""Which server a command talks to."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sinks.embedded.home import Home, RunningProcess, RunState
from streams.commands import embedded
from streams.commands.failures import CommandFailed
from streams.commands.servers import http_target, locate, servers
from streams.kafka.access import KafkaAccess
from streams.settings import Settings, load_settings


def settings_of(home: Path, **environ: str) -> Settings:
    return load_settings(
        {"TOUCHLINE_HOME": str(home), **{f"TOUCHLINE_{name}": value for name, value in environ.items()}},
        home / "absent.toml",
    )


def up_runs(home: Path, broker: str = "kafka") -> None:
    """Pretend that this process is a `touchline up` of that home."""
    Home(home).write_state(
        RunState(
            broker=broker,  # type: ignore[arg-type]
            bootstrap="127.0.0.1:1111",
            started_at=datetime.now(UTC),
            processes=(RunningProcess.of("up", os.getpid()),),
            clickhouse_native="clickhouse://127.0.0.1:2222",
            clickhouse_http="http://127.0.0.1:3333",
        )
    )


def test_with_nothing_configured_and_nothing_running_there_is_nothing(tmp_path: Path) -> None:
    found = locate(settings_of(tmp_path))
    assert (found.kafka, found.clickhouse, found.clickhouse_http, found.said) == (None, None, None, ())


def test_the_embedded_servers_that_run_are_found_and_announced(tmp_path: Path) -> None:
    up_runs(tmp_path)
    found = locate(settings_of(tmp_path, CLICKHOUSE__PASSWORD="s3cret"))
    assert found.kafka == KafkaAccess("127.0.0.1:1111")
    assert found.clickhouse is not None
    assert (found.clickhouse.port, found.clickhouse.password) == (2222, "s3cret")
    assert found.clickhouse_http is not None
    assert found.clickhouse_http.url == "http://127.0.0.1:3333"
    assert found.said == ("Kafka at 127.0.0.1:1111 (kafka)", "ClickHouse at 127.0.0.1:2222")


def test_configured_servers_win_over_running_ones_and_are_not_announced(tmp_path: Path) -> None:
    up_runs(tmp_path)
    found = locate(
        settings_of(
            tmp_path,
            KAFKA__BOOTSTRAP="k:9",
            CLICKHOUSE__URL="clickhouse://ann@db:9",
            CLICKHOUSE__DATABASE="x",
        )
    )
    assert found.kafka == KafkaAccess("k:9")
    assert found.clickhouse is not None
    assert (found.clickhouse.host, found.clickhouse.user, found.clickhouse.database) == ("db", "ann", "x")
    assert found.said == ()


def test_a_state_that_a_crash_left_behind_counts_for_nothing(tmp_path: Path) -> None:
    up_runs(tmp_path)
    state_file = Home(tmp_path).state_file
    state_file.write_text(state_file.read_text().replace(str(os.getpid()), "999999999"))
    assert locate(settings_of(tmp_path)).kafka is None


def test_a_named_broker_wins_over_everything(tmp_path: Path) -> None:
    up_runs(tmp_path)
    assert locate(settings_of(tmp_path, KAFKA__BOOTSTRAP="k:9"), "other:1").kafka == KafkaAccess("other:1")


def test_asking_for_another_kind_than_the_one_that_runs_is_told(tmp_path: Path) -> None:
    up_runs(tmp_path, "mock")
    assert locate(settings_of(tmp_path), "mock").broker_kind == "mock"
    with pytest.raises(CommandFailed, match="'mock', not 'kafka'"):
        locate(settings_of(tmp_path), "kafka")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"CLICKHOUSE__URL": "clickhouse://db:9000"}, "http://db:8123"),
        ({"CLICKHOUSE__URL": "clickhouses://db:9440"}, "https://db:8443"),
        ({"CLICKHOUSE__URL": "clickhouse://[::1]:9000"}, "http://[::1]:8123"),
        (
            {"CLICKHOUSE__URL": "clickhouse://db", "CLICKHOUSE__HTTP_URL": "https://proxy/ch"},
            "https://proxy/ch",
        ),
    ],
)
def test_the_http_address_is_configured_or_derived(environ: dict[str, str], url: str, tmp_path: Path) -> None:
    assert http_target(settings_of(tmp_path, **environ).clickhouse).url == url


def test_the_user_of_the_url_is_the_user_of_http_too(tmp_path: Path) -> None:
    part = settings_of(tmp_path, CLICKHOUSE__URL="clickhouse://a%40b@db", CLICKHOUSE__USER="other").clickhouse
    assert http_target(part).user == "a@b"


def test_a_command_that_needs_no_server_starts_none(tmp_path: Path) -> None:
    with servers(settings_of(tmp_path / "home")):
        assert not (tmp_path / "home").exists()


def test_without_java_a_forgetful_broker_is_refused_for_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "real_kafka_possible", lambda: False)
    with pytest.raises(CommandFailed) as caught, servers(settings_of(tmp_path), kafka=True):
        pytest.fail("a server was started")
    assert "touchline up" in caught.value.what_to_do


def test_a_server_that_was_not_ordered_is_not_given(tmp_path: Path) -> None:
    up_runs(tmp_path)
    with servers(settings_of(tmp_path), kafka=True) as running:
        assert running.kafka == KafkaAccess("127.0.0.1:1111")
        with pytest.raises(RuntimeError, match="clickhouse=True"):
            _ = running.clickhouse


def test_what_is_used_is_said_in_one_line_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up_runs(tmp_path)
    with servers(settings_of(tmp_path), kafka=True, clickhouse=True):
        printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "using Kafka at 127.0.0.1:1111 (kafka), ClickHouse at 127.0.0.1:2222\n"
