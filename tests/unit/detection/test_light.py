"""The light of a customer at an instant, to the point."""

from schemas.interaction import DAY
from streams.catalogue.rule_files import load_rules
from streams.core.detection.detect import detect
from streams.core.detection.light import DEFAULT_LIGHT, MINUTE, light_of
from tests.builders import call

ANN = "crm:ann"
WAITED = call("2026-03-02T10:00Z", ANN, wait=700.0, id="c")
(LONG_WAIT,) = detect(ANN, [WAITED], WAITED.occurred_at, load_rules()).findings
WHOLE = light_of(ANN, [LONG_WAIT], WAITED.occurred_at).score


def test_a_finding_counts_half_after_a_half_life() -> None:
    assert LONG_WAIT.weight * 1_000 == WHOLE
    assert light_of(ANN, [LONG_WAIT], WAITED.occurred_at + DEFAULT_LIGHT.half_life).score == WHOLE // 2


def test_a_finding_that_the_clock_has_not_come_to_counts_whole_and_no_more() -> None:
    for ahead in (MINUTE, 30 * DAY):
        assert light_of(ANN, [LONG_WAIT], WAITED.occurred_at - ahead).score == WHOLE
