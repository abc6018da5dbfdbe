"""What people say about alerts: acknowledge a finding, snooze a rule of a customer, each until an instant."""

from typing import Final

import msgspec

from schemas.alerts import Acknowledgement, AlertRow, decode_alert
from schemas.interaction import Micros
from schemas.timestamps import parse_timestamp
from streams.core.alerting.book import (
    Book,
    Decided,
    Held,
    Hush,
    row_of,
    with_record,
    with_thread,
)
from streams.core.alerting.flood import Gate
from streams.core.alerting.policy import AlertPolicy
from streams.core.alerting.wake import wake

_replace = msgspec.structs.replace

_HELD: Final[dict[str, Held]] = {"acknowledge": "acknowledged", "snooze": "snoozed"}


def acknowledge(book: Book, said: Acknowledgement, gate: Gate, now: Micros, policy: AlertPolicy) -> Decided:
    """Take in what somebody said; the latest word about a finding or a rule counts.

    An `until` that has passed ends the hush, a lower severity narrows it: what it then holds back no longer is told at
    once. Taking the same in twice changes nothing. Raises `TimestampError` when `until` is no time.
    """
    target = said.finding_id if said.action == "acknowledge" else said.rule
    assert target is not None, "the contract holds it"
    hush = Hush(
        _HELD[said.action],
        target,
        parse_timestamp(said.until),
        said.severity,
        said.by,
        parse_timestamp(said.at),
    )
    known = next((item for item in book.hushes if (item.held, item.target) == (hush.held, target)), None)
    if hush.until <= now if known is None else hush.at < known.at or hush == known:
        return Decided(book)
    if (
        known is not None and hush.until <= now
    ):  # what ends is what was hushed, whatever the word that ends it names
        hush = _replace(known, until=hush.until, at=hush.at)
    hushes = tuple(item for item in book.hushes if item is not known)
    book = _replace(book, hushes=(*hushes, hush))
    rows: list[AlertRow] = []
    if hush.held == "acknowledged" and now < hush.until:
        book, rows = _pass_on(book, target, now, policy)
    woken = wake(book, gate, now, policy)
    return Decided(woken.book, (*rows, *woken.rows))


def _pass_on(book: Book, finding_id: str, now: Micros, policy: AlertPolicy) -> tuple[Book, list[AlertRow]]:
    """Destinations that hold an incident open learn that somebody takes care of it."""
    record = book.record(finding_id)
    rows: list[AlertRow] = []
    if record is None or record.state != "open":
        return book, rows
    alert = decode_alert(record.alert)
    for thread in record.threads:
        traits = policy.destinations.get(thread.destination)
        if traits is not None and traits.acknowledges and thread.told is not None and thread.pending is None:
            told = _replace(thread, pending="acknowledged", version=record.version, since=now)
            record = with_thread(record, told)
            rows.append(row_of(alert, told, "acknowledged", "pending", "", now, record.version))
    return with_record(book, record), rows
