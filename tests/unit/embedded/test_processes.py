import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from sinks.embedded.errors import ChildError
from sinks.embedded.processes import LOG_ROTATION_BYTES, Child, ready_line, ready_when

ROOT = Path(__file__).resolve().parents[3]
READY = "import json; print(json.dumps({'ready': True, 'port': 7}), flush=True);"
SLEEP = "import time; time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"


def python(code, log_file, **options):
    return Child("the child", [sys.executable, "-c", code], log_file, **options)


@pytest.fixture
def log_file(tmp_path):
    return tmp_path / "logs" / "child.log"


def test_a_ready_line_is_announced(log_file):
    child = python("print('{not json'); print('hello');" + READY + SLEEP, log_file, ready=ready_line).start()
    try:
        assert child.announced == {"ready": True, "port": 7}
        assert child.running
    finally:
        assert child.stop() == -signal.SIGTERM
    assert not child.running


def test_a_child_that_dies_at_start_is_quoted(log_file):
    child = python("print('the port is cursed'); raise SystemExit(3)", log_file, ready=ready_line)
    with pytest.raises(ChildError) as failed:
        child.start()
    assert "ended with status 3" in str(failed.value)
    assert "the port is cursed" in str(failed.value)
    assert str(log_file) in str(failed.value)


def test_a_command_that_does_not_exist_is_named(log_file):
    with pytest.raises(ChildError, match="cannot run /no/such/program: No such file"):
        Child("ghost", ["/no/such/program"], log_file, ready=ready_line).start()


def test_a_dead_child_is_not_ready_though_another_server_answers(log_file):
    child = python("pass", log_file, ready=lambda child: None if child.running else {})
    with pytest.raises(ChildError, match="ended with status 0"):
        child.start()


def test_a_child_that_is_never_ready_is_stopped(log_file):
    child = python(SLEEP, log_file, ready=ready_when(lambda: False), ready_timeout=0.05)
    with pytest.raises(ChildError, match="not ready within"):
        child.start()
    assert not child.running


def test_a_child_deaf_to_sigterm_is_killed(log_file):
    child = python(DEAF + READY + SLEEP, log_file, ready=ready_line, stop_timeout=0.05).start()
    assert child.stop() == -signal.SIGKILL


def test_grandchildren_do_not_outlive_a_stop(log_file):
    code = (
        "import subprocess, sys, json\n"
        f"grandchild = subprocess.Popen([sys.executable, '-c', {(DEAF + SLEEP)!r}])\n"
        "print(json.dumps({'ready': True, 'pid': grandchild.pid}), flush=True); grandchild.wait()"
    )
    child = python(code, log_file, ready=ready_line).start()
    grandchild = psutil.Process(child.announced["pid"])
    child.stop()
    psutil.wait_procs([grandchild], timeout=10)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_second_start_reads_only_its_own_output(log_file):
    child = python(READY + SLEEP, log_file, ready=ready_line)
    for _ in range(2):
        child.start()
        assert child.output().count("ready") == 1
        child.stop()
    assert log_file.read_text().count("ready") == 2


def test_a_running_child_is_not_started_twice(log_file):
    child = python(SLEEP, log_file).start()
    try:
        with pytest.raises(RuntimeError, match="runs already"):
            child.start()
    finally:
        child.stop()


def test_a_log_that_grew_too_long_moves_aside(log_file):
    log_file.parent.mkdir()
    log_file.write_bytes(b"x" * (LOG_ROTATION_BYTES + 1))
    child = python(READY + SLEEP, log_file, ready=ready_line).start()
    child.stop()
    assert log_file.stat().st_size < 1000
    assert log_file.with_name("child.log.1").stat().st_size == LOG_ROTATION_BYTES + 1


def test_a_child_lives_on_when_the_thread_that_started_it_ends(log_file):
    child = python(READY + SLEEP, log_file, ready=ready_line)
    thread = threading.Thread(target=child.start)
    thread.start()
    thread.join()
    try:
        with pytest.raises(psutil.TimeoutExpired):
            psutil.Process(child.pid).wait(timeout=0.3)
    finally:
        assert child.stop() == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_die_with_a_parent_that_is_killed(log_file):
    parent_code = (
        "import sys, time; from pathlib import Path\n"
        "from sinks.embedded.processes import Child, ready_line\n"
        "from sinks.embedded.supervisor import Supervisor\n"
        "supervisor = Supervisor()\n"
        f"code = {(DEAF + READY + SLEEP)!r}\n"
        "for name in 'ab':\n"
        "    child = Child(name, [sys.executable, '-c', code], Path(sys.argv[1] + name), ready=ready_line)\n"
        "    print(supervisor.start(child).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", parent_code, str(log_file)]
    log_file.parent.mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        children = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
