"""The option `--broker`: what it takes, and that it is what is named when it is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams import cli
from streams.kafka.admin import BrokerUnreachable


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "list[str | None]":
    """The brokers with which a pipeline was opened; none of them answers."""
    brokers: list[str | None] = []

    @contextmanager
    def pipeline(_settings: Any, broker: str | None, *_rest: Any) -> Iterator[None]:
        brokers.append(broker)
        raise BrokerUnreachable(f"no Kafka broker answers at {broker}")
        yield

    monkeypatch.setattr("streams.commands.pipeline.pipeline", pipeline)
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return brokers


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("broker", ["zzz", "127.0.0.1", "host:port", "Kafka", ""])
def test_what_is_no_broker_is_a_usage_error_before_anything_is_started(
    command: str, broker: str, opened: "list[str | None]", capsys: pytest.CaptureFixture[str]
) -> None:
    assert (cli.run([command, "--broker", broker]), opened) == (2, [])
    said = capsys.readouterr().err
    assert "'--broker'" in said
    assert "neither kafka, nor mock, nor HOST:PORT" in said


@pytest.mark.parametrize("command", ["up", "demo"])
def test_an_address_that_does_not_answer_is_blamed_on_the_option_that_gave_it(
    command: str, opened: "list[str | None]", capsys: pytest.CaptureFixture[str]
) -> None:
    assert (cli.run([command, "--broker", "127.0.0.1:1"]), opened) == (1, ["127.0.0.1:1"])
    said = capsys.readouterr().err
    assert "check --broker 127.0.0.1:1" in said
    assert "TOUCHLINE_KAFKA__BOOTSTRAP" not in said


@pytest.mark.parametrize("options", [[], ["--broker", "kafka"]])
def test_without_an_address_it_is_the_setting(
    options: list[str], opened: "list[str | None]", capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["up", *options]) == 1
    assert len(opened) == 1
    assert "check TOUCHLINE_KAFKA__BOOTSTRAP" in capsys.readouterr().err
