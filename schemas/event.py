"""The event contract: what owners of upstream systems publish, one closed model a channel.

Flat JSON, snake_case. Six fields are mandatory (`id`, `source`, `channel`, `type`, `occurred_at`,
`customer`), and `direction` for phone and email; all else is optional, where absent and null both mean
*unknown*, never zero. Unknown fields are errors; free data goes to `attributes`. Types are strict: `"5"` is
not 5.

The models say what is valid and nothing more; `schemas.codec` turns bytes into a validated interaction.
"""

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

from schemas.parts import Complaint, Customer, Part, Price, Promise, Rating, Subject
from schemas.personal import PersonalKind, personal, tagged_fields
from schemas.values import (
    MAX_REVISION,
    MAX_TEXT,
    AttributeName,
    AttributeValue,
    Id,
    Reference,
    Seconds,
    Timestamp,
)
from schemas.vocabulary import CaseAction, Direction, EmailType, Outcome, PhoneType, Treatment, VisitType


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
