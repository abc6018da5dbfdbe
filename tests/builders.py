"""Builders that read like the story: `call("2026-03-01T10:00Z", by="crm:ann", about="billing")` is an
interaction.

Everything that a story leaves out is absent, as in the contract. An id is made of type, time and customer
unless named; coordinates are made of the whole record, so that the same call gives the very same record and
a revision another.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.interaction import Interaction, Micros, encode_interaction
from schemas.vocabulary import CUSTOMER_PREFIX, Channel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOURCES: dict[Channel, str] = {"phone": "telephony", "email": "mail", "visit": "offices", "online": "web"}
_KIND_OF_PREFIX = {prefix: kind for kind, prefix in CUSTOMER_PREFIX.items()}


def instant(text: str) -> Micros:
    """`"2026-03-01T10:00Z"`, or a day (`"2026-03-01"`: its midnight), as microseconds since the epoch,
    UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def written(at: Micros) -> str:
    """The inverse of `instant`, for people."""
    return (EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def interaction(
    channel: Channel, kind: str, at: str | Micros, by: str | None = None, **said: Any
) -> Interaction:
    """One interaction of customer `by` (`"crm:ann"`; None is anonymous) at `at`.

    `said` are fields of `Interaction`, or the story's words: `about` (a reason), `case`, `order`, `thread`,
    `wait`,
    `talk`, `hold`, `service`, `lasting` (seconds), `ends` (an outcome), `at_offset`.
    """
    occurred_at = instant(at) if isinstance(at, str) else at
    words = {
        "about": "reason", "case": "case_id", "order": "order_id", "thread": "thread_id", "wait":
        "wait_seconds", "talk": "talk_seconds", "hold": "hold_seconds", "service": "service_seconds",
        "lasting": "duration_seconds", "ends": "outcome", "at_offset": "offset",
    }  # fmt: skip
    fields: dict[str, Any] = {words.get(name, name): value for name, value in said.items()}
    if by is not None:
        prefix, _, name = by.partition(":")
        fields[_KIND_OF_PREFIX[prefix]] = name
    built = Interaction(
        source=fields.pop("source", SOURCES[channel]),
        id=fields.pop("id", None) or f"{kind}/{written(occurred_at)}/{by or 'nobody'}",
        revision=fields.pop("revision", 0),
        channel=channel,
        type=kind,
        occurred_at=occurred_at,
        customer=by,
        topic=fields.pop("topic", f"touchline.{channel}"),
        **fields,
    )
    if "offset" in fields:
        return built
    return msgspec.structs.replace(built, offset=zlib.crc32(encode_interaction(built)))


def call(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """An inbound call, unless `direction` says otherwise."""
    return interaction("phone", "call", at, by, **{"direction": "inbound", **said})


def voicemail(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """A voicemail of the customer."""
    return interaction("phone", "voicemail", at, by, **{"direction": "inbound", **said})


def sms(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """A text message, inbound unless `direction` says otherwise."""
    return interaction("phone", "sms", at, by, **{"direction": "inbound", **said})


def mail(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """An e-mail of the customer."""
    return interaction("email", "message", at, by, **{"direction": "inbound", **said})


def answer(at: str | Micros, to: str | None = None, **said: Any) -> Interaction:
    """An e-mail to the customer."""
    return interaction("email", "message", at, to, **{"direction": "outbound", **said})


def visit(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """A visit to an office."""
    return interaction("visit", "visit", at, by, **said)


def online(kind: str, at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """An online interaction of a type: `online("payment", ...)`."""
    return interaction("online", kind, at, by, **said)


def page_view(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """A page looked at."""
    return online("page_view", at, by, **said)


def chat(at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """A chat with people."""
    return online("chat", at, by, **said)


def case_update(action: str, at: str | Micros, by: str | None = None, **said: Any) -> Interaction:
    """A step inside the company: `case_update("resolved", ...)`."""
    return online("case_update", at, by, **{"action": action, **said})


def revised(earlier: Interaction, by: int = 1, **changes: Any) -> Interaction:
    """The same interaction told again: a revision higher by `by`, with changes, in another record."""
    later = msgspec.structs.replace(earlier, revision=earlier.revision + by, **changes)
    if "offset" in changes:
        return later
    return msgspec.structs.replace(later, offset=zlib.crc32(encode_interaction(later)))


def repeated(earlier: Interaction, times: int = 1) -> Sequence[Interaction]:
    """The same interaction published again by its source: equal but for the record's place."""
    return [
        msgspec.structs.replace(earlier, offset=zlib.crc32(encode_interaction(earlier), again))
        for again in range(1, times + 1)
    ]


def visit_line(id_: str, day: int, customer: Mapping[str, str], revision: int = 0, **more: Any) -> bytes:
    """A line of a file: a visit on a day of March 2026, ten o'clock UTC, of whoever these identifiers name."""
    event = {
        "id": id_,
        "source": "office",
        "revision": revision,
        "channel": "visit",
        "type": "visit",
        "occurred_at": f"2026-03-{day:02d}T10:00:00Z",
        "customer": customer,
        **more,
    }
    return json.dumps(event).encode()
