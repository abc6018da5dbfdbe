import os
import signal
import sys
import time

import psutil
import pytest

from sinks.embedded.processes import Child, ready_line
from sinks.embedded.supervisor import RestartPolicy, Supervisor

READY = "import json; print(json.dumps({'ready': True}), flush=True);"
SLEEP = "import time; time.sleep(600)"
POLICY = RestartPolicy(first_delay=1.0, longest_delay=3.0, healthy_after=60.0)


@pytest.fixture
def sleeper(tmp_path):
    def make(name, code=READY + SLEEP):
        return Child(name, [sys.executable, "-c", code], tmp_path / f"{name}.log", ready=ready_line)

    return make


def kill(child):
    process = psutil.Process(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    # Not reaped here, so that the supervisor is the one to notice.
    while process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.005)


@pytest.mark.parametrize(("failures", "delay"), [(1, 1.0), (2, 2.0), (3, 3.0), (5000, 3.0)])
def test_the_delay_doubles_up_to_its_cap(failures, delay):
    assert POLICY.delay(failures) == delay


def test_an_essential_child_that_dies_is_returned(sleeper):
    with Supervisor() as supervisor:
        kafka, clickhouse = supervisor.start(sleeper("kafka")), supervisor.start(sleeper("clickhouse"))
        assert supervisor.look(0.0) is None
        kill(clickhouse)
        assert supervisor.wait(timeout=10) is clickhouse
        assert "SIGKILL" in clickhouse.account()
        assert kafka.running
    assert not kafka.running


def test_a_worker_comes_back_exactly_when_its_delay_is_over(sleeper):
    with Supervisor() as supervisor:
        worker = supervisor.start(sleeper("worker"), POLICY)
        began = time.monotonic()
        kill(worker)
        assert supervisor.look(began) is None
        supervisor.look(began + 0.999)
        assert not worker.running
        supervisor.look(began + 1.0)
        assert worker.running
        assert supervisor.restarts(worker) == 1


def test_a_worker_that_keeps_dying_waits_longer_until_a_healthy_run(sleeper):
    with Supervisor() as supervisor:
        worker = supervisor.start(sleeper("worker"), POLICY)
        now = time.monotonic()
        for lived, delay in [(0.0, 1.0), (0.0, 2.0), (59.9, 3.0), (60.0, 1.0)]:
            now += lived
            kill(worker)
            supervisor.look(now)
            supervisor.look(now + delay - 0.01)
            assert not worker.running
            now += delay
            supervisor.look(now)
            assert worker.running


def test_a_worker_that_finished_stays_finished(sleeper):
    reports = []
    code = READY + "import sys; sys.stdin.read(); time = __import__('time'); time.sleep(0.2)"
    with Supervisor(reports.append) as supervisor:
        worker = supervisor.start(sleeper("worker", code), POLICY)
        psutil.Process(worker.pid).wait(timeout=10)
        supervisor.look(1e9)
        supervisor.look(2e9)
        assert worker.exit_status == 0
    assert reports == []


def test_all_stop_in_reverse_order_though_the_block_raises(sleeper, tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(order)!r}, 'a').write(NAME); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('{\"ready\": true}', flush=True); time.sleep(600)"
    )

    def interrupted():
        with Supervisor() as supervisor:
            for name in "abc":
                supervisor.start(sleeper(name, f"NAME = {name!r}\n{code}"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert order.read_text() == "cba"


def test_a_requested_stop_ends_the_wait():
    supervisor = Supervisor()
    supervisor.request_stop()
    assert supervisor.wait() is None
