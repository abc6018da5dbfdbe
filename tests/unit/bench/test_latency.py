"""Latency as figures: quantiles by nearest rank, the histogram, goals, and which probes count."""

import itertools
import json
import math
from typing import Any

import pytest

from bench import latency
from bench.latency import Latency, Probes
from bench.pipeline import PipelineLoad
from schemas.codec import Decoder
from schemas.interaction import Interaction
from streams.simulation.mess import SimulatedEvent

TENTHS = Latency(5_000.4, tuple(n / 10 for n in range(1, 101)))


@pytest.mark.parametrize(
    ("share", "seconds"), [(0.5, 5.0), (0.95, 9.5), (0.99, 9.9), (1.0, 10.0), (0.001, 0.1)]
)
def test_a_quantile_is_the_least_that_so_many_do_not_exceed(share: float, seconds: float) -> None:
    assert TENTHS.quantile(share) == seconds


def test_one_probe_is_every_quantile() -> None:
    assert {Latency(1, (0.25,)).quantile(share) for share in (0.01, 0.5, 1.0)} == {0.25}


def test_every_probe_is_in_one_bar_its_bound_included() -> None:
    bars = dict(Latency(1, (0.05, 0.0500001, 1.0, 3.0, 3.1)).histogram())
    assert sum(bars.values()) == 5
    assert (bars[0.05], bars[0.1], bars[1.0], bars[3.0], bars[math.inf]) == (1, 1, 1, 1, 1)


def test_the_document_is_in_milliseconds_and_plain_json() -> None:
    document = json.loads(json.dumps(TENTHS.as_json(), allow_nan=False))
    assert document["events_a_second"] == 5_000
    assert (document["median"], document["p99"], document["max"]) == (5_000.0, 9_900.0, 10_000.0)
    assert document["histogram"][-1] == {"at_most_ms": None, "probes": 70}


def test_the_histogram_as_text_has_the_longest_bar_where_most_are() -> None:
    lines = list(TENTHS.lines())
    assert len(lines) == len(latency.BOUNDS)
    assert lines[-1].split() == [">", "3,000", "ms", "70", "#" * latency.BAR]


def test_goals_are_those_of_the_median_and_the_99th_percentile() -> None:
    assert list(TENTHS.goals()) == [("median", 1.0, 5.0), ("p99", 3.0, 9.9)]


def test_probes_of_the_warm_up_are_sent_but_do_not_count() -> None:
    event = SimulatedEvent("phone", None, b"{}", (), 1_772_323_200_000_000, "new", None, "A1")
    step = latency.WARM_UP_SECONDS / 3
    seconds = itertools.count(0.0, step)
    probes = Probes(PipelineLoad((event,) * 10, 1), 2, lambda: next(seconds))
    sent: list[Any] = list(probes)
    assert len(sent) == 15
    assert probes.sent_at == {"crm:probe-6": pytest.approx(3 * step), "crm:probe-8": pytest.approx(4 * step)}


def test_a_probe_is_a_valid_event_that_stands_by_itself() -> None:
    probe = latency._probe("crm:probe-7", 1_772_323_200_000_000)
    decoder = Decoder("BG", 0, lambda known, _: f"crm:{known.crm_id}")
    decoded = decoder.decode(probe.value, (), probe.channel, 0, 0, None, 1_772_323_200_000_000)
    assert isinstance(decoded, Interaction)
    assert (decoded.customer, decoded.treatment) == ("crm:probe-7", "rude")
