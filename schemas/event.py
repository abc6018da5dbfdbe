"""The event contract: what owners of upstream systems publish, one closed model a channel.

Flat JSON, snake_case. Six fields are mandatory (`id`, `source`, `channel`, `type`, `occurred_at`,
`customer`), and `direction` for phone and email; all else is optional, where absent and null both mean
*unknown*, never zero. Unknown fields are errors; free data goes to `attributes`. Types are strict: `"5"` is
not 5.

The models say what is valid and nothing more; `schemas.codec` turns bytes into a validated interaction.
Constraints are written as patterns and ranges that pydantic's core checks itself, and Python runs only for
times and money.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.interaction import Micros
from schemas.personal import PersonalKind, personal, tagged_fields
from schemas.timestamps import (
    DATE_PATTERN,
    TIMESTAMP_PATTERN,
    TimestampError,
    format_timestamp,
    parse_date,
    parse_timestamp,
)
from schemas.vocabulary import (
    CaseAction,
    ComplaintStage,
    Direction,
    EmailType,
    Outcome,
    PhoneType,
    RatingScale,
    SubjectStage,
    Treatment,
    VisitType,
)

NO_CONTROLS: Final = r"^[^\u0000-\u001F\u007F]*$"
NO_NUL: Final = r"^[^\u0000]*$"
REASON_PATTERN: Final = r"^W+( W+)*([.]W+( W+)*)*$".replace("W", r"[^\s\u0000-\u001F\u007F.]")
MONEY_PATTERN: Final = "^-?[0-9]{1,18}([.][0-9]{1,6})?$"
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"
MAX_REVISION: Final = 2**64 - 1
MAX_SECONDS: Final = 1_000_000_000
MAX_TEXT: Final = 65_536
RATING_RANGES: Final[dict[RatingScale, tuple[int, int]]] = {
    "csat5": (1, 5),
    "nps10": (0, 10),
    "ces7": (1, 7),
    "stars5": (1, 5),
}


def _timestamp(text: str) -> Micros:
    try:
        return parse_timestamp(text)
    except TimestampError as error:
        raise PydanticCustomError("timestamp", "{reason}", {"reason": str(error)}) from None


def _timestamp_or_date(text: str) -> Micros | str:
    try:
        return parse_timestamp(text) if len(text) > 10 else parse_date(text)
    except TimestampError as error:
        raise PydanticCustomError("timestamp", "{reason}", {"reason": str(error)}) from None


def _written(due: Micros | str) -> str:
    return due if isinstance(due, str) else format_timestamp(due)


_TIMESTAMP_SCHEMA: Final[dict[str, JsonValue]] = {
    "type": "string",
    "format": "date-time",
    "pattern": TIMESTAMP_PATTERN,
    "examples": ["2026-03-01T10:00:00+02:00"],
}
_DATE_SCHEMA: Final[dict[str, JsonValue]] = {
    "type": "string",
    "format": "date",
    "pattern": DATE_PATTERN,
    "examples": ["2026-03-01"],
}

Timestamp = Annotated[
    str,
    AfterValidator(_timestamp),
    PlainSerializer(format_timestamp, return_type=str),
    WithJsonSchema(_TIMESTAMP_SCHEMA),
]
"""An RFC 3339 time with an offset; validated into microseconds since the epoch."""

DueAt = Annotated[
    str,
    AfterValidator(_timestamp_or_date),
    PlainSerializer(_written, return_type=str),
    WithJsonSchema({"anyOf": [_TIMESTAMP_SCHEMA, _DATE_SCHEMA]}),
]
"""A time (validated into microseconds), or a date (kept as text): the end of that day in the calendar's
zone."""

Money = Annotated[
    str,
    StringConstraints(pattern=MONEY_PATTERN),
    AfterValidator(Decimal),
    PlainSerializer(lambda amount: format(amount, "f"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": MONEY_PATTERN, "examples": ["12.50"]}),
]
"""A decimal string, at most 18 digits before and 6 after the point; negative is a refund."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_CONTROLS)]
"""A name that a system gave: not empty, no control characters."""

Reference = Annotated[str, StringConstraints(min_length=1, max_length=1_024, pattern=NO_CONTROLS)]
"""A longer name (a Message-ID, a menu path): not empty, no control characters."""

Identifier = Annotated[str, StringConstraints(max_length=320, pattern=NO_NUL), personal("identifier")]
"""Names a customer; blank is absent. It is normalised after validation, and never refused for its form."""

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
"""A duration. The upper bound (31 years) keeps out times that were sent in place of durations."""


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("crm", "CRM").replace("ivr", "IVR")
    return words[0].upper() + words[1:]


class Part(BaseModel):
    """A closed, strict, immutable object of the contract."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        field_title_generator=lambda name, _: _title(name),
    )


def _given(*names: str) -> dict[str, JsonValue]:
    """JSON Schema of an object in which these strings are given, and not null."""
    return {"required": list(names), "properties": {name: {"type": "string"} for name in names}}


def _only(ref: str) -> JsonValue:
    """JSON Schema of a promise that only refers to another one."""
    return {**_given(ref), "not": {"anyOf": [_given("what"), _given("due_at")]}}


def _within(scale: str, low: int, high: int) -> JsonValue:
    """JSON Schema of a mark within its scale."""
    mark: JsonValue = {"type": "number", "minimum": low, "maximum": high}
    return {"required": ["scale", "value"], "properties": {"scale": {"const": scale}, "value": mark}}


_NO_MARK: Final[JsonValue] = {
    "required": ["resolved"],
    "properties": {"resolved": {"type": "boolean"}, "scale": {"type": "null"}, "value": {"type": "null"}},
}

_PRICE_FORMS: Final[list[JsonValue]] = [_given("agreed"), _given("charged")]
_PROMISE_FORMS: Final[list[JsonValue]] = [
    _given("what", "due_at"),
    _only("kept_ref"),
    _only("cancelled_ref"),
]
_RATING_FORMS: Final[list[JsonValue]] = [
    *(_within(scale, low, high) for scale, (low, high) in RATING_RANGES.items()),
    _NO_MARK,
]
"""What the checks across fields below say, for the JSON Schema."""


class Customer(Part):
    """Whatever the source knows about who it was. Empty means anonymous.

    An anonymous event is stored and counts in the channel's figures, but belongs to no customer and no
    journey.
    """

    crm_id: Identifier | None = None
    """Id in the CRM. Strong: it names one customer."""
    contract: Identifier | None = None
    """Contract or account number. Strong."""
    loyalty: Identifier | None = None
    """Loyalty card number. Strong."""
    phone: Identifier | None = None
    """Telephone number in any notation; without a country code it is read in the default region. Weak."""
    email: Identifier | None = None
    """E-mail address. Weak."""
    device: Identifier | None = None
    """Cookie or device id. Weak."""


class Subject(Part):
    """What it is about."""

    reason: Annotated[str, StringConstraints(max_length=256, pattern=REASON_PATTERN)] | None = None
    """Dotted taxonomy, from the general to the special: `billing.overcharge`."""
    case_id: Id | None = None
    """Case or ticket."""
    order_id: Id | None = None
    """Order."""
    product: Id | None = None
    """Product or service."""
    stage: SubjectStage | None = None
    """Where in the purchase the customer is."""


class Price(Part):
    """A price that was agreed, one that was charged, or both."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _PRICE_FORMS})

    agreed: Money | None = None
    """What was promised, as a decimal string."""
    charged: Money | None = None
    """What was taken, as a decimal string."""
    currency: Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)] | None = None
    """ISO 4217 code: three capital letters."""
    ref: Id | None = None
    """What ties an agreed price to a charged one: order, invoice, offer."""

    @model_validator(mode="after")
    def _says_something(self) -> "Price":
        if self.agreed is None and self.charged is None:
            raise PydanticCustomError("incomplete", "give agreed, charged or both")
        return self


class Promise(Part):
    """A promise that is made (`what`, `due_at`), kept (`kept_ref`) or taken back (`cancelled_ref`)."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _PROMISE_FORMS})

    what: Annotated[str, StringConstraints(min_length=1, max_length=1_024), personal("content")] | None = None
    """What was promised: `call_back`, `refund`, `delivery`, or a sentence."""
    due_at: DueAt | None = None
    """By when: a time, or a date (the end of that day in the calendar's zone)."""
    kept_ref: Id | None = None
    """Id of the interaction that made the promise which is kept here (same source, else any)."""
    cancelled_ref: Id | None = None
    """Id of the interaction that made the promise which is taken back here (same source, else any)."""

    @model_validator(mode="after")
    def _says_what_happened(self) -> "Promise":
        if (self.what is None) != (self.due_at is None):
            raise PydanticCustomError("incomplete", "what and due_at come together")
        if self.what is None and self.kept_ref is None and self.cancelled_ref is None:
            raise PydanticCustomError("incomplete", "give what and due_at, kept_ref, or cancelled_ref")
        return self


class Rating(Part):
    """What the customer answered when asked for a mark."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _RATING_FORMS})

    scale: RatingScale | None = None
    """csat5: satisfaction 1-5; nps10: recommendation 0-10; ces7: effort 1-7; stars5: stars 1-5."""
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The mark, within its scale."""
    resolved: bool | None = None
    """The customer's own answer to "was it solved?"."""

    @model_validator(mode="after")
    def _is_within_its_scale(self) -> "Rating":
        if (self.scale is None) != (self.value is None):
            raise PydanticCustomError("incomplete", "scale and value come together")
        if self.scale is not None and self.value is not None:
            low, high = RATING_RANGES[self.scale]
            if not low <= self.value <= high:
                raise PydanticCustomError(
                    "out_of_scale",
                    "value must be {low} to {high} on {scale}",
                    {"low": low, "high": high, "scale": self.scale},
                )
        elif self.resolved is None:
            raise PydanticCustomError("incomplete", "give scale and value, resolved, or all three")
        return self


class Complaint(Part):
    """A formal complaint and how far it has come (ISO 10002)."""

    remedy_sought: (
        Annotated[str, StringConstraints(min_length=1, max_length=4_096), personal("content")] | None
    ) = None
    """What the customer asks for."""
    stage: ComplaintStage | None = None
    """Stage of handling."""


AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_NUL)]
AttributeValue = Annotated[str, StringConstraints(max_length=8_192), personal("content")]


class Event(Part):
    """What the events of every channel have in common."""

    id: Id
    """Unique within `source`. The same id again is the same interaction."""
    source: Id
    """The system that saw it: a name or a URI that does not change."""
    revision: Annotated[int, Field(ge=0, le=MAX_REVISION)] | None = 0
    """A higher revision replaces the interaction, a lower or equal one changes nothing."""
    occurred_at: Timestamp
    """When it began: RFC 3339 with an offset."""
    customer: Customer
    """Who it was, as far as the source knows; `{}` is anonymous."""
    subject: Subject | None = None
    """What it is about."""
    outcome: Outcome | None = None
    """How it ended, seen from the customer's matter."""
    price: Price | None = None
    """A price that was agreed or charged."""
    promise: Promise | None = None
    """A promise made, kept or taken back."""
    rating: Rating | None = None
    """A mark that the customer gave."""
    treatment: Treatment | None = None
    """How the customer was treated."""
    sentiment: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    """Mood of the customer: -1 very bad to 1 very good."""
    complaint: Complaint | None = None
    """A formal complaint."""
    transfers: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """How often the customer was handed to somebody else."""
    follows: Id | None = None
    """Id of the earlier interaction of the same source that this one continues."""
    staff_id: Annotated[Id, personal("staff")] | None = None
    """Who served the customer."""
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT), personal("content")] | None = None
    """What was said or written, in any script."""
    attributes: (
        Annotated[dict[AttributeName, AttributeValue | None], Field(max_length=100), personal("content")]
        | None
    ) = None
    """Whatever else the source wants to keep: at most 100 strings."""


class PhoneEvent(Event):
    """A telephone call, a voicemail or a text message."""

    channel: Literal["phone"]
    """The channel."""
    type: PhoneType
    """What happened."""
    direction: Direction
    """inbound: the customer turned to the company; outbound: the company to the customer."""
    wait_seconds: Seconds | None = None
    """Time in the queue."""
    talk_seconds: Seconds | None = None
    """Time of conversation."""
    hold_seconds: Seconds | None = None
    """Time on hold."""
    wrap_up_seconds: Seconds | None = None
    """Work after the call; costs the customer nothing."""
    ivr_path: Reference | None = None
    """Path through the voice menu."""


class EmailEvent(Event):
    """An e-mail message."""

    channel: Literal["email"]
    """The channel."""
    type: EmailType
    """What happened."""
    direction: Direction
    """inbound: the customer wrote; outbound: the company wrote."""
    thread_id: Reference | None = None
    """Conversation that the message belongs to."""
    in_reply_to: Reference | None = None
    """Message-ID that it answers."""


class VisitEvent(Event):
    """A visit to an office, or feedback given on the spot."""

    channel: Literal["visit"]
    """The channel."""
    type: VisitType
    """What happened."""
    office_id: Id | None = None
    """Office."""
    ticket: Id | None = None
    """Number drawn from the queue machine."""
    wait_seconds: Seconds | None = None
    """Time in the queue."""
    service_seconds: Seconds | None = None
    """Time at the desk."""


OnlineActivityType = Literal[
    "page_view", "self_service", "form", "chat", "order", "payment", "delivery", "review", "survey"
]


class OnlineFields(Event):
    """What activities and case updates have in common."""

    channel: Literal["online"]
    """The channel."""
    session_id: Annotated[Id, personal("identifier")] | None = None
    """Session on the site or in the app."""
    target: Annotated[str, StringConstraints(min_length=1, max_length=8_192), personal("content")] | None = (
        None
    )
    """What was acted on: a page, a form, a shipment."""
    success: bool | None = None
    """Whether it worked."""
    duration_seconds: Seconds | None = None
    """How long it took the customer."""


class OnlineActivity(OnlineFields):
    """What a customer does, or what happens to an order, on the site or in the app."""

    model_config = ConfigDict(title="An online activity")

    type: OnlineActivityType
    """What happened."""
    action: Id | None = None
    """What was done: `login`, `change_tariff`, `delivered`."""


class CaseUpdate(OnlineFields):
    """A step inside the company on a case: never a contact and never an answer."""

    model_config = ConfigDict(title="A case update")

    type: Literal["case_update"]
    """What happened."""
    action: CaseAction | None = None
    """The step."""


OnlineEvent = Annotated[OnlineActivity | CaseUpdate, Field(discriminator="type")]
AnyEvent = PhoneEvent | EmailEvent | VisitEvent | OnlineActivity | CaseUpdate
ChannelEvent = Annotated[PhoneEvent | EmailEvent | VisitEvent | OnlineEvent, Field(discriminator="channel")]

EVENT: Final[TypeAdapter[AnyEvent]] = TypeAdapter(ChannelEvent)
"""Validates an event of any channel: `EVENT.validate_json(bytes)`, `EVENT.validate_python(dict)`."""

MODELS: Final[dict[str, Any]] = {
    "phone": PhoneEvent,
    "email": EmailEvent,
    "visit": VisitEvent,
    "online": OnlineEvent,
}
"""The model of each channel (online: a union of two)."""


def personal_fields() -> dict[str, PersonalKind]:
    """The fields that hold personal data, by path (`customer.phone`, `text`), with their kind."""
    found: dict[str, PersonalKind] = {}
    for model in get_args(AnyEvent):
        found |= tagged_fields(model)
    return found
