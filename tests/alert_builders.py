"""Builders and a desk for stories about alerts: what was raised, said and told, without Kafka."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from schemas.alerts import Acknowledgement, Alert, AlertRow
from schemas.findings import Severity
from schemas.interaction import SECOND, Micros
from schemas.notices import Notice
from schemas.timestamps import format_timestamp
from streams.core.alerting.acknowledge import acknowledge
from streams.core.alerting.book import Book, Decided, decode_book, encode_book
from streams.core.alerting.decide import decide
from streams.core.alerting.flood import Gate
from streams.core.alerting.outbox import Receipt, delivered, refused, sending, unsure, waiting
from streams.core.alerting.policy import AlertPolicy, Route, Traits
from streams.core.alerting.recount import recounted
from streams.core.alerting.shelf import Shelf
from streams.core.alerting.wake import wake

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START: Micros = 1_772_359_200 * SECOND
"""2026-03-01T10:00Z."""


def alert(finding: str = "f1", version: int = 1, severity: Severity = "major", **said: Any) -> Alert:
    """One alert about finding `finding` of rule `overcharge` and customer `crm:ann`, raised unless said otherwise."""
    fields: dict[str, Any] = {
        "version": version,
        "kind": "raised",
        "at": format_timestamp(START),
        "finding_id": finding,
        "rule": "overcharge",
        "rule_version": "v1",
        "customer": "crm:ann",
        "severity": severity,
        "channel": "phone",
        "state": "open",
        "raised_at": format_timestamp(START),
        "sentence": "charged 12.00 EUR above the agreed 30.00 EUR",
        "action": "credit the difference",
    }
    return Alert(**{**fields, **said})


def over(finding: str = "f1", version: int = 2, state: str = "resolved", **said: Any) -> Alert:
    """The end of a finding."""
    ended = {"resolved_at": format_timestamp(START + HOUR)} if state == "resolved" else {}
    return alert(finding, version, **{"kind": state, "state": state, **ended, **said})


def acknowledged(
    finding: str = "f1", until: Micros = START + HOUR, severity: Severity = "major"
) -> Acknowledgement:
    """Somebody takes care of a finding."""
    return Acknowledgement(
        action="acknowledge",
        customer="crm:ann",
        severity=severity,
        until=format_timestamp(until),
        at=format_timestamp(START),
        by="desk-7",
        finding_id=finding,
    )


def snoozed(
    rule: str = "overcharge", until: Micros = START + HOUR, severity: Severity = "major"
) -> Acknowledgement:
    """Somebody wants quiet from a rule."""
    return msgspec.structs.replace(
        acknowledged(until=until, severity=severity), action="snooze", finding_id=None, rule=rule
    )


def policy(*routes: Route, **said: Any) -> AlertPolicy:
    """Everything goes to `chat`, which has no keys; `pager` holds incidents open, unless said otherwise."""
    fields: dict[str, Any] = {
        "routes": routes or (Route(("chat",)),),
        "destinations": {"chat": Traits(), "pager": Traits(holds_open=True, acknowledges=True)},
        "cool_down": HOUR,
        "flood_limit": 1_000,
    }
    return AlertPolicy(**{**fields, **said})


class Desk:
    """One partition: takes records in, passes time, and hands over what waits, each step through the encoded form."""

    def __init__(self, rules: AlertPolicy | None = None, now: Micros = START) -> None:
        self.policy = rules or policy()
        self.now = now
        self.books: dict[bytes, bytes] = {}
        self.rows: list[AlertRow] = []
        self.dies_after: int | None = None
        """How many books of the next step reach the changelog before the worker dies; another one repeats the step."""

    def take(self, *records: Alert | Acknowledgement) -> list[AlertRow]:
        """Take records in, as one batch."""
        before = len(self.rows)
        if self.dies_after is not None:
            self._take(records)
            self.take_over()
        self._take(records)
        return self.rows[before:]

    def take_over(self) -> None:
        """What whoever takes the partition over does first."""
        for key, book in recounted(self.books, list(self.books), self.policy).items():
            encoded = encode_book(book)
            assert encoded is not None
            self.books[key] = encoded

    def _take(self, records: Sequence[Alert | Acknowledgement]) -> None:
        shelf = Shelf(self.books.get)
        gate = Gate(shelf, self.now, self.policy)
        for record in records:
            key = record.customer.encode()
            if isinstance(record, Alert):
                done = decide(shelf.get(key), record, gate, self.now, self.policy)
            else:
                done = acknowledge(shelf.get(key), record, gate, self.now, self.policy)
            shelf.put(key, done.book)
            self.rows += done.rows
        self.rows += gate.rows
        self._keep(shelf)

    def until(self, now: Micros) -> list[AlertRow]:
        """Let time pass, waking every book at the very instant at which it is due."""
        before = len(self.rows)
        while (due := self.next_due()) is not None and due <= now:
            self.now, stored = max(self.now, due), dict(self.books)
            if self.dies_after is not None:
                self._wake([key for key, value in self.books.items() if decode_book(value).due == due])
                self.take_over()
                continue
            self._wake([key for key, value in self.books.items() if decode_book(value).due == due])
            assert self.books != stored, f"due at {due}, and nothing changes"
        self.now = now
        return self.rows[before:]

    def next_due(self) -> Micros | None:
        """The earliest instant at which a book is due."""
        return min(
            (due for value in self.books.values() if (due := decode_book(value).due) is not None),
            default=None,
        )

    def _wake(self, keys: list[bytes]) -> None:
        shelf = Shelf(self.books.get)
        gate = Gate(shelf, self.now, self.policy)
        for key in keys:
            done = wake(shelf.get(key), gate, self.now, self.policy)
            shelf.put(key, done.book)
            self.rows += done.rows
        self.rows += gate.rows
        self._keep(shelf)

    def waits(self) -> list[tuple[bytes, Notice, Receipt]]:
        """All notices that wait."""
        found = []
        for key, value in sorted(self.books.items()):
            book = decode_book(value)
            for item in waiting(book):
                sent = sending(book, item)
                if sent is not None:
                    found.append((key, *sent))
        return found

    def deliver(self, destination: str | None = None) -> list[Notice]:
        """Say everything that waits (for one destination); what is said."""
        said = []
        while items := [item for item in self.waits() if destination in (None, item[2].destination)]:
            for key, notice, receipt in items:
                said.append(notice)
                self.settle(key, delivered(self.book(key), receipt, self.now, self.policy))
        return said

    def fail(self, *, uncertain: bool) -> None:
        """Everything that waits is tried in vain."""
        for key, _, receipt in self.waits():
            if uncertain:
                self.settle(key, unsure(self.book(key), receipt, self.policy))

    def refuse(self, reason: str = "HTTP 400") -> None:
        """Everything that waits is refused."""
        for key, _, receipt in self.waits():
            self.settle(key, refused(self.book(key), receipt, reason, self.now, self.policy, word="refused"))

    def book(self, key: bytes = b"crm:ann") -> Book:
        """The stored book."""
        return decode_book(self.books.get(key))

    def settle(self, key: bytes, done: Decided) -> None:
        """Keep what came of an attempt."""
        self.rows += done.rows
        shelf = Shelf(self.books.get)
        shelf.put(key, done.book)
        self._keep(shelf)

    def _keep(self, shelf: Shelf) -> None:
        kept, self.dies_after = self.dies_after, None
        for key, (_, encoded) in list(shelf.changes().items())[:kept]:
            if encoded is None:
                self.books.pop(key, None)
            else:
                self.books[key] = encoded


def kinds(notices: list[Notice]) -> list[str]:
    """What was said, in short."""
    return [notice.kind for notice in notices]


def reasons(rows: list[AlertRow]) -> list[tuple[str, str]]:
    """Status and reason of rows."""
    return [(row.status, row.reason) for row in rows]


def final(rows: list[AlertRow]) -> Mapping[tuple[str, str, int, str], AlertRow]:
    """The last row of each key: what the table shows."""
    return {(row.finding_id, row.destination, row.version, row.kind): row for row in rows}
