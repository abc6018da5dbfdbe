"""Interactions that leave a timeline: what is left is as if they had never been there."""

from schemas.corrections import (
    correction_key,
    correction_of,
    decode_correction,
    encode_correction,
)
from schemas.identifiers import Identifiers
from schemas.interaction import Interaction
from streams.core.advance import advance_customer
from streams.core.identification.departure import depart, followed_by, rewrite
from streams.core.identification.moves import is_outdated, is_overruled, moves
from streams.core.journeys import journey_id_of
from streams.core.policy import DEFAULT_POLICY
from streams.core.state import CustomerState
from tests.builders import call, instant, mail, revised

NOW = instant("2026-03-20")
ANN = "crm:ann"


def state_of(*interactions: Interaction) -> CustomerState:
    state = advance_customer(ANN, None, interactions, NOW, DEFAULT_POLICY).state
    assert state is not None
    return state


FIRST, SECOND, THIRD = (
    call("2026-03-01T10:00Z", by=ANN),
    mail("2026-03-03T10:00Z", by=ANN),
    call("2026-03-15T10:00Z", by=ANN),
)


def test_what_is_left_is_as_if_the_others_had_never_been_there() -> None:
    left = depart(ANN, state_of(FIRST, SECOND, THIRD), {FIRST.key}, NOW, DEFAULT_POLICY)
    assert left.state == state_of(SECOND, THIRD)


def test_the_journey_that_it_began_is_retracted_and_the_rest_written_again() -> None:
    left = depart(ANN, state_of(FIRST, SECOND), {FIRST.key}, NOW, DEFAULT_POLICY)
    assert list(left.retracted) == [journey_id_of(ANN, *FIRST.key, b"")]
    assert [journey.journey_id for journey in left.journeys] == [journey_id_of(ANN, *SECOND.key, b"")]
    assert [row.interaction for row in left.interactions] == [SECOND]


def test_a_bridge_that_leaves_cuts_the_journey_in_two() -> None:
    early, bridge, late = (call(f"2026-03-{day:02d}T10:00Z", by=ANN) for day in (1, 6, 12))
    left = depart(ANN, state_of(early, bridge, late), {bridge.key}, NOW, DEFAULT_POLICY)
    assert left.state == state_of(early, late)
    assert [journey.interactions for journey in left.journeys] == [1, 1]


def test_nothing_is_left_of_a_customer_whose_every_interaction_leaves() -> None:
    left = depart(ANN, state_of(FIRST, THIRD), {FIRST.key, THIRD.key}, NOW, DEFAULT_POLICY)
    assert (left.state, left.journeys, left.interactions) == (None, (), ())
    assert set(left.retracted) == {journey_id_of(ANN, *one.key, b"") for one in (FIRST, THIRD)}


def test_who_is_not_held_cannot_leave_so_a_repetition_changes_nothing() -> None:
    before = state_of(FIRST)
    left = depart(ANN, before, {THIRD.key}, NOW, DEFAULT_POLICY)
    assert left.state is before
    assert (*left.retracted, *left.journeys) == ()


def test_what_has_closed_stays_closed_though_the_clock_of_a_new_owner_is_behind() -> None:
    left = depart(ANN, state_of(FIRST, SECOND), {FIRST.key}, FIRST.occurred_at, DEFAULT_POLICY)
    assert left.state == state_of(SECOND)


def test_what_is_final_stays_final_though_all_that_is_held_leaves() -> None:
    final = call("2026-01-10T10:00Z", by=ANN)
    before = state_of(final, THIRD)
    assert before.held == 1
    left = depart(ANN, before, {THIRD.key}, NOW, DEFAULT_POLICY)
    assert left.state is not None
    within_the_gap = mail("2026-01-12T10:00Z", by=ANN)
    assert advance_customer(ANN, left.state, [within_the_gap], NOW, DEFAULT_POLICY).beyond == 1
    behind_it = mail("2026-01-20T10:00Z", by=ANN)
    assert advance_customer(ANN, left.state, [behind_it], NOW, DEFAULT_POLICY).beyond == 0


def test_rewriting_retracts_what_another_run_may_have_begun() -> None:
    again = rewrite(ANN, state_of(FIRST, SECOND), {FIRST.key, SECOND.key, THIRD.key}, DEFAULT_POLICY)
    assert set(again.retracted) == {journey_id_of(ANN, *one.key, b"") for one in (SECOND, THIRD)}
    assert [row.interaction for row in again.interactions] == [FIRST, SECOND]
    assert rewrite(ANN, None, {THIRD.key}, DEFAULT_POLICY).retracted == [journey_id_of(ANN, *THIRD.key, b"")]


def test_of_two_advances_the_second_counts() -> None:
    left = depart(ANN, state_of(FIRST, SECOND), {FIRST.key}, NOW, DEFAULT_POLICY)
    back = advance_customer(ANN, left.state, [FIRST], NOW, DEFAULT_POLICY)
    both = followed_by(left, back)
    assert [journey.journey_id for journey in both.journeys] == [journey_id_of(ANN, *FIRST.key, b"")]
    assert list(both.retracted) == [journey_id_of(ANN, *SECOND.key, b"")]
    assert both.state == back.state


def test_moves_groups_by_the_new_customer_and_puts_it_into_the_interaction() -> None:
    def canonical(known: Identifiers, _: tuple[str, ...]) -> str | None:
        return "crm:bob" if known.phone else ANN if known.crm_id else None

    theirs = call("2026-03-01T10:00Z", by="phone:+359888000111")
    (leaving,) = moves([theirs, FIRST], ANN, canonical).items()
    assert leaving[0] == "crm:bob"
    assert [one.customer for one in leaving[1]] == ["crm:bob"]
    assert moves([FIRST], ANN, canonical) == {}


def test_a_correction_sends_away_the_lower_revision_unless_it_names_the_holder() -> None:
    corrected = revised(FIRST, crm_id="bob")
    told = correction_of(corrected)
    assert told is not None
    assert told.key == FIRST.key

    def canonical(known: Identifiers, _: tuple[str, ...]) -> str | None:
        return f"crm:{known.crm_id}"

    first, second = FIRST.identifiers, corrected.identifiers
    assert is_overruled(0, first, (), ANN, told, canonical)
    assert not is_overruled(0, first, (), "crm:bob", told, canonical), "it waits there to be replaced"
    assert not is_overruled(1, second, (), "crm:bob", told, canonical)
    assert is_outdated(0, first, (), told)
    assert not is_outdated(1, second, (), told)
    assert not is_outdated(2, first, (), told)
    assert not is_outdated(0, first, (), None)


def test_of_equal_revisions_that_name_otherwise_the_one_announced_first_stands() -> None:
    told = correction_of(revised(FIRST, crm_id="bob"))

    def canonical(known: Identifiers, _: tuple[str, ...]) -> str | None:
        return f"crm:{known.crm_id}"

    later = revised(FIRST, crm_id="cleo").identifiers
    assert is_outdated(1, later, (), told)
    assert is_outdated(1, revised(FIRST, crm_id="bob").identifiers, ("phone",), told)
    assert is_overruled(1, later, (), "crm:cleo", told, canonical)
    assert not is_overruled(1, later, (), "crm:bob", told, canonical), (
        "the same customer's: its timeline decides"
    )


def test_only_revisions_above_zero_are_announced_and_read_back_as_written() -> None:
    assert correction_of(FIRST) is None
    told = correction_of(revised(FIRST))
    assert told is not None
    assert decode_correction(encode_correction(told)) == told
    assert correction_key(told) == f"{len(FIRST.source)}:{FIRST.source}{FIRST.id}".encode()
