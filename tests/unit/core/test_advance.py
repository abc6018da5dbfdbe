"""One customer from batch to batch: the clock that never goes back, and interactions that share a mark."""

import pytest

from schemas.interaction import DAY, Interaction, Micros
from streams.core.advance import Advance, advance_customer
from streams.core.append import append
from streams.core.marks import identity_mark
from streams.core.policy import DEFAULT_POLICY
from streams.core.state import CustomerState
from tests.builders import call, instant, revised

ANN = "crm:ann"
FIRST = call("2026-03-01T10:00Z", ANN)
LONG_AFTER = FIRST.occurred_at + DEFAULT_POLICY.gap + DAY


def advanced(before: CustomerState | None, now: Micros, *arrivals: Interaction) -> Advance:
    """As a batch does it."""
    return append(ANN, before, arrivals, now, DEFAULT_POLICY) or advance_customer(
        ANN, before, arrivals, now, DEFAULT_POLICY
    )


def state_of(*arrivals: Interaction, now: Micros) -> CustomerState:
    state = advanced(None, now, *arrivals).state
    assert state is not None
    return state


@pytest.mark.parametrize(
    "arrival",
    [revised(FIRST, transfers=1), call("2026-03-12T10:00Z", ANN)],
    ids=["a revision", "a later interaction"],
)
def test_a_journey_that_has_closed_stays_so_though_the_clock_of_a_new_owner_is_behind(
    arrival: Interaction,
) -> None:
    before = state_of(FIRST, now=LONG_AFTER)
    after = advanced(before, 0, arrival).state
    assert after is not None
    assert after.journeys[0].closed
    assert after.clock == LONG_AFTER


def test_who_is_heard_of_late_is_remembered_as_long_as_who_is_heard_of_now() -> None:
    now = instant("2027-03-01")
    assert state_of(FIRST, now=now).due == now + DEFAULT_POLICY.horizon + DEFAULT_POLICY.gap + 1


PLUMLESS = call("2026-03-02T10:00Z", ANN, id="plumless")
BUCKEROO = call("2026-03-03T10:00Z", ANN, id="buckeroo")


@pytest.mark.parametrize("at_once", [True, False])
def test_interactions_that_share_a_mark_are_two(at_once: bool) -> None:
    assert identity_mark(*PLUMLESS.key) == identity_mark(*BUCKEROO.key), "CRC-32 has it so"
    before = None if at_once else state_of(PLUMLESS, now=0)
    arrivals = (PLUMLESS, BUCKEROO) if at_once else (BUCKEROO,)
    advance = advanced(before, 0, *arrivals)
    assert advance.superseded == []
    assert advance.state is not None
    assert [step.id for step in advance.state.steps()] == ["plumless", "buckeroo"]
