"""From the bytes of a raw record to a validated interaction, or to the reason why not.

    Rejected(stage, error, message)
      decode    empty, too_large, not_utf8, not_json, not_an_object, not_base64,
                unsupported_content_type, unsupported_cloudevents, unforeseen
      validate  invalid, contradiction, from_the_future

`error` is a stable word to group by, `message` names the field and says what is expected, and repeats no
value that could be personal. Where a JSON object has a key twice, the last one counts (RFC 8259 leaves it
open).
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from schemas.cloudevents import Unreadable, is_bare, unwrap
from schemas.event import EVENT
from schemas.identifiers import Identifiers, Normaliser
from schemas.interaction import Interaction, Micros
from schemas.problems import explain
from schemas.timestamps import format_timestamp, parse_date, parse_timestamp
from schemas.wire import decode_document, decode_fast

Reader = Callable[[Any], tuple[Any, ...]]
"""Reads fields of a model or a struct in the order of `Interaction`."""

MAX_BYTES: Final = 1024 * 1024
"""The longest value that is read."""


class Rejected(NamedTuple):
    """Why a record cannot become an interaction; it becomes a dead letter."""

    stage: Literal["decode", "validate"]
    error: str
    message: str


class Decoder:
    """Decodes raw records of any channel.

    `region` (ISO 3166) reads telephone numbers without a country code; `future_micros` is how far
    `occurred_at` may be ahead of the clock; `customer_of` names the canonical customer of normalised
    identifiers.
    """

    def __init__(
        self, region: str, future_micros: Micros, customer_of: Callable[[Identifiers], str | None]
    ) -> None:
        self._normalise = Normaliser(region).normalise
        self._future = future_micros
        self._customer_of = customer_of

    def decode(
        self,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        topic: str,
        partition: int,
        offset: int,
        received_at: Micros | None,
        now: Micros,
    ) -> Interaction | Rejected:
        """The interaction, or why there is none. Never raises, whatever the bytes; `now` is the clock."""
        try:
            return self._decode(value, headers, topic, partition, offset, received_at, now)
        except Exception as error:
            # A bug, told as such; one record must not keep its neighbours from being read, again and again.
            return Rejected("decode", "unforeseen", f"the decoder failed with {type(error).__name__}")

    def _decode(
        self,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        topic: str,
        partition: int,
        offset: int,
        received_at: Micros | None,
        now: Micros,
    ) -> Interaction | Rejected:
        if value and len(value) <= MAX_BYTES and is_bare(headers):
            try:
                return self._interaction(decode_fast(value), topic, partition, offset, received_at, now)
            except (ValueError, RecursionError):
                pass  # No verdict yet: perhaps it is in an envelope; if not, the models decide, and say why.
        try:
            document = _document(value, headers)
        except Unreadable as problem:
            return Rejected(problem.stage, problem.error, str(problem))
        try:
            return self._interaction(decode_document(document), topic, partition, offset, received_at, now)
        except ValueError:
            pass
        try:
            event = EVENT.validate_python(document)
        except ValidationError as problem:
            return Rejected("validate", "invalid", explain(problem))
        return self._interaction(event, topic, partition, offset, received_at, now)

    def _interaction(
        self, event: Any, topic: str, partition: int, offset: int, received_at: Micros | None, now: Micros
    ) -> Interaction | Rejected:
        """Flatten an event: a model, or a struct of the fast road, whose times and money may prove wrong
        (ValueError)."""
        occurred_at = event.occurred_at
        if type(occurred_at) is str:
            occurred_at = parse_timestamp(occurred_at)
        if occurred_at > now + self._future:
            return _too_far_ahead(occurred_at, now)
        channel = event.channel
        identifiers, unnormalised = self._normalise(event.customer)
        subject, price, promise = event.subject, event.price, event.promise
        rating, complaint, attributes = event.rating, event.complaint, event.attributes
        return Interaction(  # type: ignore[call-arg]  # mypy cannot count through the stars
            event.source,
            event.id,
            event.revision or 0,
            channel,
            event.type,
            occurred_at,
            self._customer_of(identifiers),
            event.direction if channel in _DIRECTED else None,
            *identifiers,
            unnormalised,
            *(_SUBJECT(subject) if subject is not None else _NOTHING[5]),
            event.outcome,
            *(_price(price) if price is not None else _NOTHING[4]),
            *(_promise(promise) if promise is not None else _NOTHING[5]),
            *(_RATING(rating) if rating is not None else _NOTHING[3]),
            *_MANNER(event),
            *(_COMPLAINT(complaint) if complaint is not None else _NOTHING[2]),
            *_SERVICE(event),
            _known(attributes) if attributes else {},
            *_OF_CHANNEL[channel](event),
            topic,
            partition,
            offset,
            received_at,
        )


def _document(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """The event as a document, out of its envelope; raises `Unreadable`."""
    if value is not None and len(value) > MAX_BYTES:
        raise Unreadable("decode", "too_large", f"the value is longer than {MAX_BYTES} bytes")
    return unwrap(value, headers)


def _too_far_ahead(occurred_at: Micros, now: Micros) -> Rejected:
    return Rejected(
        "validate",
        "from_the_future",
        f"occurred_at: {format_timestamp(occurred_at)} is further ahead of the clock "
        f"({format_timestamp(now)}) than allowed",
    )


_DIRECTED: Final = frozenset({"phone", "email"})
_NOTHING: Final[tuple[tuple[Any, ...], ...]] = tuple((None,) * length for length in range(16))

_SUBJECT: Final[Reader] = attrgetter("reason", "case_id", "order_id", "product", "stage")
_RATING: Final[Reader] = attrgetter("scale", "value", "resolved")
_MANNER: Final[Reader] = attrgetter("treatment", "sentiment")
_COMPLAINT: Final[Reader] = attrgetter("remedy_sought", "stage")
_SERVICE: Final[Reader] = attrgetter("transfers", "follows", "staff_id", "text")


def _price(price: Any) -> tuple[Any, ...]:
    agreed, charged = price.agreed, price.charged
    return (
        None if agreed is None else Decimal(agreed),
        None if charged is None else Decimal(charged),
        price.currency,
        price.ref,
    )


def _promise(promise: Any) -> tuple[Any, ...]:
    due_at, due_on = promise.due_at, None
    if isinstance(due_at, str):
        if len(due_at) == len("2026-03-01"):
            due_on, due_at = parse_date(due_at), None
        else:
            due_at = parse_timestamp(due_at)
    return promise.what, due_at, due_on, promise.kept_ref, promise.cancelled_ref


_PHONE: Final[Reader] = attrgetter(
    "wait_seconds", "talk_seconds", "hold_seconds", "wrap_up_seconds", "ivr_path"
)
_EMAIL: Final[Reader] = attrgetter("thread_id", "in_reply_to")
_VISIT: Final[Reader] = attrgetter("office_id", "ticket", "service_seconds")
_ONLINE: Final[Reader] = attrgetter("session_id", "action", "target", "success", "duration_seconds")
_OF_CHANNEL: Final[dict[str, Reader]] = {
    "phone": lambda event: _PHONE(event) + _NOTHING[10],
    "email": lambda event: _NOTHING[5] + _EMAIL(event) + _NOTHING[8],
    "visit": lambda event: (event.wait_seconds, *_NOTHING[6], *_VISIT(event), *_NOTHING[5]),
    "online": lambda event: _NOTHING[10] + _ONLINE(event),
}
"""The fields of `Interaction` from `wait_seconds` to `duration_seconds`, in its order."""


def _known(attributes: dict[str, str | None]) -> dict[str, str]:
    """The attributes less those that are null, which is absent."""
    return {name: value for name, value in attributes.items() if value is not None}
