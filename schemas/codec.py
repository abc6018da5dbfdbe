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
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from schemas.cloudevents import USUAL_HEADERS, Unreadable, is_bare, joined, unwrap
from schemas.event import EVENT
from schemas.identifiers import Identifiers, Normaliser
from schemas.interaction import Interaction, Micros
from schemas.problems import explain
from schemas.timestamps import format_timestamp, parse_date, parse_timestamp
from schemas.wire import Reader, decode_document, decode_fast, values_of_model, values_of_struct

CustomerOf = Callable[[Identifiers, tuple[str, ...]], str | None]
"""Names the canonical customer of normalised identifiers; the second says which kinds were kept as they came."""

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

    def __init__(self, region: str, future_micros: Micros, customer_of: CustomerOf) -> None:
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
            if value and len(value) <= MAX_BYTES and (headers == USUAL_HEADERS or is_bare(headers)):
                try:
                    return self._interaction(
                        decode_fast(value), values_of_struct, (topic, partition, offset, received_at), now
                    )
                except (ValueError, RecursionError):
                    pass  # No verdict yet: perhaps it is in an envelope; if not, the models decide, and say why.
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
        """The road of what is in an envelope, and of what the fast road left to the models."""
        origin = topic, partition, offset, received_at
        try:
            event = _joined_event(value, headers) if value and len(value) <= MAX_BYTES else None
            if event is not None:
                return self._interaction(event, values_of_struct, origin, now)
        except Unreadable as problem:
            return Rejected(problem.stage, problem.error, str(problem))
        except (ValueError, RecursionError):
            pass
        try:
            document = _document(value, headers)
        except Unreadable as problem:
            return Rejected(problem.stage, problem.error, str(problem))
        try:
            return self._interaction(decode_document(document), values_of_struct, origin, now)
        except ValueError:
            pass
        try:
            event = EVENT.validate_python(document)
        except ValidationError as wrong:  # A name of its own: compiled code gives each name one type.
            return Rejected("validate", "invalid", explain(wrong))
        return self._interaction(event, values_of_model, origin, now)

    def _interaction(
        self, event: Any, read: Reader, origin: tuple[str, int, int, Micros | None], now: Micros
    ) -> Interaction | Rejected:
        """Flatten an event: a model, or a struct of the fast road, whose times and money may prove wrong
        (ValueError).
        """
        (
            id_,
            source,
            revision,
            occurred_at,
            customer,
            subject,
            outcome,
            price,
            promise,
            rating,
            treatment,
            sentiment,
            complaint,
            transfers,
            follows,
            staff_id,
            text,
            attributes,
            kind,
            *own,
        ) = read(event)
        if type(occurred_at) is str:
            occurred_at = parse_timestamp(occurred_at)
        if occurred_at > now + self._future:
            return _too_far_ahead(occurred_at, now)
        identifiers, unnormalised = self._normalise(read(customer))

        reason = case_id = order_id = product = stage = None
        if subject is not None:
            reason, case_id, order_id, product, stage = read(subject)
        agreed = charged = currency = price_ref = None
        if price is not None:
            agreed, charged, currency, price_ref = read(price)
            agreed = Decimal(agreed) if agreed is not None else None
            charged = Decimal(charged) if charged is not None else None
        what = due_at = due_on = kept_ref = cancelled_ref = None
        if promise is not None:
            what, due_at, kept_ref, cancelled_ref = read(promise)
            due_at, due_on = _due(due_at)
        scale = value = resolved = None
        if rating is not None:
            scale, value, resolved = read(rating)
        remedy_sought = complaint_stage = None
        if complaint is not None:
            remedy_sought, complaint_stage = read(complaint)

        direction = wait = talk = hold = wrap_up = ivr_path = thread_id = in_reply_to = None
        office_id = ticket = service = session_id = action = target = success = duration = None
        channel = event.channel
        if channel == "online":
            session_id, target, success, duration, action = own
        elif channel == "phone":
            direction, wait, talk, hold, wrap_up, ivr_path = own
        elif channel == "email":
            direction, thread_id, in_reply_to = own
        else:
            office_id, ticket, wait, service = own

        topic, partition, offset, received_at = origin
        crm_id, contract, loyalty, phone, email, device = identifiers
        return Interaction(
            source,
            id_,
            revision or 0,
            channel,
            kind,
            occurred_at,
            self._customer_of(identifiers, unnormalised),
            direction,
            crm_id,
            contract,
            loyalty,
            phone,
            email,
            device,
            unnormalised,
            reason,
            case_id,
            order_id,
            product,
            stage,
            outcome,
            agreed,
            charged,
            currency,
            price_ref,
            what,
            due_at,
            due_on,
            kept_ref,
            cancelled_ref,
            scale,
            value,
            resolved,
            treatment,
            sentiment,
            remedy_sought,
            complaint_stage,
            transfers,
            follows,
            staff_id,
            text,
            _known(attributes) if attributes else {},
            wait,
            talk,
            hold,
            wrap_up,
            ivr_path,
            thread_id,
            in_reply_to,
            office_id,
            ticket,
            service,
            session_id,
            action,
            target,
            success,
            duration,
            topic,
            partition,
            offset,
            received_at,
        )


def _joined_event(value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
    """The event of a record in binary mode, if its attributes and its own words agree to the letter. Else the models
    decide: None, or ValueError."""
    whole = joined(value, headers)
    if whole is None:
        return None
    event = decode_fast(whole[0])
    for field, said in whole[1].items():
        if getattr(event, field) != said:
            return None
    return event


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


def _due(due_at: Micros | str | None) -> tuple[Micros | None, str | None]:
    """A promise's time and its day: one of them at most."""
    if not isinstance(due_at, str):
        return due_at, None
    if len(due_at) == len("2026-03-01"):
        return None, parse_date(due_at)
    return parse_timestamp(due_at), None


def _known(attributes: dict[str, Any]) -> dict[str, str]:
    """The attributes less those that are null, which is absent."""
    if None not in attributes.values():
        return attributes
    return {name: value for name, value in attributes.items() if value is not None}
