"""The closed sets of words that the event contract uses, in one place.

The words of `Channel` and `INTERACTION_TYPES` are Touchline's own; complaint stages follow ISO 10002, rating
scales are the field's usual ones (CSAT of 5, NPS of 10, CES of 7, stars of 5).
"""

from typing import Final, Literal, get_args

Channel = Literal["phone", "email", "visit", "online"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)

PhoneType = Literal["call", "voicemail", "sms"]
EmailType = Literal["message"]
VisitType = Literal["visit", "feedback"]
OnlineType = Literal[
    "page_view",
    "self_service",
    "form",
    "chat",
    "order",
    "payment",
    "delivery",
    "review",
    "survey",
    "case_update",
]
INTERACTION_TYPES: Final[dict[Channel, tuple[str, ...]]] = {
    "phone": get_args(PhoneType),
    "email": get_args(EmailType),
    "visit": get_args(VisitType),
    "online": get_args(OnlineType),
}

Direction = Literal["inbound", "outbound"]
Outcome = Literal["resolved", "unresolved", "promised", "abandoned", "unknown"]
SubjectStage = Literal["choice", "order", "payment", "delivery", "after_sales"]
RatingScale = Literal["csat5", "nps10", "ces7", "stars5"]
Treatment = Literal["professional", "indifferent", "rude"]
ComplaintStage = Literal["received", "acknowledged", "assessed", "answered", "closed"]
CaseAction = Literal[
    "assigned", "waiting_customer", "waiting_company", "acknowledged", "resolved", "reopened", "closed"
]

IdentifierKind = Literal["crm_id", "contract", "loyalty", "phone", "email", "device"]
IDENTIFIER_KINDS: Final[tuple[IdentifierKind, ...]] = get_args(IdentifierKind)
"""Strongest first: the customer of an interaction is named by the first kind that is present."""

WEAK_KINDS: Final[tuple[IdentifierKind, ...]] = ("phone", "email", "device")
"""Those that people share and change; the other ones are strong."""

CUSTOMER_PREFIX: Final[dict[IdentifierKind, str]] = {
    "crm_id": "crm",
    "contract": "contract",
    "loyalty": "loyalty",
    "phone": "phone",
    "email": "email",
    "device": "device",
}
