"""The contract of the alerts topic as pydantic models: for the documents, and for readers that want it checked.

The same fields as the structs of `schemas.alerts`, which the pipeline itself uses; a test holds the two together.
Unknown fields are ignored: the contract grows by optional fields only.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.findings import ChangeKind, FindingState, Severity
from schemas.personal import personal
from schemas.timestamps import TIMESTAMP_PATTERN
from schemas.vocabulary import Channel

Instant = Annotated[
    str, Field(pattern=TIMESTAMP_PATTERN, json_schema_extra={"format": "date-time"}, max_length=64)
]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class IdentityDocument(_Part):
    """What an interaction is known by."""

    source: str
    id: str


class EvidenceDocument(_Part):
    """One interaction that the finding rests on."""

    source: str
    id: str
    topic: str
    """Topic of its raw record."""
    partition: int
    offset: int
    occurred_at: Instant
    channel: Channel
    values: Annotated[dict[str, str], personal("content")] = {}
    """The values that mattered."""


class AlertDocument(_Part):
    """One change of one finding."""

    type: Literal["alert"]
    version: int
    """Orders what was known of the finding; a version that is not higher than one seen is a repetition."""
    kind: ChangeKind
    at: Instant
    """When it became so, event time."""
    finding_id: str
    """The same as long as the finding is true."""
    rule: str
    rule_version: str
    customer: Annotated[str, personal("identifier")]
    severity: Severity
    channel: Channel
    """The process that it counts for."""
    state: FindingState
    raised_at: Instant
    sentence: Annotated[str, personal("content")]
    """Why, in words."""
    action: str
    """What to do about it."""
    resolved_at: Instant | None = None
    reason: str = ""
    """What changed it."""
    subjects: Annotated[tuple[str, ...], personal("content")] = Field((), strict=False)
    """What it is about: `case:ID`, `order:ID`, `reason:a.b`, `thread:ID`."""
    evidence: tuple[EvidenceDocument, ...] = Field((), strict=False)
    counterfactual: tuple[IdentityDocument, ...] = Field((), strict=False)
    """A smallest set of evidence without which it would not stand."""
    cause: IdentityDocument | None = None
    """The late or corrected interaction that did it."""
    cool_down: float | None = None
    """Seconds between two alerts of this rule about this customer; absent: what the deployment says."""


class AcknowledgementDocument(_Part):
    """Somebody takes care of a finding, or wants quiet from a rule about a customer."""

    type: Literal["acknowledgement"]
    action: Literal["acknowledge", "snooze"]
    customer: Annotated[str, personal("identifier")]
    severity: Severity
    """The highest that is hushed: what is more severe still comes."""
    until: Instant
    """When it ends; one that has passed ends an earlier one."""
    at: Instant
    by: Annotated[str, personal("staff")]
    finding_id: str | None = None
    """Needed to acknowledge."""
    rule: str | None = None
    """Needed to snooze."""
    note: Annotated[str, personal("content")] = ""


AlertRecordDocument = Annotated[AlertDocument | AcknowledgementDocument, Field(discriminator="type")]
ALERT_RECORD: Final[TypeAdapter[AlertDocument | AcknowledgementDocument]] = TypeAdapter(AlertRecordDocument)
"""Validates a value of the topic: `ALERT_RECORD.validate_json(value)`."""
