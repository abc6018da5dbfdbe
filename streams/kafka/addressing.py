"""Where a line of a file goes: the topic and the key of an event or of a fact, or why it goes nowhere."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, get_args

import msgspec

from schemas.codec import Decoder, Rejected
from schemas.identity import FactDecoder, fact_key
from schemas.interaction import Micros
from schemas.vocabulary import Channel

_CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)


class Line(NamedTuple):
    """A line of a file without its line ending; `number` counts from 1."""

    file: str
    number: int
    value: bytes


class Address(NamedTuple):
    """Where a line is sent to. Records of one key stay in order."""

    topic: str
    key: bytes | None


class Addressing(Protocol):
    """What a publisher needs to know of the lines that it is given."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that lines may go to: all of them must exist."""

    def address(self, line: Line, now: Micros) -> Address | str:
        """Where the line goes; text is the reason why it is rejected."""


class EventAddressing:
    """Events go to their channel's topic. `channel`, when given, is the only one accepted.

    With `allow_invalid` lines that do not validate are sent as well, when their channel is known (from the line
    itself, or `channel`): the pipeline then makes dead letters of them. Valid lines have their event's id as key, so
    that the revisions of one interaction stay in order.
    """

    def __init__(
        self,
        topic_of: Callable[[Channel], str],
        decoder: Decoder,
        *,
        channel: Channel | None = None,
        allow_invalid: bool = False,
    ) -> None:
        self._topics = {name: topic_of(name) for name in ((channel,) if channel else _CHANNELS)}
        self._decoder = decoder
        self._channel = channel
        self._allow_invalid = allow_invalid

    @property
    def topics(self) -> tuple[str, ...]:
        """One for each channel that is accepted."""
        return tuple(self._topics.values())

    def address(self, line: Line, now: Micros) -> Address | str:
        """By the event's channel."""
        decoded = self._decoder.decode(line.value, (), line.file, 0, line.number, None, now)
        if isinstance(decoded, Rejected):
            if not self._allow_invalid:
                return decoded.message
            claimed = self._channel or _channel_named_in(line.value)
            if claimed is None:
                return f"{decoded.message} (and no channel can be read from it: name one with --channel)"
            return Address(self._topics[claimed], None)
        if decoded.channel not in self._topics:
            return f"channel: the line is of {decoded.channel}, only {self._channel} was asked for"
        return Address(self._topics[decoded.channel], decoded.id.encode())


class FactAddressing:
    """Facts about who is whom go to one topic, keyed so that compaction keeps the latest of each."""

    def __init__(self, topic: str, decoder: FactDecoder) -> None:
        self._topic = topic
        self._decoder = decoder

    @property
    def topics(self) -> tuple[str, ...]:
        """The one topic."""
        return (self._topic,)

    def address(self, line: Line, now: Micros) -> Address | str:
        """By the fact's identity."""
        told = self._decoder.decode(line.value, (), now)
        if isinstance(told, Rejected):
            return told.message
        return Address(self._topic, fact_key(told.source, told.id))


def _channel_named_in(value: bytes) -> Channel | None:
    """The channel that a line claims, however wrong the rest of it is."""
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(document, dict):
        return None
    data = document.get("data")
    claimed = data.get("channel") if isinstance(data, dict) else document.get("channel")
    if claimed is None and "specversion" in document:
        claimed = str(document.get("type")).split(".")[-2:][0]
    return next((channel for channel in _CHANNELS if channel == claimed), None)
