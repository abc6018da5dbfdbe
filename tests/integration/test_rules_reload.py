"""Rules change while a worker runs: what is in force, what it finds, and what becomes of what it found."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.vocabulary import Channel
from streams.catalogue.rule_files import read_rule
from streams.core.detection.ruleset import version_of
from tests.integration.pipeline_fixtures import Road, open_road, wait_until

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)

RULE = """\
id: long_wait
title: A long wait
cool_down: 1d
sentence: "Waited for {wait_seconds} seconds."
action: Apologise.
stands_when:
  - {kind: threshold, severity: minor, where: {type: call, wait_seconds: {above: 600}}}
"""
STRICTER = RULE.replace("600", "300")
BROKEN = RULE.replace("600", "a while")

SECONDS = 30
"""In which rules are looked at, published, and heard of by all partitions."""


class Call(NamedTuple):
    """A call of somebody who waited for so long, as an upstream system sends it."""

    customer: str
    wait: int
    channel: Channel = "phone"
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    arrives_at: int = 0

    @property
    def value(self) -> bytes:
        return json.dumps(
            {
                "id": f"call-of-{self.customer}",
                "source": "pbx",
                "channel": "phone",
                "type": "call",
                "direction": "inbound",
                "occurred_at": NOW.isoformat(),
                "customer": {"crm_id": self.customer},
                "wait_seconds": self.wait,
            }
        ).encode()


def version(text: str) -> str:
    return version_of(read_rule(text, "long_wait.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one rule."""
    place = tmp_path / "rules"
    place.mkdir()
    (place / "long_wait.yaml").write_text(RULE)
    return place


@pytest.fixture
def road(tmp_path: Path, folder: Path) -> Iterator[Road]:
    with open_road(tmp_path / "home", "mock", environ={"TOUCHLINE_RULES__DIRECTORY": str(folder)}) as running:
        yield running


def findings(road: Road) -> dict[str, tuple[str, str]]:
    """By customer, the version of the rule that found it, and its state."""
    rows = road.rows("SELECT customer, rule_version, state FROM findings WHERE rule = 'long_wait'")
    assert len({customer for customer, *_ in rows}) == len(rows), "one call, one finding"
    return {customer.removeprefix("crm:"): (found_by, state) for customer, found_by, state in rows}


def wait_for(road: Road, expected: dict[str, tuple[str, str]]) -> None:
    wait_until(lambda: findings(road) == expected, SECONDS, lambda: f"{findings(road)}\n{road.account()}")


def test_rules_that_are_broken_mended_and_removed_while_a_worker_runs(road: Road, folder: Path) -> None:
    file = folder / "long_wait.yaml"
    (worker,) = road.workers
    process = worker.pid
    road.publish([Call("ANN", 700), Call("BOB", 400)])
    found = {"ANN": (version(RULE), "open")}
    wait_for(road, found)

    # Broken, and an editor's lock beside it: the old one stays in force, and the worker says why.
    (folder / ".#long_wait.yaml").symlink_to("ann@host.1:9")
    file.write_text(BROKEN)
    refused = f"rules refused, those in force stay: {file}:7: stands_when.0.where.wait_seconds"
    wait_until(lambda: refused in worker.output(), SECONDS, road.account)
    road.publish([Call("CLEO", 700), Call("DAN", 400)])
    found["CLEO"] = version(RULE), "open"
    wait_for(road, found)

    # Mended, with another threshold: what stood stands, what the new one finds has its version.
    (folder / ".#long_wait.yaml").unlink()
    file.write_text(STRICTER)
    found |= {"BOB": (version(STRICTER), "open"), "DAN": (version(STRICTER), "open")}
    wait_for(road, found)
    road.publish([Call("EVE", 400), Call("FAY", 200)])
    found["EVE"] = version(STRICTER), "open"
    wait_for(road, found)

    # Removed: nobody says that it was untrue, and nobody looks after it any more.
    file.unlink()
    wait_for(road, {customer: (found_by, "settled") for customer, (found_by, _) in found.items()})
    changes = road.rows("SELECT kind, reason, count() FROM findings_history GROUP BY ALL ORDER BY ALL")
    assert changes == [("raised", "completed", len(found)), ("settled", "rule changed", len(found))]

    assert (worker.pid, worker.exit_status) == (process, None), worker.account()
    assert worker.output().count(refused) == 1, "once, and not at every look"
