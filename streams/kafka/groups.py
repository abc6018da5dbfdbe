"""Questions about consumer groups, which their coordinator answers: just after a broker's start there is none yet."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

T = TypeVar("T")

PATIENCE: Final = 15.0
"""Seconds that a coordinator may take to be chosen and to load."""

PAUSE: Final = 0.25
"""Seconds between two questions."""

_NOT_YET: Final = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)


def asked_of_coordinator(ask: Callable[[], T]) -> T:
    """What `ask` answers, asked again while the coordinator is not ready. Raises its error after `PATIENCE`, and any
    other at once.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except _NOT_YET:
            if time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE)
