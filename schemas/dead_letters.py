"""How a dead letter travels: value and key as they came, and headers that say why.

The names of the headers are those of Kafka Connect's error reporter (KIP-298), so that existing tools read
them. The record's own headers stay, in front and in order. A letter that was sent again and died again
carries only the newest reason: older headers of these names are dropped.
"""

from collections.abc import Sequence
from typing import Final

from schemas.interaction import Micros
from schemas.records import DeadLetter

PREFIX: Final = "__connect.errors."
TOPIC: Final = f"{PREFIX}topic"
PARTITION: Final = f"{PREFIX}partition"
OFFSET: Final = f"{PREFIX}offset"
STAGE: Final = f"{PREFIX}stage"
CLASS_NAME: Final = f"{PREFIX}exception.class.name"
MESSAGE: Final = f"{PREFIX}exception.message"
HEADERS: Final = (TOPIC, PARTITION, OFFSET, STAGE, CLASS_NAME, MESSAGE)
"""All header names, in the order in which they are written."""

DECODED: Final = b"application/vnd.touchline.interaction+msgpack"
"""Content type of a letter that was decoded before something was wrong with it: its value is the interaction. What was
published stands at its coordinates.
"""


class NotADeadLetter(ValueError):
    """The record lacks a header of a dead letter, or it does not read; the message names the header."""


def original_headers(headers: Sequence[tuple[str, bytes | None]]) -> tuple[tuple[str, bytes | None], ...]:
    """The headers less those that say why: what a letter that is sent again takes with it."""
    return tuple((name, value) for name, value in headers if not name.startswith(PREFIX))


def dead_letter_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """The headers of the record on the dead-letters topic: the original ones first."""
    return [
        *original_headers(letter.headers),
        (TOPIC, letter.topic.encode()),
        (PARTITION, b"%d" % letter.partition),
        (OFFSET, b"%d" % letter.offset),
        (STAGE, letter.stage.encode()),
        (CLASS_NAME, letter.error.encode()),
        (MESSAGE, letter.message.encode()),
    ]


def parse_dead_letter(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]], occurred_at: Micros
) -> DeadLetter:
    """The inverse of `dead_letter_headers`; `occurred_at` is the record's time. Raises `NotADeadLetter`."""
    found = {name: text for name, text in headers if text is not None}
    for name in HEADERS:
        if name not in found:
            raise NotADeadLetter(f"header {name} is missing")
    return DeadLetter(
        topic=_text(found, TOPIC),
        partition=_number(found, PARTITION),
        offset=_number(found, OFFSET),
        key=key,
        value=value,
        headers=original_headers(headers),
        stage=_text(found, STAGE),
        error=_text(found, CLASS_NAME),
        message=_text(found, MESSAGE),
        occurred_at=occurred_at,
    )


def _text(found: dict[str, bytes], name: str) -> str:
    try:
        return found[name].decode()
    except UnicodeDecodeError:
        raise NotADeadLetter(f"header {name} is not UTF-8") from None


def _number(found: dict[str, bytes], name: str) -> int:
    text = found[name]
    if not text.isdigit() or len(text) > 19:
        raise NotADeadLetter(f"header {name} is not a number")
    return int(text)
