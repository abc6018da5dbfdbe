"""What the contestants read: one topic of small JSON records, each of a customer."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from schemas.vocabulary import Channel

CUSTOMERS: Final = 20_000


class CountEvent(NamedTuple):
    """One record of 200 to 240 bytes; `channel` is what the publisher asks for, here always the same."""

    key: bytes
    value: bytes
    channel: Channel = "online"
    headers: tuple[tuple[str, bytes], ...] = ()


def count_events(number: int, seed: int = 1) -> Iterator[CountEvent]:
    """So many records of customers drawn evenly, keyed by customer; the same ones for the same seed."""
    rng = Random(f"count/{seed}")
    text = (
        "asked again about the bill of March, was promised a call back by tomorrow noon, has heard nothing since, "
        "and would rather leave"
    )
    for nth in range(number):
        customer = f"crm:C{int(rng.random() * CUSTOMERS):06d}"
        value = f'{{"customer":"{customer}","id":"call-{nth:09d}","text":"{text} ({rng.random():.16f})"}}'
        yield CountEvent(customer.encode(), value.encode())
