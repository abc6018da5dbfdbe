"""What the pipeline should have made of a set of events, worked out a second time, from the contract alone.

Nothing of the product is used but the vocabulary of the events, and its answer to who is whom when all links are known
at once (tests/properties has the laws of that): JSON is read with the standard library, journeys are cut by sorting
everything and looking at the gaps, and the ledger is counting. Slow and obvious on purpose.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from schemas.identifiers import Identifiers
from streams.core.identification.index import IdentityIndex
from streams.simulation.mess import SimulatedEvent

GAP = timedelta(days=7)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

IDENTIFIERS = ("crm_id", "contract", "loyalty", "phone", "email", "device")
"""The simulation writes all of them in normal form, but for the case of an address."""

SECONDS = ("wait_seconds", "talk_seconds", "hold_seconds", "service_seconds", "duration_seconds")

Row = tuple[Any, ...]
Event = dict[str, Any]

INTERACTION_COLUMNS = (
    "source", "id", "revision", "channel", "type", "occurred_at", "customer", "direction", "reason", "case_id",
    "order_id", "outcome", *SECONDS, "transfers", "staff_id", "rating_scale", "rating_value", "attributes", "text",
    "journey_id",
)  # fmt: skip

JOURNEY_COLUMNS = (
    "journey_id", "customer", "started_at", "ended_at", "status", "interactions", "contacts", "path", "channels",
    "subjects", "wait_seconds", "transfers", "effort_seconds", "resolved", "first_contact_resolved",
)  # fmt: skip


@dataclass(frozen=True)
class Ledger:
    """The counts that `reconcile` must arrive at."""

    received: int
    stored: int
    superseded: int
    dead: int


class Oracle:
    """All events that were published; `interactions` and `journeys` are rows in the order of the columns above.

    `secret` is the key of the identifiers' hashes, where there is one.
    """

    def __init__(self, events: Iterable[SimulatedEvent], secret: bytes | None = None) -> None:
        events = list(events)
        self._id_key = b"" if secret is None else blake2b(key=secret, digest_size=32, person=b"ids").digest()
        self.dead = sorted(event.value for event in events if event.label == "dead")
        alive = [_read(event) for event in events if event.label != "dead"]
        _name_customers(alive)
        newest: dict[tuple[str, str], Event] = {}
        for event in alive:
            identity = event["source"], event["id"]
            held = newest.get(identity)
            if held is None or event.get("revision", 0) > held.get("revision", 0):
                newest[identity] = event
        self.ledger = Ledger(len(events), len(newest), len(alive) - len(newest), len(self.dead))
        self._journeys = list(_journeys(newest.values()))
        belongs = {
            (event["source"], event["id"]): journey_id(journey, self._id_key)
            for journey in self._journeys
            for event in journey
        }
        self.interactions = sorted(
            _interaction_row(event, belongs.get(identity)) for identity, event in newest.items()
        )

    def journeys(self, now: datetime) -> list[Row]:
        """Every journey as it stands at `now`."""
        return sorted(_journey_row(journey, now, self._id_key) for journey in self._journeys)

    def newest(self) -> datetime:
        """When the last interaction began."""
        newest: datetime = max(journey[-1]["at"] for journey in self._journeys)
        return newest

    def customers(self) -> set[str]:
        """Everybody who has a journey."""
        return {_customer(journey[0]) or "" for journey in self._journeys}


def _read(event: SimulatedEvent) -> Event:
    """The event behind a flat JSON document, a structured CloudEvent or a binary one."""
    body: Event = json.loads(event.value)
    headers = {name: value.decode() for name, value in event.headers}
    envelope: Mapping[str, Any] = {}
    if "cloudevents" in headers.get("content-type", ""):
        envelope, body = body, body["data"]
    elif "ce_id" in headers:
        envelope = {name.removeprefix("ce_"): value for name, value in headers.items()}
    if envelope:
        *_, channel, kind = envelope["type"].split(".")
        body = {
            **body,
            "id": envelope["id"],
            "source": envelope["source"],
            "channel": channel,
            "type": kind,
            "occurred_at": envelope["time"],
        }
    body["at"] = datetime.fromisoformat(body["occurred_at"]).astimezone(UTC)
    return body


def _name_customers(events: Iterable[Event]) -> None:
    """Say whose each event is, once all that the events link is known: also what a later revision took back."""
    identified = [(event, _identifiers(event)) for event in events]
    learning = IdentityIndex()
    links = [
        link
        for event, identifiers in identified
        for link in learning.learn(
            identifiers, (), (event["at"] - EPOCH) // MICROSECOND, event["source"], event["id"]
        )
    ]
    index = IdentityIndex(records=links)
    for event, identifiers in identified:
        event["whose"] = index.customer_of(identifiers)


def _identifiers(event: Event) -> Identifiers:
    named = {kind: event["customer"].get(kind) for kind in IDENTIFIERS}
    if named["email"] is not None:
        named["email"] = named["email"].lower()
    return Identifiers(**named)


def _customer(event: Event) -> str | None:
    whose: str | None = event["whose"]
    return whose


def _journeys(events: Iterable[Event]) -> Iterable[Sequence[Event]]:
    by_customer: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        customer = _customer(event)
        if customer is not None:
            by_customer[customer].append(event)
    for theirs in by_customer.values():
        theirs.sort(key=lambda event: (event["at"], event["source"], event["id"]))
        journey = [theirs[0]]
        for event in theirs[1:]:
            if event["at"] - journey[-1]["at"] > GAP:
                yield journey
                journey = []
            journey.append(event)
        yield journey


def journey_id(journey: Sequence[Event], key: bytes) -> str:
    """As documented: BLAKE2b-128 of customer and first interaction, each preceded by its length."""
    customer, first = _customer(journey[0]) or "", journey[0]
    text = f"{len(customer)}:{customer}{len(first['source'])}:{first['source']}{first['id']}"
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()


def _is_contact(event: Event) -> bool:
    if event["type"] in ("call", "voicemail", "sms", "message"):
        return bool(event["direction"] == "inbound")
    return event["type"] in ("visit", "form", "chat")


def _resolved(event: Event) -> bool | None:
    outcome = event.get("outcome")
    if outcome is None and event["type"] == "case_update":
        return {"resolved": True, "closed": True, "reopened": False}.get(event.get("action", ""))
    return None if outcome in (None, "unknown") else outcome == "resolved"


def _subjects(event: Event) -> Iterable[str]:
    subject = event.get("subject", {})
    yield from (f"{kind}:{subject[name]}" for kind, name in _SUBJECTS.items() if name in subject)
    if "thread_id" in event:
        yield f"thread:{event['thread_id']}"


_SUBJECTS = {"case": "case_id", "order": "order_id", "reason": "reason"}


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 6) if known else None


def _journey_row(journey: Sequence[Event], now: datetime, id_key: bytes) -> Row:
    contacts = sum(map(_is_contact, journey))
    outcomes = [known for event in journey if (known := _resolved(event)) is not None]
    resolved = outcomes[-1] if outcomes else None
    path = [event["channel"] for event in journey]
    return (
        journey_id(journey, id_key),
        _customer(journey[0]),
        journey[0]["at"],
        journey[-1]["at"],
        "closed" if now - journey[-1]["at"] > GAP else "open",
        len(journey),
        contacts,
        tuple(path),
        tuple(dict.fromkeys(path)),
        tuple(sorted({subject for event in journey for subject in _subjects(event)})),
        _sum(event.get("wait_seconds") for event in journey),
        _sum(event.get("transfers") for event in journey),
        _sum(event.get(name) for event in journey for name in SECONDS),
        resolved,
        None if resolved is None else resolved and contacts == 1,
    )


def _interaction_row(event: Event, journey: str | None) -> Row:
    subject, rating = event.get("subject", {}), event.get("rating", {})
    return (
        event["source"],
        event["id"],
        event.get("revision", 0),
        event["channel"],
        event["type"],
        event["at"],
        _customer(event),
        event.get("direction"),
        subject.get("reason"),
        subject.get("case_id"),
        subject.get("order_id"),
        event.get("outcome"),
        *(event.get(name) for name in SECONDS),
        event.get("transfers"),
        event.get("staff_id"),
        rating.get("scale"),
        rating.get("value"),
        tuple(sorted(event.get("attributes", {}).items())),
        event.get("text"),
        journey,
    )
