"""What `doctor` asks the workers of this home: whether they live. It asks a file of theirs, and no server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from streams.commands.checks import Check
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.heartbeat import Beat


def check_workers(settings: Settings) -> Iterator[Check]:
    """Each worker of this home that runs on this host; nothing where there is none."""
    from sinks.embedded.home import Home
    from streams.heartbeat import read_beats

    yield from map(judge_beat, read_beats(Home(settings.home)))


def check_a_worker_lives(settings: Settings) -> Iterator[Check]:
    """The same, for the one whose worker it is: that there is none is a failure."""
    workers = list(check_workers(settings))
    yield from workers or [
        Check(
            "worker",
            "fail",
            f"none of {settings.home} runs on this host",
            "start one: `touchline worker`, or set TOUCHLINE_HOME to that of the worker",
        )
    ]


def judge_beat(beat: "Beat") -> Check:
    """A worker that starts or waits for servers lives, as long as its loop turns."""
    name = f"worker {beat.pid}"
    if beat.stuck:
        return Check(
            name,
            "fail",
            f"no sign of life for {beat.silent_seconds:.0f} s",
            f"its log may say why; end it with `kill -9 {beat.pid}` and start it again: nothing is lost",
        )
    return Check(name, "ok", "lives, has its partitions" if beat.ready else "lives, is starting")
