import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sinks.embedded.errors import HomeInUseError, HomeUnusableError
from sinks.embedded.home import Home, RunningProcess, RunState

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").create()


@pytest.fixture
def state():
    return RunState(
        broker="kafka",
        bootstrap="127.0.0.1:9092",
        started_at=datetime(2026, 5, 4, 10, 0, tzinfo=UTC),
        processes=(RunningProcess.of("Kafka", os.getpid()),),
        clickhouse_http="http://127.0.0.1:8123",
    )


def test_only_the_owner_can_enter(home):
    for directory in (home.path, home.kafka, home.clickhouse, home.run, home.logs):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_scratch_is_one_directory_for_all_workers_and_the_owners_alone(tmp_path):
    home = Home(tmp_path / "home")
    directory = home.scratch()
    assert home.scratch() == directory
    assert directory.is_relative_to(home.run)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (home.path, home.run, directory)] == [0o700] * 3


@pytest.mark.parametrize(
    "use", [Home.create, Home.scratch, Home.read_state, lambda home: home.lock().__enter__()]
)
def test_a_home_that_no_directory_can_be_says_what_to_set(use, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusableError, match=r"Not a directory|File exists") as raised:
        use(Home(tmp_path / "file" / "home"))
    assert "Set TOUCHLINE_HOME to a directory of your own" in str(raised.value)


def test_a_second_holder_is_refused_with_the_pid_of_the_first(home):
    holder = (
        "import sys; from pathlib import Path; from sinks.embedded.home import Home\n"
        "with Home(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", holder, str(home.path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(HomeInUseError, match=f"process {first.pid} "), home.lock():
            pytest.fail("two holders")
        first.kill()
        first.wait()
    with home.lock():
        assert (home.run / "lock").read_text() == str(os.getpid())


def test_children_do_not_inherit_the_lock(home):
    with home.lock():
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
    try:
        with home.lock():
            assert child.poll() is None
    finally:
        child.communicate()


def test_what_is_written_is_read(home, state):
    home.write_state(state)
    assert home.read_state() == state
    assert stat.S_IMODE(home.state_file.stat().st_mode) == 0o600
    assert [path.name for path in home.run.iterdir()] == ["state.json"]


def test_after_a_clean_stop_nothing_runs(home, state):
    home.write_state(state)
    home.clear_state()
    home.clear_state()
    assert home.read_state() is None


def test_a_state_with_a_dead_process_is_stale(home, state):
    ended = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    described = RunningProcess.of("ClickHouse", ended.pid)
    home.write_state(replace(state, processes=(*state.processes, described)))
    assert home.read_state() is not None
    ended.communicate()
    assert home.read_state() is None


def test_a_pid_that_another_process_has_now_is_stale(home, state):
    (ours,) = state.processes
    home.write_state(replace(state, processes=(replace(ours, started=ours.started - 10),)))
    assert home.read_state() is None


@pytest.mark.parametrize("content", ["", "{", json.dumps({"broker": "carrier pigeon"})])
def test_a_file_that_is_not_a_state_counts_as_none(home, content):
    home.state_file.write_text(content)
    assert home.read_state() is None
