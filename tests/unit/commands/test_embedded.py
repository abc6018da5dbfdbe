"""How the embedded servers take the ports of the settings."""

from pathlib import Path
from typing import cast

import pytest

from sinks.embedded.home import Home
from sinks.embedded.processes import Child
from sinks.embedded.supervisor import Supervisor
from streams.commands.embedded import start_clickhouse, start_mock
from streams.settings import Settings, SettingsError, load_settings

BOOTSTRAP = "127.0.0.1:41234"


class Listed:
    """A supervisor that starts nothing; `names` are the children that it was to start."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def start(self, child: Child) -> Child:
        self.names.append(child.name)
        child.announced = {"bootstrap": BOOTSTRAP, "control": "127.0.0.1:1"}
        return child


def mock_says(settings: Settings, home: Path) -> list[str]:
    said: list[str] = []
    start_mock(cast(Supervisor, Listed()), Home(home), settings, said.append)
    return [line for line in said if "KAFKA_PORT" in line]


def settings_of(home: Path, **environ: str) -> Settings:
    return load_settings(
        {f"TOUCHLINE_LOCAL__{name}": value for name, value in environ.items()}, home / "absent.toml"
    )


def test_the_mock_says_that_it_does_not_take_the_port_that_is_set(tmp_path: Path) -> None:
    (warning,) = mock_says(settings_of(tmp_path, KAFKA_PORT="19092"), tmp_path)
    assert warning.startswith("warning: TOUCHLINE_LOCAL__KAFKA_PORT=19092 is not used")
    assert warning.endswith(BOOTSTRAP)


@pytest.mark.parametrize("environ", [{}, {"KAFKA_PORT": "0"}])
def test_where_no_port_is_asked_for_the_mock_says_nothing_of_it(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert mock_says(settings_of(tmp_path, **environ), tmp_path) == []


def test_one_port_for_both_of_clickhouses_protocols_is_refused_by_the_names_of_both_settings(
    tmp_path: Path,
) -> None:
    supervisor = Listed()
    with pytest.raises(SettingsError) as refused:
        start_clickhouse(cast(Supervisor, supervisor), Home(tmp_path), settings_of(tmp_path), 18123, 18123)
    assert supervisor.names == []
    for words in (
        "TOUCHLINE_LOCAL__CLICKHOUSE_PORT",
        "TOUCHLINE_LOCAL__CLICKHOUSE_HTTP_PORT",
        "18123",
        "differ",
    ):
        assert words in str(refused.value)
