"""The contract of the alerts topic: what has become of a finding, and what people said about it.

Two kinds of record, told apart by `type`, keyed by customer so that they come in order: an `alert` says that a finding
was raised, updated, resolved, withdrawn, settled or reopened; an `acknowledgement` that somebody takes care of it, or
wants quiet for a while. JSON, UTF-8, times as RFC 3339.

The contract grows by optional fields only: readers ignore names that they do not know. The structs are the fast road of
the pipeline; `schemas.alert_documents` has the same as pydantic models, for documents and for readers that want checks.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import msgspec

from schemas.findings import ChangeKind, FindingChange, FindingState, Severity
from schemas.interaction import Micros
from schemas.timestamps import format_timestamp
from schemas.vocabulary import Channel

AlertStatus = Literal["pending", "delivered", "suppressed", "failed"]


class AlertIdentity(msgspec.Struct, frozen=True, gc=False):
    """What an interaction is known by."""

    source: str
    id: str


class AlertEvidence(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One interaction that the finding rests on, where its raw record stands, and the values that mattered."""

    source: str
    id: str
    topic: str
    partition: int
    offset: int
    occurred_at: str
    channel: Channel
    values: dict[str, str] = {}


class Alert(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="alert", tag_field="type"):
    """One change of one finding, with all that a reader needs to act on it.

    `version` orders what was known of a finding: an alert with a version that is not higher than one already seen is a
    repetition (records come at least once). A finding has at most one alert a version. `at` and `raised_at` are
    event time.
    """

    version: int
    kind: ChangeKind
    at: str
    finding_id: str
    rule: str
    rule_version: str
    customer: str
    severity: Severity
    channel: Channel | None
    """The process that the finding counts for; None only in a summary, which never is on the topic."""
    state: FindingState
    raised_at: str
    sentence: str
    action: str
    resolved_at: str | None = None
    reason: str = ""
    subjects: tuple[str, ...] = ()
    evidence: tuple[AlertEvidence, ...] = ()
    counterfactual: tuple[AlertIdentity, ...] = ()
    cause: AlertIdentity | None = None
    cool_down: float | None = None
    """Seconds between two alerts of this rule about this customer; None: what the deployment says."""


class Acknowledgement(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="acknowledgement", tag_field="type"
):
    """Somebody takes care (`acknowledge`, a finding) or wants quiet (`snooze`, a rule of a customer), for a while.

    `severity` is the highest that is hushed: what is more severe still comes. An `until` that has passed ends an
    earlier one.
    """

    action: Literal["acknowledge", "snooze"]
    customer: str
    severity: Severity
    until: str
    at: str
    by: str
    finding_id: str | None = None
    """Needed to acknowledge."""
    rule: str | None = None
    """Needed to snooze."""
    note: str = ""

    def __post_init__(self) -> None:
        if self.action == "acknowledge" and self.finding_id is None:
            raise ValueError("an acknowledgement must name its finding_id")
        if self.action == "snooze" and self.rule is None:
            raise ValueError("a snooze must name its rule")


AlertRecord = Alert | Acknowledgement


class AlertRow(NamedTuple):
    """What became of one alert at one destination. (`finding_id`, `destination`, `version`, `kind`) is its key.

    A later row of the same key replaces: pending, then delivered or failed. `destination` is empty where no route led
    anywhere; `reason` is a stable word, for `failed` and `pending` with the destination's words behind a colon.
    """

    finding_id: str
    customer: str
    rule: str
    severity: Severity
    kind: str
    destination: str
    status: AlertStatus
    reason: str
    at: Micros
    version: int


def alert_of(change: FindingChange, version: int, cool_down: float | None = None) -> Alert:
    """The alert of one change; `version` is that of the rows written with it, `cool_down` its rule's, in seconds."""
    finding = change.finding
    return Alert(
        version=version,
        kind=change.kind,
        at=format_timestamp(change.at),
        finding_id=finding.finding_id,
        rule=finding.rule,
        rule_version=finding.rule_version,
        customer=finding.customer,
        severity=finding.severity,
        channel=finding.channel,
        state=finding.state,
        raised_at=format_timestamp(finding.raised_at),
        sentence=finding.sentence,
        action=finding.action,
        resolved_at=None if finding.resolved_at is None else format_timestamp(finding.resolved_at),
        reason=change.reason,
        subjects=finding.subjects,
        evidence=tuple(
            AlertEvidence(
                item.source,
                item.id,
                item.topic,
                item.partition,
                item.offset,
                format_timestamp(item.occurred_at),
                item.channel,
                item.values,
            )
            for item in finding.evidence
        ),
        counterfactual=tuple(AlertIdentity(*identity) for identity in finding.counterfactual),
        cause=None if change.cause is None else AlertIdentity(*change.cause),
        cool_down=cool_down,
    )


def last_changes(changes: Iterable[FindingChange]) -> list[FindingChange]:
    """The last change of each finding, in the order of the findings' first ones: a batch's alerts are made of these."""
    kept: dict[str, FindingChange] = {}
    for change in changes:
        kept[change.finding.finding_id] = change
    return list(kept.values())


_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[AlertRecord]] = msgspec.json.Decoder(AlertRecord)
_alert_decoder: Final = msgspec.json.Decoder(Alert)


def encode_alert_record(record: AlertRecord) -> bytes:
    """JSON for the topic."""
    return _encoder.encode(record)


def decode_alert_record(value: bytes) -> AlertRecord:
    """The inverse; unknown fields are ignored. Raises `msgspec.DecodeError` (or its `ValidationError`)."""
    return _decoder.decode(value)


def decode_alert(value: bytes) -> Alert:
    """An alert, where nothing else can stand."""
    return _alert_decoder.decode(value)


def alert_key(record: AlertRecord) -> bytes:
    """The Kafka key on the alerts topic: the customer, as on the interactions topic."""
    return record.customer.encode()
