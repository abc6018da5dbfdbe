"""Findings that stand in the state and may not have been told yet.

What rules find goes out (rows, alerts) once the state that knows it is in the changelog, never before: so nothing is
ever told that an owner who comes later does not know. What was about to be told is stored in front of the states; who
finds it when a partition is taken over tells it again, as far as the states are there.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from schemas.findings import ERASED, FindingChange, Light
from schemas.interaction import Micros
from streams.core.detection.light import LightPolicy, light_of
from streams.core.detection.remembered import NOTHING_REMEMBERED, Remembered, decode_remembered
from streams.core.state import decode_state

UNTOLD_KEY: Final = b"\x00untold"


class Untold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one step tells: changes of findings in their order, and the customers whose lights are written anew."""

    changes: tuple[FindingChange, ...]
    lit: tuple[str, ...]


class Telling(NamedTuple):
    """What is to be told now."""

    changes: Sequence[FindingChange]
    lights: Sequence[Light]
    erasures: Sequence[str] = ()
    """Erasures, by id, whose withdrawals are among the changes."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Untold)


def dump_untold(changes: Sequence[FindingChange], lights: Sequence[Light]) -> bytes | None:
    """What is about to be told, to store; nothing is None, which removes it."""
    if not changes and not lights:
        return None
    return _encoder.encode(Untold(tuple(changes), tuple(light.customer for light in lights)))


def tell_again(stored: bytes, timelines: Mapping[bytes, bytes], now: Micros, policy: LightPolicy) -> Telling:
    """Of what was about to be told, what the states know; the lights as they are by now.

    A state that did not get into the changelog says less than the change of it; then the records that led to it are
    read again, and what they change is told as new. Raises `msgspec.DecodeError` on foreign bytes.
    """
    untold = _decoder.decode(stored)
    customers = dict.fromkeys((*(change.finding.customer for change in untold.changes), *untold.lit))
    remembered = {customer: _remembered(timelines.get(customer.encode())) for customer in customers}
    changes = [change for change in untold.changes if _is_known(change, remembered[change.finding.customer])]
    lights = [light_of(customer, known.known, now, policy) for customer, known in remembered.items()]
    return Telling(changes, lights)


def _is_known(change: FindingChange, remembered: Remembered) -> bool:
    """Whether the state knows a change; that a finding was erased shows in that it does not know the finding."""
    finding_id = change.finding.finding_id
    if change.reason == ERASED:
        return all(finding.finding_id != finding_id for finding in remembered.known)
    return remembered.sequences.get(finding_id, 0) >= change.sequence


def _remembered(state: bytes | None) -> Remembered:
    return decode_remembered(decode_state(state).detection) if state is not None else NOTHING_REMEMBERED
