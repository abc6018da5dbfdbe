"""Publishing files, one JSON document a line, each validated before it is sent.

Lines travel byte for byte. A line that does not validate is rejected and named; the rest is published. Where a line
goes is told by `streams.kafka.addressing`. For a simulation at a steady rate see `streams.kafka.event_publisher`.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from schemas.interaction import Micros
from streams.kafka.access import KafkaAccess
from streams.kafka.addressing import Addressing, Line
from streams.kafka.admin import PROTOCOL, broker_admin

MOST_IN_FLIGHT: Final = 20_000
"""Lines handed to the client and not yet acknowledged; reading waits when there are so many."""

DELIVERY_SECONDS: Final = 30.0
"""How long the broker may take to acknowledge a line."""

SILENCE_SECONDS: Final = 15.0
"""How long to wait for metadata, or for room in the client's buffer, before the broker counts as away."""


class BrokerSilent(Exception):
    """The broker does not answer, so that going on is pointless. What was acknowledged before is there."""


class TopicMissing(Exception):
    """A topic that lines should go to does not exist. The message names it."""


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


def topics_on_broker(access: KafkaAccess) -> Collection[str]:
    """The names of all topics; raises `BrokerUnreachable`."""
    with broker_admin(access) as admin:
        return {topic["name"] for topic in admin.describe_topics()}


class LinePublisher:
    """Validates lines and publishes those that have an address, with `acks=all`.

    `clock` tells now in microseconds since the epoch. `on_rejected` is called for each line that is not published, in
    time, and not always in order.
    """

    def __init__(
        self,
        access: KafkaAccess,
        addressing: Addressing,
        *,
        clock: Callable[[], Micros],
        on_rejected: Callable[[Rejection], None] = _ignore,
        silence: float = SILENCE_SECONDS,
        topics_on: Callable[[KafkaAccess], Collection[str]] = topics_on_broker,
        producer: Callable[..., Any] = KafkaProducer,
    ):
        self._access = access
        self._addressing = addressing
        self._clock = clock
        self._on_rejected = on_rejected
        self._silence = silence
        self._topics_on = topics_on
        self._make_producer = producer
        self._in_flight: deque[tuple[Line, Any]] = deque()
        self._answered_at: Micros = 0
        self._read = self._published = self._rejected = self._undelivered = 0

    def publish(self, lines: Iterable[Line]) -> PublishReport:
        """Publish all lines and wait until each is acknowledged.

        Raises `BrokerUnreachable` when no broker answers, `TopicMissing` when a topic does not exist, and
        `BrokerSilent` when the broker goes away while lines are being sent.
        """
        self._refuse_missing_topics()
        self._answered_at = self._clock()
        try:
            producer = self._make_producer(
                **self._access.for_kafka_python(),
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
            raise BrokerSilent(f"the broker at {self._access} cannot be used: {error}") from error
        try:
            for line in lines:
                self._read += 1
                self._publish_one(producer, line)
                while len(self._in_flight) >= MOST_IN_FLIGHT:
                    self._settle(*self._in_flight.popleft())
            producer.flush(timeout=DELIVERY_SECONDS * 2)
            while self._in_flight:
                self._settle(*self._in_flight.popleft())
        except KafkaTimeoutError as error:
            when = f"stopped answering after {self._published} lines"
            raise BrokerSilent(f"the broker at {self._access} {when}: {error}") from error
        finally:
            # What it has to say at its end has been said by what ended it, or is of lines that are acknowledged.
            with suppress(KafkaTimeoutError):
                producer.close(timeout=5)
        return PublishReport(self._read, self._published, self._rejected, self._undelivered)

    def _refuse_missing_topics(self) -> None:
        """Look before sending: asking for a missing topic could create it, with any number of partitions."""
        existing = self._topics_on(self._access)
        for topic in self._addressing.topics:
            if topic not in existing:
                raise TopicMissing(f"the topic {topic} does not exist on {self._access}")

    def _publish_one(self, producer: Any, line: Line) -> None:
        address = self._addressing.address(line, self._clock())
        if isinstance(address, str):
            self._rejected += 1
            self._on_rejected(Rejection(line.file, line.number, address))
            return
        try:
            future = producer.send(address.topic, value=line.value, key=address.key)
        except KafkaTimeoutError:
            raise
        except KafkaError as error:
            self._lose(line, error)
        else:
            self._in_flight.append((line._replace(value=b""), future))

    def _settle(self, line: Line, future: Any) -> None:
        try:
            future.get(timeout=DELIVERY_SECONDS * 2)
        except KafkaTimeoutError as error:
            # One line may be lost alone; where none arrives any more, each of the rest would take its time to be lost.
            if self._clock() - self._answered_at >= DELIVERY_SECONDS * 1_000_000:
                raise
            self._lose(line, error)
        except KafkaError as error:
            self._lose(line, error)
        else:
            self._answered_at = self._clock()
            self._published += 1

    def _lose(self, line: Line, error: KafkaError) -> None:
        self._undelivered += 1
        reason = f"not delivered: {str(error) or type(error).__name__}"
        self._on_rejected(Rejection(line.file, line.number, reason))
