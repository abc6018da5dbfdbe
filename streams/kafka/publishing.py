"""Publishing files of events, one JSON document a line, each validated before it is sent.

Lines travel byte for byte. A line that does not validate is rejected and named; the rest is published. For
sending a simulation at a steady rate see `streams.kafka.event_publisher`.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NamedTuple, get_args

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from schemas.codec import Decoder, Rejected
from schemas.interaction import Micros
from schemas.vocabulary import Channel
from streams.kafka.admin import PROTOCOL, broker_admin

MOST_IN_FLIGHT: Final = 20_000
"""Lines handed to the client and not yet acknowledged; reading waits when there are so many."""

DELIVERY_SECONDS: Final = 30.0
"""How long the broker may take to acknowledge a line."""

SILENCE_SECONDS: Final = 15.0
"""How long to wait for metadata, or for room in the client's buffer, before the broker counts as away."""

_CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)


class BrokerSilent(Exception):
    """The broker does not answer, so that going on is pointless. What was acknowledged before is there."""


class TopicMissing(Exception):
    """A topic that lines should go to does not exist. The message names it."""


class Line(NamedTuple):
    """A line of a file without its line ending; `number` counts from 1."""

    file: str
    number: int
    value: bytes


class Rejection(NamedTuple):
    """A line that was not published, and why."""

    file: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.reason}"


@dataclass(frozen=True)
class PublishReport:
    """Counts of lines; blank ones are not read. read = published + rejected + undelivered.

    `rejected` were not sent because they do not validate; `undelivered` were refused or not acknowledged by
    the broker.
    """

    read: int
    published: int
    rejected: int
    undelivered: int

    @property
    def complete(self) -> bool:
        """Whether every line was published."""
        return self.read == self.published


def lines_of(name: str, file: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank, without `\\n` or `\\r\\n`."""
    for number, raw in enumerate(file, start=1):
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        if line.strip():
            yield Line(name, number, line)


def _ignore(rejection: Rejection) -> None:
    """What happens to rejections that nobody asked for."""


def topics_on_broker(bootstrap: str) -> Collection[str]:
    """The names of all topics; raises `BrokerUnreachable`."""
    with broker_admin(bootstrap) as admin:
        return {topic["name"] for topic in admin.describe_topics()}


class LinePublisher:
    """Validates lines and publishes them to their channel's topic, with `acks=all`.

    `topic_of` names a channel's topic. `channel`, when given, is the only one accepted. With `allow_invalid`
    lines that do not validate are sent as well, when their channel is known (from the line itself, or
    `channel`): the pipeline then makes dead letters of them. `clock` tells now in microseconds since the epoch.
    `on_rejected` is called for each line that is not published, in time, and not always in order.

    Valid lines have their event's id as key, so that the revisions of one interaction stay in order.
    """

    def __init__(
        self,
        bootstrap: str,
        topic_of: Callable[[Channel], str],
        decoder: Decoder,
        *,
        clock: Callable[[], Micros],
        channel: Channel | None = None,
        allow_invalid: bool = False,
        on_rejected: Callable[[Rejection], None] = _ignore,
        silence: float = SILENCE_SECONDS,
        topics_on: Callable[[str], Collection[str]] = topics_on_broker,
        producer: Callable[..., Any] = KafkaProducer,
    ):
        self._bootstrap = bootstrap
        self._topic_of = topic_of
        self._decoder = decoder
        self._clock = clock
        self._channel = channel
        self._allow_invalid = allow_invalid
        self._on_rejected = on_rejected
        self._silence = silence
        self._topics_on = topics_on
        self._make_producer = producer
        self._in_flight: deque[tuple[Line, Any]] = deque()
        self._read = self._published = self._rejected = self._undelivered = 0

    def publish(self, lines: Iterable[Line]) -> PublishReport:
        """Publish all lines and wait until each is acknowledged.

        Raises `BrokerUnreachable` when no broker answers, `TopicMissing` when a topic does not exist, and
        `BrokerSilent` when the broker goes away while lines are being sent.
        """
        topics = self._existing_topics()
        try:
            producer = self._make_producer(
                bootstrap_servers=self._bootstrap.split(","),
                api_version=PROTOCOL,
                acks="all",
                linger_ms=20,
                batch_size=256 * 1024,
                max_block_ms=int(self._silence * 1000),
                delivery_timeout_ms=int(DELIVERY_SECONDS * 1000),
                request_timeout_ms=int(DELIVERY_SECONDS * 1000 / 2),
                max_request_size=4 * 1024 * 1024,
            )
        except KafkaError as error:
            raise BrokerSilent(f"the broker at {self._bootstrap} cannot be used: {error}") from error
        try:
            for line in lines:
                self._read += 1
                self._publish_one(producer, topics, line)
                while len(self._in_flight) >= MOST_IN_FLIGHT:
                    self._settle(*self._in_flight.popleft())
            producer.flush(timeout=DELIVERY_SECONDS * 2)
            while self._in_flight:
                self._settle(*self._in_flight.popleft())
        except KafkaTimeoutError as error:
            when = f"stopped answering after {self._published} lines"
            raise BrokerSilent(f"the broker at {self._bootstrap} {when}: {error}") from error
        finally:
            producer.close(timeout=5)
        return PublishReport(self._read, self._published, self._rejected, self._undelivered)

    def _existing_topics(self) -> dict[Channel, str]:
        """Look before sending: asking for a missing topic could create it, with any number of partitions."""
        channels: Sequence[Channel] = (self._channel,) if self._channel else _CHANNELS
        topics = {channel: self._topic_of(channel) for channel in channels}
        existing = self._topics_on(self._bootstrap)
        for topic in topics.values():
            if topic not in existing:
                raise TopicMissing(f"the topic {topic} does not exist on {self._bootstrap}")
        return topics

    def _publish_one(self, producer: Any, topics: dict[Channel, str], line: Line) -> None:
        decoded = self._decoder.decode(line.value, (), line.file, 0, line.number, None, self._clock())
        key: bytes | None = None
        if isinstance(decoded, Rejected):
            reason = decoded.message
            channel = (self._channel or _channel_named_in(line.value)) if self._allow_invalid else None
            if self._allow_invalid and channel is None:
                reason += " (and no channel can be read from it: name one with --channel)"
        else:
            key = decoded.id.encode()
            channel = decoded.channel if self._channel in (None, decoded.channel) else None
            reason = f"channel: the line is of {decoded.channel}, only {self._channel} was asked for"
        if channel is None:
            self._rejected += 1
            self._on_rejected(Rejection(line.file, line.number, reason))
            return
        try:
            future = producer.send(topics[channel], value=line.value, key=key)
        except KafkaTimeoutError:
            raise
        except KafkaError as error:
            self._lose(line, error)
        else:
            self._in_flight.append((line._replace(value=b""), future))

    def _settle(self, line: Line, future: Any) -> None:
        try:
            future.get(timeout=DELIVERY_SECONDS * 2)
        except KafkaError as error:
            self._lose(line, error)
        else:
            self._published += 1

    def _lose(self, line: Line, error: KafkaError) -> None:
        self._undelivered += 1
        reason = f"not delivered: {str(error) or type(error).__name__}"
        self._on_rejected(Rejection(line.file, line.number, reason))


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
