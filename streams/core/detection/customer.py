"""Detection of one customer from batch to batch: what is remembered between two evaluations, and what is told.

Detection looks further back than journeys do. Steps that leave the timeline go to an *aside* here until no rule
can look back on them, so nothing is held twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from schemas.findings import Colour, Finding, FindingChange, Identity, Light
from schemas.interaction import Interaction, Micros
from streams.core.detection.detect import detect
from streams.core.detection.draft import Expectation, earliest
from streams.core.detection.lifecycle import final_of, transition
from streams.core.detection.light import DEFAULT_LIGHT, LightPolicy, light_of
from streams.core.detection.ruleset import RuleSet
from streams.core.state import CustomerState, pack_steps, unpack_steps
from streams.core.timeline import Step


@dataclass(frozen=True, slots=True)
class Detection:
    """What detection depends on: the rules in force and how lights are lit."""

    rules: RuleSet
    light: LightPolicy = DEFAULT_LIGHT


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a customer's state keeps for detection (`CustomerState.detection`)."""

    rules_version: str = ""
    due: Micros | None = None
    """The earliest instant at which findings or a colour change with no new interaction."""
    known: tuple[Finding, ...] = ()
    sequences: dict[str, int] = {}
    """How many changes have been told of each finding; a repeated batch numbers them alike."""
    colours: tuple[Colour, tuple[tuple[str, Colour], ...]] = ("green", ())
    """As last told: of the customer, of each channel."""
    held: int = 0
    aside: bytes = b""
    """Steps that have left the timeline, encoded one behind the other, in the timeline's order."""
    forgotten_before: Micros | None = None
    """Nothing that occurred earlier is held any more; None: nothing has been forgotten."""
    touched: Micros = 0
    """The clock when something last arrived."""

    def steps(self) -> list[Step]:
        """The steps aside."""
        return unpack_steps(self.held, self.aside)


NOTHING_REMEMBERED: Final = Remembered()


class Told(NamedTuple):
    """What one evaluation tells, and the detection part of the state after it."""

    changes: Sequence[FindingChange]
    light: Light | None
    """The light, when it is to be written anew."""
    remembered: Remembered


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Remembered)


def encode_remembered(remembered: Remembered) -> bytes:
    """Encode for the state; nothing remembered is no bytes."""
    return b"" if remembered == NOTHING_REMEMBERED else _encoder.encode(remembered)


def decode_remembered(value: bytes) -> Remembered:
    """The inverse of `encode_remembered`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decoder.decode(value) if value else NOTHING_REMEMBERED


def watch(
    customer: str,
    before: Remembered,
    state: CustomerState,
    left: Sequence[Step],
    arrivals: Sequence[Interaction],
    now: Micros,
    detection: Detection,
) -> Told:
    """Evaluate the rules for a customer whose journeys have just been evaluated.

    `state` is the state after that, `left` the steps that left its timeline in doing so (in order), `arrivals` what was
    put on it. Running it again from the same `before` tells the same, with the same sequence numbers.
    """
    rules = detection.rules
    clock = max(now, state.clock)
    steps = [*before.steps(), *left]
    interactions = [step.interaction() for step in steps]
    interactions.extend(step.interaction() for step in state.steps())
    complete_from = rules.complete_from(before.forgotten_before)
    detected = detect(
        customer,
        interactions,
        clock,
        rules,
        final=final_of(before.known, complete_from),
        complete_from=complete_from,
    )
    after = transition(
        before.known,
        detected,
        arrivals,
        clock,
        rules,
        complete_from=complete_from,
        memory=detection.light.memory,
    )
    light, colours = None, before.colours
    due = after.next_due
    if after.known or before.known:
        lit = light_of(customer, after.known, clock, detection.light)
        colours = lit.colour, tuple((one.channel, one.colour) for one in lit.by_channel)
        if after.changes or colours != before.colours:
            light = lit
        due = earliest(due, lit.next_change)
    changes, sequences = _numbered(after.changes, before.sequences)
    touched = clock if arrivals else before.touched
    silent_from = max(state.newest, touched) + rules.lookback + 1
    # A customer of whom nothing more is heard is let go some day; until then the line's own time decides.
    if clock >= silent_from:
        cut, reached = state.newest + 1, clock
    else:
        cut, reached = state.newest - rules.lookback, state.newest
    kept, forgotten_before = _held_aside(steps, cut, reached, detected.expects, before.forgotten_before)
    if kept and clock < silent_from:
        due = earliest(due, silent_from)
    return Told(
        changes,
        light,
        Remembered(
            rules.version,
            due,
            after.known,
            sequences,
            colours,
            len(kept),
            pack_steps(kept),
            forgotten_before,
            touched,
        ),
    )


def _numbered(
    changes: Sequence[FindingChange], sequences: dict[str, int]
) -> tuple[Sequence[FindingChange], dict[str, int]]:
    if not changes:
        return changes, sequences
    counted = dict(sequences)
    numbered = []
    for change in changes:
        finding_id = change.finding.finding_id
        counted[finding_id] = counted.get(finding_id, 0) + 1
        numbered.append(msgspec.structs.replace(change, sequence=counted[finding_id]))
    return numbered, counted


def _held_aside(
    steps: Sequence[Step],
    cut: Micros,
    reached: Micros,
    expects: Iterable[Expectation],
    forgotten_before: Micros | None,
) -> tuple[list[Step], Micros | None]:
    """The steps aside that occurred at `cut` or later, or of which something is expected beyond `reached`; and the
    instant since when everything is held (see `RuleSet.complete_from`).
    """
    if not steps or steps[0].occurred_at >= cut:
        return list(steps), forgotten_before
    expected = {one.identity: one.until for one in expects}
    kept = [
        step
        for step in steps
        if step.occurred_at >= cut or _is_expected(expected, Identity(*step.identity), reached)
    ]
    if len(kept) < len(steps):
        forgotten_before = cut if forgotten_before is None else max(forgotten_before, cut)
    return kept, forgotten_before


def _is_expected(expected: Mapping[Identity, Micros | None], identity: Identity, reached: Micros) -> bool:
    if identity not in expected:
        return False
    until = expected[identity]
    return until is None or until >= reached
