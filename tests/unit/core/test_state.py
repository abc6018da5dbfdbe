"""The bytes of a state."""

from schemas.interaction import DAY
from streams.core.advance import advance_customer
from streams.core.policy import DEFAULT_POLICY
from streams.core.state import CustomerState, decode_state, encode_state, next_due
from tests.builders import call, mail, visit

ANN = "crm:ann"


def test_a_state_comes_back_as_it_was() -> None:
    told = [
        call(DAY, ANN, about="billing", wait=3),
        mail(2 * DAY, ANN),
        visit(30 * DAY, ANN, text="Благодаря"),
    ]
    state = advance_customer(ANN, None, told, 2 * DAY, DEFAULT_POLICY).state
    assert state is not None
    again = decode_state(encode_state(state))
    assert again == state
    assert [step.interaction() for step in again.steps()] == told
    assert next_due(encode_state(state)) == state.due


def test_states_written_by_the_first_version_stay_readable() -> None:
    stub = bytes.fromhex("9a c0 01 02 03 04 90 00 c400 90 c400")
    assert decode_state(stub) == CustomerState(None, newest=1, clock=2, floor=3, basis=4)
    without_marks = bytes.fromhex("99 c0 01 02 03 04 90 00 c400 90")
    assert decode_state(without_marks).marks == b""
