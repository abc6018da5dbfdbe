"""A worker that breaks on purpose, in the place of an honest one."""

import sys
from pathlib import Path

import pytest

from sinks.embedded.processes import Child, ready_line
from tests.integration.pipeline_fixtures import Road

PLACES_AND_BROKERS = (
    ("intent", "mock"),
    pytest.param("rows", "kafka", marks=pytest.mark.java),
    pytest.param("states", "kafka", marks=pytest.mark.java),
    ("telling", "mock"),
)
"""Where `dying_worker` dies, and on which broker: `make test` dies at the outer places, `make integration` between."""


def broken_worker(module: str, *arguments: str, road: Road, log: Path) -> Child:
    """The program `module` as a worker of the road; not yet started."""
    return Child(
        module.rpartition(".")[2],
        [sys.executable, "-m", module, *arguments],
        log,
        ready=ready_line,
        ready_timeout=60,
        environment={"TOUCHLINE_KAFKA__BOOTSTRAP": road.running.servers.kafka.bootstrap},
    )
