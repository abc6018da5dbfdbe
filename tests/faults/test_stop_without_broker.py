"""Told to stop when the broker is gone: a worker ends in time by itself, and `up` that is killed leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sinks.embedded.home import Home, RunningProcess
from sinks.embedded.processes import Child
from streams.agents.watchdog import EXIT_STUCK
from streams.commands.pipeline import WORKER_STOP_SECONDS
from streams.worker import END_SECONDS
from tests.integration.pipeline_fixtures import needs_real_kafka, open_road, wait_until


def pid_of_broker(home: Path) -> int:
    """The process that is the embedded broker of that home."""
    state = Home(home).read_state()
    assert state is not None
    (pid,) = (process.pid for process in state.processes if process.name == "kafka")
    return pid


def assert_said_what_did_not_stop(worker: Child) -> None:
    said = worker.output()
    assert any(words in said for words in ("not stopped within", "the stop broke off", "died")), (
        worker.account()
    )


@pytest.mark.parametrize("broker", ["mock", pytest.param("kafka", marks=pytest.mark.java)])
def test_a_worker_whose_broker_was_killed_ends_by_itself(broker: str, tmp_path: Path) -> None:
    if broker == "kafka":
        needs_real_kafka()
    with open_road(tmp_path / "home", broker, workers=1) as road:
        (worker,) = road.workers
        os.kill(pid_of_broker(tmp_path / "home"), signal.SIGKILL)
        # SIGTERM, and SIGKILL after WORKER_STOP_SECONDS: that would be the status.
        status = worker.stop()
        assert status in (0, EXIT_STUCK), worker.account()
        if status:
            assert_said_what_did_not_stop(worker)


def test_a_worker_whose_broker_answers_no_more_ends_by_itself_and_says_that_it_was_not_clean(
    tmp_path: Path,
) -> None:
    assert END_SECONDS < WORKER_STOP_SECONDS
    with open_road(tmp_path / "home", "mock", workers=1) as road:
        (worker,) = road.workers
        broker = pid_of_broker(tmp_path / "home")
        os.kill(broker, signal.SIGSTOP)
        try:
            assert worker.stop() == EXIT_STUCK, worker.account()
        finally:
            os.kill(broker, signal.SIGKILL)
        assert_said_what_did_not_stop(worker)


def test_up_that_is_killed_leaves_no_process_and_no_temporary_file(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TOUCHLINE_")}
    ports = ("KAFKA", "CLICKHOUSE", "CLICKHOUSE_HTTP")
    environ = {
        **ours,
        "TMPDIR": str(temporary),
        "TOUCHLINE_HOME": str(tmp_path / "home"),
        **{f"TOUCHLINE_LOCAL__{name}_PORT": "0" for name in ports},
    }
    command = [sys.executable, "-m", "streams.cli", "up", "--broker", "mock", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as up:
        try:
            assert up.stdout is not None
            assert json.loads(up.stdout.readline())["workers"] == 1
            children = [
                RunningProcess.of(child.name(), child.pid) for child in psutil.Process(up.pid).children()
            ]
            assert len(children) == 3, "ClickHouse, broker, worker"
            left_behind = [path.name for path in temporary.iterdir()]
        finally:
            up.kill()
    wait_until(
        lambda: not any(child.alive() for child in children),
        END_SECONDS,
        lambda: [child for child in children if child.alive()],
    )
    assert left_behind == []
    assert list(temporary.iterdir()) == []
