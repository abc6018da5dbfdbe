"""The contract of the alerts topic: structs and models say the same, and it can grow."""

import msgspec
import pytest

from schemas.alert_documents import ALERT_RECORD, AcknowledgementDocument, AlertDocument, EvidenceDocument
from schemas.alerts import (
    Acknowledgement,
    Alert,
    AlertEvidence,
    alert_key,
    alert_of,
    decode_alert_record,
    encode_alert_record,
    last_changes,
)
from schemas.findings import Evidence, Finding, FindingChange, Identity
from schemas.personal import tagged_fields
from tests.alert_builders import START, acknowledged, alert, snoozed

EVIDENCE = Evidence("web", "o1", "touchline.online", 3, 17, START, "online", {"price.charged": "42.00"})
FINDING = Finding(
    finding_id="f1",
    rule="overcharge",
    rule_version="v1",
    case="severe",
    customer="crm:ann",
    severity="severe",
    weight=3.0,
    channel="online",
    state="open",
    raised_at=START,
    resolved_at=None,
    anchor=Identity("web", "o1"),
    evidence=(EVIDENCE,),
    counterfactual=(Identity("web", "o1"),),
    sentence="charged 42.00",
    action="credit it",
    subjects=("order:o1",),
)


def change(kind: str = "raised", finding: Finding = FINDING) -> FindingChange:
    return FindingChange(kind, finding, START, "a late order", Identity("web", "o2"))  # type: ignore[arg-type]


@pytest.mark.parametrize("record", [alert_of(change(), 7, 60.0), alert(), acknowledged(), snoozed()])
def test_what_is_written_is_read_and_fits_the_models(record: Alert | Acknowledgement) -> None:
    value = encode_alert_record(record)
    assert decode_alert_record(value) == record
    document = ALERT_RECORD.validate_json(value)
    assert document.customer == alert_key(record).decode() == "crm:ann"


@pytest.mark.parametrize(
    ("struct", "model"),
    [(Alert, AlertDocument), (Acknowledgement, AcknowledgementDocument), (AlertEvidence, EvidenceDocument)],
)
def test_structs_and_models_have_the_same_fields_and_the_same_needed_ones(struct: type, model: type) -> None:
    fields = {item.name: item.required for item in msgspec.structs.fields(struct)}
    models = {name: item.is_required() for name, item in model.model_fields.items() if name != "type"}  # type: ignore[attr-defined]
    assert fields == models


def test_an_alert_has_all_that_the_finding_and_its_change_say() -> None:
    made = alert_of(change(), 7)
    assert (made.version, made.kind, made.at, made.reason) == (
        7,
        "raised",
        "2026-03-01T10:00:00Z",
        "a late order",
    )
    assert made.evidence[0].values == {"price.charged": "42.00"}
    assert (made.evidence[0].topic, made.evidence[0].partition, made.evidence[0].offset) == (
        "touchline.online",
        3,
        17,
    )
    assert made.cause is not None
    assert made.cause.id == "o2"


def test_a_field_of_a_later_version_is_ignored() -> None:
    value = encode_alert_record(alert())[:-1] + b',"mood":"cheerful"}'
    assert decode_alert_record(value) == alert()
    assert ALERT_RECORD.validate_json(value).customer == "crm:ann"


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b'{"type":"alert"}', b'{"type":"gossip"}', b"\xff", encode_alert_record(snoozed())[:-2]],
)
def test_what_is_no_record_is_refused(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_alert_record(value)


def test_an_acknowledgement_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="finding_id"):
        msgspec.structs.replace(acknowledged(), finding_id=None)
    with pytest.raises(ValueError, match="rule"):
        msgspec.structs.replace(snoozed(), rule=None)


def test_personal_data_is_tagged() -> None:
    tagged = tagged_fields(AlertDocument)
    assert tagged["customer"] == "identifier"
    assert tagged["sentence"] == tagged["evidence.values"] == "content"
    assert tagged_fields(AcknowledgementDocument)["by"] == "staff"


def test_a_batch_has_one_alert_a_finding_the_last() -> None:
    ended = msgspec.structs.replace(FINDING, state="resolved", resolved_at=START)
    other = msgspec.structs.replace(FINDING, finding_id="f2")
    found = last_changes([change(), change(finding=other), change("resolved", ended)])
    assert [(item.finding.finding_id, item.kind) for item in found] == [("f1", "resolved"), ("f2", "raised")]
