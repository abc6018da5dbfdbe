"""One batch of the log: what to write, and the states after it. Pure; nothing is changed until the caller
says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from schemas.findings import ERASED, FindingChange, Light, erased
from schemas.interaction import Interaction, Micros, routing_key
from schemas.records import Coordinates, Journey, PlacedInteraction
from streams.core.advance import Advance, advance_customer
from streams.core.anonymous import ANONYMOUS_KEY, advance_anonymous
from streams.core.append import append
from streams.core.detection.customer import Detection, Told, watch
from streams.core.detection.draft import earliest
from streams.core.detection.light import light_of
from streams.core.detection.remembered import (
    NOTHING_REMEMBERED,
    Remembered,
    decode_remembered,
    encode_remembered,
)
from streams.core.identification.handover import Handover, advance_in
from streams.core.policy import JourneyPolicy
from streams.core.repetition import unrepeated
from streams.core.state import CustomerState, decode_state, encode_state


class BatchResult(NamedTuple):
    """What one batch writes and how it changes the states.

    `retracted` are `(customer, journey_id)`, perhaps of journeys that were never written. `states` holds the
    changed states only, None meaning delete; `due` the next due instant of every customer looked at, None
    meaning never.
    `beyond_horizon` counts arrivals too late to change anything, `dropped` interactions folded into sums.
    `unrepeated_interactions` and `unrepeated_journeys` are the rows that reading the same records again would not bring
    again once the states are stored; `left` the customers off whose timelines something went.
    """

    interactions: list[PlacedInteraction]
    journeys: list[Journey]
    retracted: list[tuple[str, str]]
    superseded: list[Coordinates]
    states: dict[bytes, bytes | None]
    due: dict[bytes, Micros | None]
    beyond_horizon: int
    dropped: int
    changes: Sequence[FindingChange] = ()
    """What has become of findings, in the order in which it is to be told."""
    lights: Sequence[Light] = ()
    """The lights that are to be written anew."""
    marks: Mapping[bytes, bytes] = {}
    """By customer's key, the marks (`CustomerState.marks`) of what it holds now and did not before."""
    unrepeated_interactions: Sequence[PlacedInteraction] = ()
    unrepeated_journeys: Sequence[Journey] = ()
    left: Sequence[bytes] = ()


def advance_batch(
    lookup: Callable[[bytes], bytes | None],
    interactions: Sequence[Interaction],
    due: Iterable[bytes],
    now: Micros,
    policy: JourneyPolicy,
    detection: Detection | None = None,
    handover: Handover | None = None,
) -> BatchResult:
    """Apply interactions in the order of the log and evaluate their customers, and the `due` ones, at `now`.

    With `detection` their rules too; without it no findings are made, and what states remember of them is lost.
    With `handover` its customers too: what leaves them goes before anything arrives.

    `lookup` gives a key's state as last written, None if there is none; keys are `routing_key`s. Each
    customer is decoded, evaluated and encoded once. Repeating a batch, or cutting the log elsewhere, ends in
    the same rows. Raises `msgspec.DecodeError` when a state is not one of ours.
    """
    arrivals: dict[bytes, list[Interaction]] = {}
    for interaction in interactions:
        key = routing_key(interaction)
        if key in arrivals:
            arrivals[key].append(interaction)
        else:
            arrivals[key] = [interaction]
    for key in due:
        arrivals.setdefault(key, [])
    if handover is not None:
        for key in (*handover.departures, *handover.rewrites, *handover.erased):
            arrivals.setdefault(key, [])
    placed: list[PlacedInteraction] = []
    journeys: list[Journey] = []
    retracted: list[tuple[str, str]] = []
    superseded: list[Coordinates] = list(handover.superseded) if handover is not None else []
    states: dict[bytes, bytes | None] = {}
    next_due: dict[bytes, Micros | None] = {}
    dropped = beyond = 0
    changes: list[FindingChange] = []
    lights: list[Light] = []
    told: Told | None
    marks: dict[bytes, bytes] = {}
    unrepeated_interactions: list[PlacedInteraction] = []
    unrepeated_journeys: list[Journey] = []
    left: list[bytes] = []
    for key, arrived in arrivals.items():
        stored = lookup(key)
        before = decode_state(stored) if stored is not None else None
        if key.startswith(ANONYMOUS_KEY):
            if handover is not None and handover.touches(key):
                advance = advance_in(handover, key, before, arrived, now, policy)
            else:
                advance = advance_anonymous(before, arrived, now, policy)
        else:
            customer = key.decode()
            if handover is not None and handover.touches(key):
                advance = advance_in(handover, key, before, arrived, now, policy)
            else:
                advance = append(customer, before, arrived, now, policy) or advance_customer(
                    customer, before, arrived, now, policy
                )
            journeys.extend(advance.journeys)
            once = unrepeated(advance)
            if once.interactions:
                unrepeated_interactions.extend(once.interactions)
            if once.journeys:
                unrepeated_journeys.extend(once.journeys)
            if advance.left:
                left.append(key)
            if advance.retracted:
                retracted.extend([(customer, journey_id) for journey_id in advance.retracted])
            dropped += advance.folded
            beyond += advance.beyond
            if detection is not None and (advance.state is not None or advance.removed or advance.erased):
                if advance.erased:
                    advance, told = _forgotten(customer, before, advance, now, detection)
                elif advance.state is None:
                    advance, told = _emptied(customer, before, advance, now, detection)
                else:
                    advance, told = _watched(customer, before, advance, now, detection)
                if told is not None:
                    changes.extend(told.changes)
                    if told.light is not None:
                        lights.append(told.light)
        placed.extend(advance.interactions)
        superseded.extend(advance.superseded)
        state = advance.state
        if state is not before:
            if state is not None:
                states[key] = encode_state(state)
                marks[key] = _gained(before, state)
            else:
                states[key] = None
        next_due[key] = state.due if state is not None else None
    return BatchResult(
        placed, journeys, retracted, superseded, states, next_due, beyond, dropped, changes, lights, marks,
        unrepeated_interactions, unrepeated_journeys, left,
    )  # fmt: skip


def _gained(before: CustomerState | None, after: CustomerState) -> bytes:
    """The marks that came: mostly behind those that were held."""
    if before is None:
        return after.marks
    held, marks = before.marks, after.marks
    if marks.startswith(held):
        return marks[len(held) :]
    known = {held[at : at + 4] for at in range(0, len(held), 4)}
    return b"".join([mark for at in range(0, len(marks), 4) if (mark := marks[at : at + 4]) not in known])


def _emptied(
    customer: str, before: CustomerState | None, advance: Advance, now: Micros, detection: Detection
) -> tuple[Advance, Told | None]:
    """The advance of a customer of whom nothing is left, with its findings withdrawn and its light out.

    A stub remembers how many changes were told of each finding: should the interactions come back, the numbers go on.
    It stands before all time, so that it keeps nothing from coming.
    """
    clock = now if before is None else max(now, before.clock)
    stub = CustomerState(None, 0, clock, None, before.basis if before is not None else 0)
    watched, told = _watched(customer, before, advance._replace(state=stub), now, detection)
    remembered = told.remembered if told is not None else NOTHING_REMEMBERED
    return (watched if remembered.sequences else watched._replace(state=None)), told


def _forgotten(
    customer: str, before: CustomerState | None, advance: Advance, now: Micros, detection: Detection
) -> tuple[Advance, Told]:
    """The advance of a customer who is forgotten: every finding that does not stand anew is withdrawn, its text gone.

    Of what was remembered only the numbers of changes count, as far as there are findings to number.
    """
    remembered = decode_remembered(before.detection if before is not None else b"")
    clock = now if before is None else max(now, before.clock)
    told = Told((), None, NOTHING_REMEMBERED)
    if advance.state is not None and before is not None:
        numbers = Remembered(sequences=remembered.sequences)
        nobody = msgspec.structs.replace(before, detection=encode_remembered(numbers))
        advance, watched = _watched(customer, nobody, advance, now, detection)
        if watched is not None:
            told = watched
    standing = {finding.finding_id for finding in told.remembered.known}
    changes: list[FindingChange] = []
    for finding in remembered.known:
        if finding.finding_id not in standing:
            sequence = remembered.sequences.get(finding.finding_id, 0) + 1
            changes.append(FindingChange("withdrawn", erased(finding), clock, ERASED, None, sequence))
    light = told.light
    if light is None and (remembered.known or remembered.colours != NOTHING_REMEMBERED.colours):
        light = light_of(customer, told.remembered.known, clock, detection.light)
    sequences = {one: number for one, number in told.remembered.sequences.items() if one in standing}
    kept = msgspec.structs.replace(told.remembered, sequences=sequences)
    state = advance.state
    if state is not None:
        state = msgspec.structs.replace(state, detection=encode_remembered(kept))
    return advance._replace(state=state), Told([*changes, *told.changes], light, kept)


def _watched(
    customer: str, before: CustomerState | None, advance: Advance, now: Micros, detection: Detection
) -> tuple[Advance, Told | None]:
    """The advance with its rules evaluated, where something arrived, time has come, or the rules are others."""
    state = advance.state
    if state is None:
        return advance, None
    if not (detection.rules.rules or advance.left or (before is not None and before.detection)):
        return advance, None  # no rules, none before, and nothing gone that rules to come would miss
    remembered = decode_remembered(before.detection if before is not None else b"")
    unchanged = state is before
    if (
        unchanged
        and not advance.placed
        and (remembered.due is None or now < remembered.due)
        and remembered.version == detection.version
    ):
        return advance, None
    # A state that no rules have looked at yet says when its journeys are due in `due` itself.
    journeys_due = state.journeys_due if unchanged and state.detection else state.due
    told = watch(
        customer, remembered, state, advance.left, advance.placed, now, detection, advance.removed, before
    )
    state = msgspec.structs.replace(
        state,
        due=earliest(journeys_due, told.remembered.due),
        journeys_due=journeys_due,
        detection=encode_remembered(told.remembered),
    )
    return advance._replace(state=state), told
