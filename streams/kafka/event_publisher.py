"""Sending a stream of events at a steady rate: the load of the demonstration and of the benchmark."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from confluent_kafka import KafkaError, Message, Producer

from schemas.vocabulary import Channel
from streams.kafka.access import KafkaAccess

_SLICE_SECONDS: Final = 0.01
_MOST_AT_ONCE: Final = 500
_HELD_SECONDS: Final = 0.05
_QUEUED: Final = 200_000


class Sendable(Protocol):
    """What can be sent: a `SimulatedEvent`, or anything alike."""

    @property
    def channel(self) -> Channel:
        """Decides the topic."""

    @property
    def key(self) -> bytes | None:
        """Record key."""

    @property
    def value(self) -> bytes:
        """Record value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Record headers."""


class DeliveryFailed(Exception):
    """The broker refused a record or was away for too long. The message has its reason."""


class Pace:
    """How many may be sent by now. Time is an argument: seconds on a monotonic clock.

    Counted from the start, not from one slice to the next, so that rounding does not add up to a drift. What
    could not be sent for longer than `slack` seconds is forgiven instead of sent in a burst.
    """

    def __init__(self, rate: float, started: float, slack: float = 0.5):
        if rate <= 0:
            raise ValueError("rate: expected more than 0 events a second")
        self._rate = rate
        self._started = started
        self._slack = slack
        self._sent = 0

    def allowed(self, now: float) -> int:
        """The number that may be sent at this instant."""
        due = int((now - self._started) * self._rate)
        arrears = due - self._sent - max(int(self._slack * self._rate), 1)
        if arrears > 0:
            self._started += arrears / self._rate
            due -= arrears
        return due - self._sent

    def sent(self, number: int) -> None:
        """Note that so many were sent."""
        self._sent += number

    def held(self, seconds: float) -> None:
        """Note that nothing was to be sent for so long: what follows is no faster for it."""
        self._started += seconds


class EventPublisher:
    """Sends events in their order from one thread; counters may be read from any other.

    `rate` is events a second, None for as fast as possible. While `hold()` is true nothing is sent. Sent with
    `acks=all`; partitions are chosen by murmur2 of the key, as Java's clients do.
    """

    def __init__(
        self,
        access: KafkaAccess,
        topic_of: Callable[[Channel], str],
        *,
        rate: float | None = None,
        hold: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._topic_of = topic_of
        self._rate = rate
        self._hold = hold
        self._clock = clock
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._sent = 0
        self._producer = Producer(
            {
                **access.for_librdkafka(),
                "acks": "all",
                "enable.idempotence": False,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "batch.size": 512 * 1024,
                "queue.buffering.max.messages": _QUEUED,
                "delivery.report.only.error": True,
                "message.timeout.ms": 60_000,
                "log_level": 0,
            }
        )

    @property
    def sent(self) -> int:
        """Events handed over for sending."""
        return self._sent

    @property
    def published(self) -> int:
        """Events that the broker has acknowledged; exact once `run` has returned, else a lower bound."""
        return max(self._sent - len(self._producer), 0)

    def stop(self) -> None:
        """Make `run` end soon, from any thread."""
        self._stopping.set()

    def run(self, events: Iterable[Sendable]) -> int:
        """Send until the events end or `stop` is called, wait for the acknowledgements, return their number.

        Raises `DeliveryFailed`.
        """
        topics: dict[Channel, str] = {}
        remaining = iter(events)
        pace = None if self._rate is None else Pace(self._rate, self._clock())
        try:
            while not self._stopping.is_set():
                if self._hold():
                    self._wait(_HELD_SECONDS)
                    if pace is not None:
                        pace.held(_HELD_SECONDS)
                    continue
                number = _MOST_AT_ONCE if pace is None else min(pace.allowed(self._clock()), _MOST_AT_ONCE)
                if not number:
                    self._wait(_SLICE_SECONDS)
                    continue
                sent = self._send(islice(remaining, number), topics)
                if pace is not None:
                    pace.sent(sent)
                self._producer.poll(0)
                self._raise_failure()
                if sent < number:
                    break
        finally:
            self._producer.flush(60.0)
        self._raise_failure()
        if unsent := len(self._producer):
            raise DeliveryFailed(f"{unsent} events were not acknowledged within a minute")
        return self._sent

    def _send(self, events: Iterator[Sendable], topics: dict[Channel, str]) -> int:
        produce = self._producer.produce
        number = 0
        for event in events:
            topic = topics.get(event.channel) or topics.setdefault(
                event.channel, self._topic_of(event.channel)
            )
            while True:
                try:
                    produce(
                        topic,
                        event.value,
                        event.key,
                        on_delivery=self._delivered,
                        headers=list(event.headers),
                    )
                    break
                except BufferError:  # the client's own queue is full: wait for the broker
                    self._producer.poll(_HELD_SECONDS)
            number += 1
            self._sent += 1
        return number

    def _delivered(self, error: KafkaError | None, message: Message) -> None:  # noqa: ARG002
        if error is not None:
            self._failure = error.str()

    def _wait(self, seconds: float) -> None:
        self._producer.poll(0)
        self._stopping.wait(seconds)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise DeliveryFailed(f"the broker did not take an event: {self._failure}")
