"""A worker's sign of life: what is read from outside, and what is left of workers that died."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sinks.embedded.home import Home
from streams import cli, heartbeat
from streams.heartbeat import LONGEST_SILENCE, Beat, Heartbeat, read_beats


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


async def one_beat(heart: Heartbeat) -> None:
    """Begin to beat, until the first pause."""
    task = asyncio.create_task(heart.beat())
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def only_file(home: Home) -> Path:
    (file,) = home.heartbeats.iterdir()
    return file


async def test_a_worker_that_beats_is_starting_then_ready_then_gone(home: Home) -> None:
    heart = Heartbeat(home)
    assert read_beats(home) == []
    await one_beat(heart)
    (beat,) = read_beats(home)
    assert (beat.pid, beat.ready, beat.stuck) == (os.getpid(), False, False)
    heart.ready()
    (beat,) = read_beats(home)
    assert beat.ready
    heart.end()
    assert read_beats(home) == []
    assert list(home.heartbeats.iterdir()) == []


@pytest.mark.parametrize(("silent", "stuck"), [(LONGEST_SILENCE, False), (LONGEST_SILENCE + 0.001, True)])
def test_a_worker_is_stuck_when_silent_for_longer_than_the_longest_silence(
    silent: float, stuck: bool
) -> None:
    assert Beat(1, True, silent).stuck is stuck


async def test_each_beat_ends_the_silence(home: Home) -> None:
    heart = Heartbeat(home)
    await one_beat(heart)
    begun = time.time()
    os.utime(only_file(home), (begun - 100, begun - 100))
    (beat,) = read_beats(home, begun)
    assert beat.silent_seconds == pytest.approx(100, abs=0.01)
    await one_beat(heart)
    (beat,) = read_beats(home)
    assert beat.silent_seconds < 50


async def test_a_file_that_somebody_removed_is_written_again(home: Home) -> None:
    heart = Heartbeat(home)
    await one_beat(heart)
    only_file(home).unlink()
    await one_beat(heart)
    assert len(read_beats(home)) == 1


async def test_a_disk_that_takes_no_file_stops_no_worker(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.path.mkdir()
    home.run.write_text("no directory")
    heart = Heartbeat(home)
    await one_beat(heart)
    heart.ready()
    heart.end()
    (said,) = caplog.messages
    assert f"the heartbeat file {home.heartbeats}" in said


async def test_what_the_dead_have_left_is_not_read_and_swept_by_the_next(home: Home) -> None:
    program = """
import asyncio, os, sys
from pathlib import Path
from sinks.embedded.home import Home
from streams.heartbeat import Heartbeat
async def die():
    asyncio.create_task(Heartbeat(Home(Path(sys.argv[1]))).beat())
    await asyncio.sleep(0)
    os._exit(9)
asyncio.run(die())
"""
    done = subprocess.run([sys.executable, "-c", program, str(home.path)], check=False)
    assert done.returncode == 9
    left = only_file(home)
    assert read_beats(home) == []
    await one_beat(Heartbeat(home))
    assert only_file(home) != left


async def test_a_worker_of_another_host_is_neither_read_nor_swept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(heartbeat, "_host", lambda: "elsewhere")
        await one_beat(Heartbeat(home))
    theirs = only_file(home)
    assert read_beats(home) == []
    await one_beat(Heartbeat(home))
    assert len(read_beats(home)) == 1
    assert theirs.exists()


def doctor_says(capsys: pytest.CaptureFixture[str]) -> "tuple[int, dict[str, str]]":
    status = cli.run(["doctor", "--worker", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return status, {check["name"]: check["status"] for check in checks}


async def test_doctor_judges_the_worker_and_asks_no_server(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOUCHLINE_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__URL", "clickhouse://127.0.0.1:1")
    assert doctor_says(capsys) == (1, {"settings": "ok", "worker": "fail"})
    await one_beat(Heartbeat(home))
    name = f"worker {os.getpid()}"
    assert doctor_says(capsys) == (0, {"settings": "ok", name: "ok"})
    long_ago = time.time() - LONGEST_SILENCE - 1
    os.utime(only_file(home), (long_ago, long_ago))
    assert doctor_says(capsys) == (1, {"settings": "ok", name: "fail"})
