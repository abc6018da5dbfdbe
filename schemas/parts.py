"""The objects inside an event: who it was, what it is about, price, promise, rating, complaint.

Where fields depend on each other, a check in Python and a condition in the JSON Schema say the same.
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.personal import personal
from schemas.values import CURRENCY_PATTERN, REASON_PATTERN, DueAt, Id, Identifier, Money
from schemas.vocabulary import ComplaintStage, RatingScale, SubjectStage

RATING_RANGES: Final[dict[RatingScale, tuple[int, int]]] = {
    "csat5": (1, 5),
    "nps10": (0, 10),
    "ces7": (1, 7),
    "stars5": (1, 5),
}


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
