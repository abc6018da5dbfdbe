"""What happens to an event between the moment and the broker: late, repeated, corrected, wrapped, damaged.

Each step becomes one or more deliveries. Damage is done to an extra copy with an identity of its own, so
that a story never loses the evidence of its trouble.
"""

from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from schemas.interaction import SECOND, Micros
from schemas.vocabulary import Channel
from streams.simulation.defects import DEFECTS, NAMES
from streams.simulation.story import Step
from streams.simulation.truth import Fate
from streams.simulation.working_time import HOUR

_DUPLICATED: Final = 0.015
_CORRECTED: Final = 0.012
_DAMAGED: Final = 0.004
_STRUCTURED: Final = 0.06
_BINARY: Final = 0.06

Headers = tuple[tuple[str, bytes], ...]
_JSON: Final[Headers] = (("content-type", b"application/json"),)
_CLOUDEVENT: Final[Headers] = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)

_encode: Final = msgspec.json.Encoder().encode


class SimulatedEvent(NamedTuple):
    """One record for a raw topic, as an upstream system would send it.

    `arrives_at` is when (microseconds since the epoch); `label` is what it is to the ledger; `defect` names
    what is wrong with a dead one; `customer` is the CRM id of the person behind it, whether or not the
    event shows it (None for those that nobody can tell: anonymous page views, damaged events).
    """

    channel: Channel
    key: bytes | None
    value: bytes
    headers: Headers
    arrives_at: Micros
    label: Fate
    defect: str | None
    customer: str | None


def deliver(step: Step, customer: str, rng: Random, fresh_id: str) -> list[SimulatedEvent]:
    """Turn a step into its deliveries, in order of arrival, and note on it when it is known for good.

    `fresh_id` is the identity of the damaged copy, should there be one.
    """
    event = step.event
    roll = rng.random()
    of = (customer if event["customer"] else None, roll)
    if step.mistake is None and roll > _DUPLICATED + _CORRECTED + _DAMAGED:
        step.arrived_at = step.at + _delay(rng)
        return [_sent(step, event, step.arrived_at, "new", of=of)]
    if step.mistake is not None or roll < _CORRECTED:
        wrong = {**event, **(step.mistake or {})}
        if step.mistake is None:
            wrong.pop("text", None)
            wrong.pop("outcome", None)
        right = {**event, "revision": 1 + int(rng.random() * 3)}
        first, second = step.at + _delay(rng), step.at + 30 * SECOND + _delay(rng)
        step.arrived_at = second
        if second < first:
            return [
                _sent(step, right, second, "new", of=of),
                _sent(step, wrong, first, "older_revision", of=of),
            ]
        return [
            _sent(step, wrong, first, "new", of=of),
            _sent(step, right, second, "correction", of=of),
        ]
    step.arrived_at = step.at + _delay(rng)
    sent = _sent(step, event, step.arrived_at, "new", of=of)
    if roll < _CORRECTED + _DUPLICATED:
        again = step.arrived_at + 1_000 + _delay(rng)
        return [sent, sent._replace(arrives_at=again, label="duplicate")]
    defect = NAMES[int(rng.random() * len(NAMES))]
    spoilt = DEFECTS[defect].spoil({**event, "id": fresh_id})
    at = step.at + _delay(rng)
    damaged = SimulatedEvent(step.channel, None, spoilt, (), at, "dead", defect, None)
    return [sent, damaged]


def _delay(rng: Random) -> Micros:
    """Mostly seconds, now and then minutes (a mail gateway), hours (an office uploads at night) or days."""
    roll = rng.random()
    if roll < 0.93:
        return int(roll * 6_000_000)
    if roll < 0.98:
        return int(rng.random() * HOUR)
    if roll < 0.995:
        return int((1 + 20 * rng.random()) * HOUR)
    return int((24 + 60 * rng.random()) * HOUR)


def _sent(
    step: Step, event: dict[str, Any], at: Micros, label: Fate, *, of: tuple[str | None, float]
) -> SimulatedEvent:
    channel = step.channel
    customer, roll = of
    key = (
        event["subject"]["case_id"].encode()
        if channel == "phone" and "case_id" in event.get("subject", ())
        else None
    )
    if channel == "visit":
        key = event["office_id"].encode()
    wrapping = (roll * 1_000) % 1.0
    if wrapping < _STRUCTURED:
        return SimulatedEvent(
            channel, key, _encode(_structured(event)), _CLOUDEVENT, at, label, None, customer
        )
    if wrapping < _STRUCTURED + _BINARY:
        body, headers = _binary(event)
        return SimulatedEvent(channel, key, _encode(body), headers, at, label, None, customer)
    return SimulatedEvent(channel, key, _encode(event), _JSON, at, label, None, customer)


def _attributes(event: dict[str, Any]) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["source"],
        "type": f"org.example.{event['channel']}.{event['type']}",
        "time": event["occurred_at"],
    }


def _body(event: dict[str, Any]) -> dict[str, Any]:
    """The event less what the CloudEvents attributes say already."""
    body = event.copy()
    for name in ("id", "source", "occurred_at", "channel", "type"):
        del body[name]
    return body


def _structured(event: dict[str, Any]) -> dict[str, Any]:
    return {**_attributes(event), "datacontenttype": "application/json", "data": _body(event)}


def _binary(event: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    attributes = tuple((f"ce_{name}", value.encode()) for name, value in _attributes(event).items())
    return _body(event), (*attributes, *_JSON)
