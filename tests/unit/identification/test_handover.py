"""A batch in which interactions change hands: rows, journeys, findings, lights, states."""

from collections.abc import Sequence

from schemas.interaction import DAY, Interaction
from streams.catalogue.rule_files import compile_files, load_rules
from streams.catalogue.rule_sets import rules_folder
from streams.core.anonymous import ANONYMOUS_KEY
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.handover import Handover
from streams.core.journeys import journey_id_of
from streams.core.policy import DEFAULT_POLICY
from streams.core.state import decode_state, identity_mark
from streams.core.timeline import coordinates_of
from tests.builders import call, instant, mail, revised, visit

ANN, KEY = "crm:ann", b"crm:ann"
NOW = instant("2026-03-10")


class Stage:
    """The journeys stage without Kafka."""

    def __init__(self, detection: Detection | None = None) -> None:
        self.states: dict[bytes, bytes] = {}
        self.detection = detection

    def read(
        self, *told: Interaction, handover: Handover | None = None, due: Sequence[bytes] = ()
    ) -> BatchResult:
        result = advance_batch(self.states.get, told, due, NOW, DEFAULT_POLICY, self.detection, handover)
        for key, state in result.states.items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = state
        return result


def leaving(*gone: Interaction) -> Handover:
    return Handover({KEY: [one.key for one in gone]}, {})


def id_of(first: Interaction) -> str:
    return journey_id_of(ANN, *first.key, b"")


FIRST, SECOND, LAST = call("2026-03-01", ANN), mail("2026-03-02", ANN), visit("2026-03-03", ANN)


def test_what_leaves_takes_its_journeys_name_with_it_and_the_rest_is_written_again() -> None:
    stage = Stage()
    stage.read(FIRST, SECOND, LAST)
    result = stage.read(handover=leaving(FIRST))
    assert result.retracted == [(ANN, id_of(FIRST))]
    assert [(one.journey_id, one.interactions) for one in result.journeys] == [(id_of(SECOND), 2)]
    assert {row.interaction.id for row in result.interactions} == {SECOND.id, LAST.id}
    assert decode_state(stage.states[KEY]).held == 2


def test_what_leaves_goes_before_what_arrives_and_both_are_one_set_of_rows() -> None:
    stage = Stage()
    stage.read(FIRST, SECOND)
    result = stage.read(LAST, handover=leaving(FIRST))
    assert [(one.journey_id, one.interactions) for one in result.journeys] == [(id_of(SECOND), 2)]
    assert [row.journey_id for row in result.interactions] == [id_of(SECOND)] * 2
    assert result.marks[KEY] == identity_mark(*LAST.key), "what came"


def test_a_customer_who_loses_everything_is_forgotten() -> None:
    stage = Stage()
    stage.read(FIRST, SECOND)
    result = stage.read(handover=leaving(FIRST, SECOND), due=[KEY])
    assert result.retracted == [(ANN, id_of(FIRST))]
    assert (result.journeys, result.interactions, stage.states) == ([], [], {})
    assert result.due == {KEY: None}


def test_what_is_written_again_takes_back_what_a_run_that_died_may_have_begun() -> None:
    stage = Stage()
    stage.read(FIRST, SECOND)
    result = stage.read(handover=Handover({}, {KEY: [LAST.key]}))
    assert {row.interaction.id for row in result.interactions} == {FIRST.id, SECOND.id}
    assert [one.journey_id for one in result.journeys] == [id_of(FIRST)]
    assert set(result.retracted) == {(ANN, id_of(SECOND)), (ANN, id_of(LAST))}
    assert result.states == {}, "nothing has changed"


def test_an_anonymous_interaction_leaves_without_a_trace() -> None:
    stage = Stage()
    nobodys = call("2026-03-01")
    stage.read(nobodys)
    (key,) = stage.states
    assert key.startswith(ANONYMOUS_KEY)
    result = stage.read(handover=Handover({key: [nobodys.key]}, {}, (coordinates_of(nobodys),)))
    assert (result.interactions, stage.states) == ([], {})
    assert result.superseded == [coordinates_of(nobodys)]


def test_journeys_that_are_due_are_closed_in_the_same_step() -> None:
    stage = Stage()
    stage.read(call("2026-02-20", ANN), mail("2026-02-21", ANN))
    odd = call("2026-02-20", ANN)
    result = stage.read(handover=leaving(odd), due=[KEY])
    assert [one.closed for one in result.journeys] == [True]


RULES = load_rules(rules_folder(None), 30 * DAY)


def test_a_finding_whose_evidence_is_anothers_is_withdrawn_and_the_others_stay() -> None:
    stage = Stage(Detection(RULES))
    rude = [call(f"2026-03-0{day}", ANN, treatment="rude", id=f"rude-{day}") for day in (1, 2)]
    raised = stage.read(*rude)
    assert [one.kind for one in raised.changes] == ["raised", "raised"]
    result = stage.read(handover=leaving(rude[0]))
    ((change,)) = result.changes
    assert (change.kind, change.reason, change.cause) == ("withdrawn", "moved", rude[0].key)
    ((light,)) = result.lights
    assert [one.finding_id for one in light.contributions] == [raised.changes[1].finding.finding_id]


def test_a_finding_of_a_rule_that_has_changed_since_is_withdrawn_all_the_same() -> None:
    """It is settled when nothing says more; but this evidence is not the customer's."""
    stage = Stage(Detection(RULES))
    rude = call("2026-03-01", ANN, treatment="rude")
    stage.read(rude, FIRST)
    stage.detection = Detection(compile_files((), 30 * DAY))
    result = stage.read(handover=leaving(rude))
    assert [(one.kind, one.reason) for one in result.changes] == [("withdrawn", "moved")]


def test_whoever_loses_all_keeps_the_numbers_of_changes_and_starts_anew_with_them() -> None:
    stage = Stage(Detection(RULES))
    rude = call("2026-03-01", ANN, treatment="rude")
    stage.read(rude)
    gone = stage.read(handover=leaving(rude))
    assert [(one.kind, one.sequence) for one in gone.changes] == [("withdrawn", 2)]
    assert [(one.colour, one.contributions) for one in gone.lights] == [("green", ())]
    stub = decode_state(stage.states[KEY])
    assert (stub.held, stub.journeys, stub.due) == (0, (), None)
    long_ago = call("2026-01-01", ANN)
    back = stage.read(long_ago, rude)
    assert {row.interaction.id: row.beyond_horizon for row in back.interactions} == {
        rude.id: False, long_ago.id: False
    }, "the stub keeps nothing from coming"  # fmt: skip
    assert [(one.kind, one.sequence) for one in back.changes] == [("raised", 3)]


def test_a_correction_replaces_what_was_written_again() -> None:
    stage = Stage()
    stage.read(FIRST)
    later = revised(FIRST)
    result = stage.read(later, handover=Handover({}, {KEY: []}))
    assert [row.interaction for row in result.interactions] == [later]
    assert result.superseded == [coordinates_of(FIRST)]
