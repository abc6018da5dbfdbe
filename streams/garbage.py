"""The garbage collector, told that records are no cycles: it took a seventh of a loaded worker's time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (100_000, 50, 100)
"""Allocations before a collection of the youngest, and collections before one of the older generations."""


def collect_rarely() -> None:
    """For the rest of this process: what start-up left is here to stay, and a batch's objects go by their counts.

    A batch allocates hundreds of thousands of objects, none of which is garbage when the collector looks.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


@contextmanager
def rare_collections() -> Iterator[None]:
    """`collect_rarely` for the length of a block."""
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
