"""How long an anonymous interaction is remembered."""

from schemas.interaction import DAY
from streams.core.anonymous import advance_anonymous
from streams.core.policy import DEFAULT_POLICY
from tests.builders import call, revised

HORIZON = DEFAULT_POLICY.horizon
NOBODYS = call("2026-03-01T10:00Z", id="n")
AT = NOBODYS.occurred_at


def test_it_is_forgotten_a_horizon_after_it_was_heard_of_or_occurred_whichever_is_later() -> None:
    for now, last in ((AT - DAY, AT), (AT + DAY, AT + DAY)):
        state = advance_anonymous(None, [NOBODYS], now, DEFAULT_POLICY).state
        assert state is not None
        assert state.due == last + HORIZON + 1
        assert advance_anonymous(state, [], last + HORIZON, DEFAULT_POLICY).state is state
        assert advance_anonymous(state, [], last + HORIZON + 1, DEFAULT_POLICY).state is None


def test_a_revision_that_names_an_earlier_time_shortens_nothing() -> None:
    before = advance_anonymous(None, [NOBODYS], 0, DEFAULT_POLICY).state
    after = advance_anonymous(before, [revised(NOBODYS, occurred_at=AT - DAY)], 0, DEFAULT_POLICY).state
    assert before is not None
    assert after is not None
    assert (after.newest, after.due) == (before.newest, before.due)
