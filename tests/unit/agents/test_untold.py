"""What was about to be told when an owner died: told again as far as the states are there."""

from streams.agents.untold import dump_untold, tell_again
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.detection.light import DEFAULT_LIGHT
from streams.core.identification.handover import Handover
from streams.core.policy import DEFAULT_POLICY
from streams.kafka.store import State
from streams.rule_files import load_rules
from streams.rule_sets import rules_folder
from tests.builders import call

RULES = Detection(load_rules(rules_folder(None)))
RUDE = [call(f"2026-03-0{day}", by=by, treatment="rude") for day in (1, 2) for by in ("crm:ann", "crm:bob")]


def found() -> tuple[BatchResult, bytes]:
    result = advance_batch({}.get, RUDE, (), 0, DEFAULT_POLICY, RULES)
    untold = dump_untold(result.changes, result.lights)
    assert untold is not None
    return result, untold


def test_with_all_states_there_all_is_told_as_it_was() -> None:
    result, untold = found()
    states: State = {key: state for key, state in result.states.items() if state is not None}
    told = tell_again(untold, states, 0, DEFAULT_LIGHT)
    assert list(told.changes) == list(result.changes)
    assert {light.customer: light.contributions for light in told.lights} == {
        light.customer: light.contributions for light in result.lights
    }


def test_of_a_state_that_is_not_there_nothing_is_told_but_that_its_light_is_out() -> None:
    result, untold = found()
    anns = result.states[b"crm:ann"]
    assert anns is not None
    told = tell_again(untold, {b"crm:ann": anns}, 0, DEFAULT_LIGHT)
    assert {change.finding.customer for change in told.changes} == {"crm:ann"}
    assert {light.customer: bool(light.contributions) for light in told.lights} == {
        "crm:ann": True,
        "crm:bob": False,
    }


def test_nothing_to_tell_is_not_stored() -> None:
    assert dump_untold((), ()) is None


def test_that_findings_were_erased_is_told_again_once_no_state_knows_them() -> None:
    result, untold = found()
    held = {key: state for key, state in result.states.items() if state is not None}
    handover = Handover({b"crm:ann": [one.key for one in RUDE]}, {}, erased={b"crm:ann"})
    forgotten = advance_batch(held.get, (), (), 0, DEFAULT_POLICY, RULES, handover)
    untold = dump_untold(forgotten.changes, forgotten.lights) or b""
    assert forgotten.changes
    assert forgotten.states == {b"crm:ann": None}
    assert tell_again(untold, held, 0, DEFAULT_LIGHT).changes == [], (
        "the state is still there: it will be told as new"
    )
    del held[b"crm:ann"]
    told = tell_again(untold, held, 0, DEFAULT_LIGHT)
    assert list(told.changes) == list(forgotten.changes)
    assert [(light.customer, light.contributions) for light in told.lights] == [("crm:ann", ())]
