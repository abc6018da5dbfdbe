"""When a contestant's clock runs, the same rule for all; standard library only."""

import json
import os
import sys
import time
from typing import NamedTuple, NoReturn


class Reading(NamedTuple):
    """What a contestant says: records handed over while its clock ran, seconds, and CPU seconds of its process."""

    records: int
    seconds: float
    cpu_seconds: float


class Task(NamedTuple):
    """What a contestant is told on its command line."""

    bootstrap: str
    topic: str
    group: str
    records: int
    directory: str


def task(arguments: list[str] | None = None) -> Task:
    """Read the command line."""
    bootstrap, topic, group, records, directory = sys.argv[1:] if arguments is None else arguments
    return Task(bootstrap, topic, group, int(records), directory)


class Stopwatch:
    """Starts when the first records are handed over and does not count those: they came before it ran.

    So nobody's start-up counts, and reading in batches gives no head start: the first batch is handled on the
    clock, but counted for nothing.
    """

    def __init__(self, records: int) -> None:
        self._left = records
        self._counted: int | None = None
        self._begun = self._cpu_begun = 0.0

    def saw(self, records: int) -> bool:
        """So many records more were handed over; whether those were the last ones."""
        if self._counted is None:
            self._counted = 0
            self._begun, self._cpu_begun = time.perf_counter(), time.process_time()
        else:
            self._counted += records
        self._left -= records
        return self._left <= 0

    def reading(self) -> Reading:
        """What it shows now. Raises ValueError when nothing was counted."""
        if not self._counted:
            raise ValueError("all records came at once: publish more of them")
        return Reading(
            self._counted, time.perf_counter() - self._begun, time.process_time() - self._cpu_begun
        )

    def stop(self) -> NoReturn:
        """Print the reading and end the process at once: taking a consumer group apart is not measured."""
        print(json.dumps(self.reading()._asdict()), flush=True)
        os._exit(0)
