"""Run a program on one core: `python -m bench.pinned CORE PROGRAM ARGUMENT...` becomes that program."""

import os
import sys


def command(core: int | None, program: list[str]) -> list[str]:
    """The command line that runs `program` on that core; as it is when there is none to give away."""
    return program if core is None else [sys.executable, "-m", "bench.pinned", str(core), *program]


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    os.execv(sys.argv[2], sys.argv[2:])
