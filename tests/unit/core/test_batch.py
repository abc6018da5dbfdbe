"""One batch after another: what is written, superseded, retracted, forgotten."""

from collections.abc import Sequence

import msgspec
import pytest

from schemas.interaction import DAY, Interaction, routing_key
from schemas.records import PlacedInteraction
from streams.core.batch import BatchResult, advance_batch
from streams.core.journeys import journey_id_of
from streams.core.policy import DEFAULT_POLICY, JourneyPolicy
from streams.core.state import decode_state, next_due
from streams.core.timeline import coordinates_of
from tests.builders import call, instant, mail, page_view, repeated, revised, visit

ANN = "crm:ann"
KEY = b"crm:ann"


class Stage:
    """The journeys stage without Kafka: batches in, results out, states kept."""

    def __init__(self, policy: JourneyPolicy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self.states: dict[bytes, bytes] = {}

    def read(self, *told: Interaction, now: str, due: Sequence[bytes] = ()) -> BatchResult:
        result = advance_batch(self.states.get, told, due, instant(now), self.policy)
        for key, state in result.states.items():
            if state is None:
                del self.states[key]
            else:
                self.states[key] = state
        return result


def id_of(first: Interaction) -> str:
    return journey_id_of(ANN, first.source, first.id, b"")


def test_a_first_interaction_is_placed_and_its_journey_emitted() -> None:
    told = call("2026-03-01", ANN)
    result = Stage().read(told, now="2026-03-01")
    assert result.interactions == [PlacedInteraction(told, id_of(told))]
    assert [(one.journey_id, one.interactions, one.closed) for one in result.journeys] == [
        (id_of(told), 1, False)
    ]
    assert result.due == {KEY: instant("2026-03-08") + 1}
    assert (result.retracted, result.superseded, result.beyond_horizon, result.dropped) == ([], [], 0, 0)


def test_the_due_instant_is_read_from_the_state_alone() -> None:
    stage = Stage()
    result = stage.read(call("2026-03-01", ANN), now="2026-03-01")
    assert next_due(stage.states[KEY]) == result.due[KEY]


def test_a_late_interaction_that_bridges_two_journeys_merges_them() -> None:
    stage = Stage()
    first, second = call("2026-03-01", ANN), mail("2026-03-10", ANN)
    stage.read(first, second, now="2026-03-10")
    late = visit("2026-03-05", ANN)
    result = stage.read(late, now="2026-03-10")
    assert [(one.journey_id, one.interactions) for one in result.journeys] == [(id_of(first), 3)]
    assert result.retracted == [(ANN, id_of(second))]
    assert {row.interaction.id: row.journey_id for row in result.interactions} == {
        late.id: id_of(first),
        second.id: id_of(first),
    }


def test_a_late_beginning_gives_the_journey_a_new_name_and_all_its_rows() -> None:
    stage = Stage()
    second, third = mail("2026-03-02", ANN), call("2026-03-03", ANN)
    stage.read(second, third, now="2026-03-03")
    first = call("2026-03-01", ANN)
    result = stage.read(first, now="2026-03-03")
    assert result.retracted == [(ANN, id_of(second))]
    assert {row.journey_id for row in result.interactions} == {id_of(first)}
    assert len(result.interactions) == 3


def test_a_revision_that_moves_away_splits_the_journey() -> None:
    stage = Stage()
    first, bridge, last = call("2026-03-01", ANN), mail("2026-03-06", ANN), visit("2026-03-11", ANN)
    stage.read(first, bridge, last, now="2026-03-11")
    moved = revised(bridge, occurred_at=instant("2026-03-01T12:00Z"))
    result = stage.read(moved, now="2026-03-11")
    assert sorted((one.journey_id, one.interactions) for one in result.journeys) == sorted(
        [(id_of(first), 2), (id_of(last), 1)]
    )
    assert result.superseded == [coordinates_of(bridge)]


def test_a_lower_or_equal_revision_changes_nothing_and_is_superseded() -> None:
    stage = Stage()
    told = revised(call("2026-03-01", ANN))
    stage.read(told, now="2026-03-01")
    older = call("2026-03-01", ANN)
    (twin,) = repeated(told)
    result = stage.read(older, twin, now="2026-03-01")
    assert result.superseded == [coordinates_of(older), coordinates_of(twin)]
    assert (result.interactions, result.journeys, result.states) == ([], [], {})


def test_the_very_record_once_more_writes_its_rows_again_and_supersedes_nothing() -> None:
    stage = Stage()
    told = call("2026-03-01", ANN)
    before = stage.read(told, now="2026-03-01")
    again = stage.read(told, now="2026-03-01")
    assert again.interactions == before.interactions
    assert again.journeys == before.journeys
    assert (again.superseded, again.states) == ([], {})


def test_a_journey_closes_when_due_and_not_a_microsecond_before() -> None:
    stage = Stage()
    stage.read(call("2026-03-01", ANN), now="2026-03-01")
    assert stage.read(now="2026-03-08T00:00:00Z", due=[KEY]).journeys == []
    closing = stage.read(now="2026-03-08T00:00:00.000001Z", due=[KEY])
    assert [journey.closed for journey in closing.journeys] == [True]
    assert closing.interactions == []


def test_a_clock_that_goes_back_does_not_open_what_was_closed() -> None:
    stage = Stage()
    first = call("2026-03-01", ANN)
    stage.read(first, now="2026-03-20")
    result = stage.read(mail("2026-03-15", ANN), now="2026-03-01")
    assert [one.closed for one in result.journeys if one.journey_id == id_of(first)] in ([], [True])
    assert [one.closed for one in decode_state(stage.states[KEY]).journeys] == [True, False]


def test_an_anonymous_interaction_belongs_to_no_journey_and_is_deduplicated() -> None:
    stage = Stage()
    told = page_view("2026-03-01")
    first = stage.read(told, now="2026-03-01")
    assert first.interactions == [PlacedInteraction(told, None)]
    assert first.journeys == []
    (twin,) = repeated(told)
    assert stage.read(twin, now="2026-03-01").superseded == [coordinates_of(twin)]
    better = revised(told, target="/help")
    result = stage.read(better, now="2026-03-01")
    assert result.interactions == [PlacedInteraction(better, None)]
    assert result.superseded == [coordinates_of(told)]


def test_an_anonymous_interaction_is_forgotten_after_the_horizon_without_a_trace() -> None:
    stage = Stage()
    told = page_view("2026-03-01")
    stage.read(told, now="2026-03-01")
    key = routing_key(told)
    assert stage.read(now="2026-03-31T00:00:00Z", due=[key]).states == {}
    result = stage.read(now="2026-03-31T00:00:00.000001Z", due=[key])
    assert result.states == {key: None}
    assert result.due == {key: None}


def test_exactly_the_horizon_late_is_accepted_and_a_microsecond_more_is_beyond() -> None:
    stage = Stage()
    stage.read(call("2026-03-31", ANN), now="2026-03-31")
    just = stage.read(mail("2026-03-01", ANN), now="2026-03-31")
    assert just.beyond_horizon == 0
    stage = Stage()
    stage.read(call("2026-03-31", ANN), now="2026-03-31")
    too_late = mail("2026-02-28T23:59:59.999999Z", ANN)
    result = stage.read(too_late, now="2026-03-31")
    assert result.interactions == [PlacedInteraction(too_late, None, True)]
    assert result.beyond_horizon == 1
    assert (result.journeys, result.states) == ([], {})


def test_behind_the_horizon_but_inside_a_kept_journey_is_accepted() -> None:
    stage = Stage()
    days = [call(instant("2026-03-01") + day * DAY, ANN) for day in range(0, 42, 6)]
    stage.read(*days, now="2026-04-06")
    result = stage.read(mail("2026-03-02", ANN), now="2026-04-06")
    assert result.beyond_horizon == 0
    assert [journey.interactions for journey in result.journeys] == [8]


def test_old_events_of_a_customer_never_seen_are_a_backfill_not_beyond_the_horizon() -> None:
    stage = Stage()
    result = stage.read(call("2020-03-01", ANN), now="2026-03-01")
    assert result.beyond_horizon == 0
    assert [journey.closed for journey in result.journeys] == [True]
    following = stage.read(mail("2020-03-02", ANN), now="2026-03-01T00:10Z")
    assert [(journey.interactions, journey.closed) for journey in following.journeys] == [(2, True)]


def test_a_dormant_customer_shrinks_to_a_stub_that_protects_final_journeys() -> None:
    stage = Stage()
    stage.read(call("2026-03-01", ANN), now="2026-03-01")
    stage.read(now="2026-03-09", due=[KEY])
    asleep = stage.read(now="2026-06-01", due=[KEY])
    assert (asleep.journeys, asleep.due) == ([], {KEY: None})
    assert len(stage.states[KEY]) < 60
    late = mail("2026-03-08", ANN)
    assert stage.read(late, now="2026-06-01").interactions == [PlacedInteraction(late, None, True)]
    back = stage.read(mail("2026-03-08T00:00:00.000001Z", ANN), now="2026-06-01")
    assert [journey.interactions for journey in back.journeys] == [1]


def test_a_full_timeline_folds_its_oldest_into_the_sums() -> None:
    stage = Stage(JourneyPolicy(max_interactions=3))
    told = [call(instant("2026-03-01") + day * DAY, ANN, wait=10.0) for day in range(5)]
    results = [stage.read(one, now="2026-03-06") for one in told]
    assert [result.dropped for result in results] == [0, 0, 0, 1, 1]
    (journey,) = results[-1].journeys
    assert journey.journey_id == id_of(told[0])
    assert journey.started_at == told[0].occurred_at
    assert (journey.interactions, journey.wait_seconds, len(journey.path)) == (5, 50.0, 3)
    late = mail(told[1].occurred_at, ANN)
    assert stage.read(late, now="2026-03-06").beyond_horizon == 1


def test_a_policy_changed_between_two_runs_cuts_the_customer_anew_at_the_next_touch() -> None:
    stage = Stage()
    first, second, third = call("2026-03-01", ANN), mail("2026-03-05", ANN), visit("2026-03-09", ANN)
    stage.read(first, second, now="2026-03-05")
    stage.policy = JourneyPolicy(gap=3 * DAY)
    result = stage.read(third, now="2026-03-09")
    assert sorted(one.journey_id for one in result.journeys) == sorted(map(id_of, (first, second, third)))
    assert {row.interaction.id: row.journey_id for row in result.interactions} == {
        second.id: id_of(second),
        third.id: id_of(third),
    }


def test_another_key_of_ids_names_the_journeys_anew_at_the_next_touch_and_leaves_none_twice() -> None:
    stage = Stage()
    first, second = call("2026-03-01", ANN), mail("2026-03-05", ANN)
    stage.read(first, now="2026-03-05")
    stage.policy = JourneyPolicy(id_key=b"any key")
    result = stage.read(second, now="2026-03-05")
    keyed = journey_id_of(ANN, first.source, first.id, b"any key")
    assert [journey.journey_id for journey in result.journeys] == [keyed]
    assert result.retracted == [(ANN, id_of(first))]
    assert {row.interaction.id: row.journey_id for row in result.interactions} == {
        first.id: keyed,
        second.id: keyed,
    }


def test_customers_of_one_batch_do_not_see_each_other() -> None:
    result = Stage().read(call("2026-03-01", ANN), call("2026-03-02", "crm:bob"), now="2026-03-02")
    assert {journey.customer: journey.interactions for journey in result.journeys} == {ANN: 1, "crm:bob": 1}
    assert set(result.states) == {KEY, b"crm:bob"}


def test_a_due_key_without_a_state_is_nobody() -> None:
    result = Stage().read(now="2026-03-01", due=[KEY, b"anonymous:web\x1f1"])
    assert (result.states, result.due) == ({}, {KEY: None, b"anonymous:web\x1f1": None})


def test_foreign_bytes_in_a_state_are_an_error_and_not_an_empty_timeline() -> None:
    with pytest.raises(msgspec.DecodeError):
        advance_batch({KEY: b"nonsense"}.get, [call("2026-03-01", ANN)], (), 0, DEFAULT_POLICY)
