"""Findings, lights and alerts as columns."""

from typing import Any

import msgspec
import pytest

from schemas.alerts import AlertRow
from schemas.findings import (
    ChannelLight,
    Contribution,
    Evidence,
    Finding,
    FindingChange,
    Identity,
    Light,
)
from schemas.interaction import DAY
from schemas.records import Fading
from sinks.clickhouse.finding_rows import (
    ALERT_COLUMNS,
    alert_rows,
    finding_rows,
    history_rows,
    light_rows,
)
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.rows import Rows
from streams.catalogue.rule_files import compile_files, read_rule
from streams.core.batch import advance_batch
from streams.core.detection.customer import Detection
from streams.core.policy import DEFAULT_POLICY
from tests.builders import call, instant

ANN = "crm:ann"
FADING = Fading(14 * DAY, 2_250, 6_750)

EVIDENCE = (
    Evidence("telephony", "c1", "touchline.phone", 3, 7, 100, "phone", {"transfers": "2"}),
    Evidence("web", "f1", "touchline.online", 1, 9, 200, "online"),
)
FINDING = Finding(
    "f1", "passed_around", "v1", "transfers", ANN, "minor", 1.0, "phone", "open", 150, None,
    Identity("telephony", "c1"), EVIDENCE, (Identity("telephony", "c1"),), "Passed on twice.", "Call back.",
    ("case:1",), 200,
)  # fmt: skip


class Weighed(Contribution, frozen=True, array_like=True, gc=False):
    """A contribution that says what it weighed."""

    weight: float = 0.0


def change(kind: Any = "raised", at: int = 150, **more: Any) -> FindingChange:
    return FindingChange(kind, msgspec.structs.replace(FINDING, **more), at, "completed")


def line(points: int, raised_at: int = 0, finding_id: str = "f1") -> Contribution:
    return Contribution(finding_id, "reopened", "email", "major", raised_at, points, "Again.")


def light(*lines: Contribution, at: int = 0) -> Light:
    part = ChannelLight("email", 3_000, "yellow")
    return Light(ANN, at, sum(one.points for one in lines), "red", (part,) if lines else (), lines, None)


def records(rows: Rows) -> list[dict[str, Any]]:
    """Rows as dicts, by column name."""
    return [
        dict(zip(rows.names, row, strict=True)) for block in rows.blocks for row in zip(*block, strict=True)
    ]


def test_every_field_of_a_finding_has_its_column() -> None:
    (row,) = records(finding_rows([(change(), 7)], CLEAR))
    for name in set(Finding.__struct_fields__) - {"case", "anchor", "evidence", "counterfactual"}:
        assert row.pop(name) == getattr(FINDING, name), name
    for name in Evidence.__struct_fields__:
        assert row.pop(f"evidence.{name}") == tuple(getattr(item, name) for item in EVIDENCE), name
    assert row == {
        "rule_case": "transfers",
        "anchor_source": "telephony",
        "anchor_id": "c1",
        "counterfactual.source": ("telephony",),
        "counterfactual.id": ("c1",),
        "sequence": 0,
        "changed_at": 150,
        "version": 7,
        "is_deleted": 0,
    }


def test_a_finding_without_evidence_has_empty_arrays_and_an_unsaid_end_is_null() -> None:
    (row,) = records(finding_rows([(change(evidence=(), counterfactual=(), extends_to=0), 7)], CLEAR))
    assert {row[name] for name in row if "." in name} == {()}
    assert row["extends_to"] is None


def test_of_several_changes_in_one_version_the_last_is_how_a_finding_stands() -> None:
    first, second = change(), change("resolved", 300, state="resolved", resolved_at=300)
    other = change(finding_id="f2")
    rows = records(finding_rows([(first, 7), (other, 7), (second, 7), (first, 9)], CLEAR))
    assert [(row["finding_id"], row["state"], row["version"]) for row in rows] == [
        ("f1", "resolved", 7),
        ("f2", "open", 7),
        ("f1", "open", 9),
    ]


@pytest.mark.parametrize("state", ["open", "resolved", "settled", "withdrawn"])
def test_only_a_withdrawal_is_a_deletion(state: str) -> None:
    (row,) = records(finding_rows([(change(state=state), 7)], CLEAR))
    assert row["is_deleted"] == (state == "withdrawn")


def test_the_history_keeps_every_change_with_its_number_reason_and_cause() -> None:
    numbered = FindingChange("withdrawn", FINDING, 400, "arrived", Identity("mail", "m1"), 3)
    rows = records(history_rows([(change(), 7), (numbered, 7)], CLEAR))
    told = ("kind", "at", "reason", "cause_source", "cause_id", "sequence", "version")
    assert [tuple(row[name] for name in told) for row in rows] == [
        ("raised", 150, "completed", None, None, 0, 7),
        ("withdrawn", 400, "arrived", "mail", "m1", 3, 7),
    ]


def test_a_light_keeps_what_it_needs_to_fade() -> None:
    (row,) = records(light_rows([(light(line(3_000), line(2_000, finding_id="f2")), FADING, 7)], CLEAR))
    assert (row["half_life"], row["yellow_until"], row["red_until"]) == FADING
    assert row["contributions.finding_id"] == ("f1", "f2")
    assert row["contributions.weight"] == (3.0, 2.0)
    colours = [row[name] for name in row if name.startswith("colour")]
    assert colours == ["red", "green", "yellow", "green", "green"]
    assert row["is_deleted"] == 0


def test_a_light_without_contributions_is_a_deletion_and_needs_no_fading() -> None:
    (row,) = records(light_rows([(light(), None, 7)], CLEAR))
    assert (row["customer"], row["is_deleted"], row["version"]) == (ANN, 1, 7)


def test_a_light_that_does_not_say_how_it_fades_is_refused() -> None:
    with pytest.raises(ValueError, match=r"SinkBatch\.fading"):
        light_rows([(light(line(1)), None, 7)], CLEAR)


@pytest.mark.parametrize(("half_lives", "left"), [(0, 3_000), (1, 1_500), (2, 750), (-1, 3_000)])
def test_a_weight_that_is_not_said_is_grown_back(half_lives: int, left: int) -> None:
    at = 20 * DAY
    lit = light(line(left, raised_at=at - half_lives * FADING.half_life), at=at)
    (row,) = records(light_rows([(lit, FADING, 7)], CLEAR))
    assert row["contributions.weight"] == (3.0,)


def test_a_weight_that_is_said_is_kept_as_it_is() -> None:
    said = Weighed("f1", "reopened", "email", "major", 0, 1, "Again.", weight=2.9)
    (row,) = records(light_rows([(light(said, at=100 * DAY), FADING, 7)], CLEAR))
    assert row["contributions.weight"] == (2.9,)


def test_an_alert_row_is_the_record() -> None:
    alert = AlertRow("f1", ANN, "reopened", "major", "raised", "ops", "failed", "http: 500", 5, 9)
    (block,) = alert_rows([alert], CLEAR).blocks
    assert [column[0] for column in block] == list(alert)
    assert len(ALERT_COLUMNS) == len(block)


# Pseudonyms

NUMBER, ADDRESS = "+359888123456", "ann@example.com"


def test_nothing_of_a_finding_shows_a_weak_identifier() -> None:
    pseudonyms = Pseudonyms(b"key")
    values = {"phone": NUMBER, "email": ADDRESS, "customer": f"phone:{NUMBER}", "wait_seconds": "9"}
    told = change(
        customer=f"phone:{NUMBER}",
        evidence=(msgspec.structs.replace(EVIDENCE[0], values=values),),
        subjects=("case:1", f"email:{ADDRESS}"),
        sentence=f"{NUMBER} wrote as {ADDRESS.title()}. Twice.",
    )
    stored, bare = pseudonyms.customers[f"phone:{NUMBER}"], pseudonyms.bare["email"][ADDRESS]
    for rows in (finding_rows([(told, 7)], pseudonyms), history_rows([(told, 7)], pseudonyms)):
        (row,) = records(rows)
        assert row["customer"] == stored
        assert row["evidence.values"] == (
            {"phone": stored[6:], "email": bare, "customer": stored, "wait_seconds": "9"},
        )
        assert row["subjects"] == ("case:1", f"email:{bare}")
        assert row["sentence"] == f"{stored[6:]} wrote as {bare}. Twice."
        assert NUMBER not in str(row)
        assert ADDRESS not in str(row).lower()


def test_lights_and_alerts_name_the_customer_as_findings_do() -> None:
    pseudonyms = Pseudonyms(b"key")
    name = f"phone:{NUMBER}"
    lit = msgspec.structs.replace(
        light(msgspec.structs.replace(line(3_000), sentence=f"{NUMBER} called.")), customer=name
    )
    (row,) = records(light_rows([(lit, FADING, 7)], pseudonyms))
    stored = pseudonyms.customers[name]
    assert row["customer"] == stored
    assert row["contributions.sentence"] == (f"{stored[6:]} called.",)
    alert = AlertRow("f1", name, "reopened", "major", "raised", "ops", "failed", "http: 500", 5, 9)
    (told,) = records(alert_rows([alert], pseudonyms))
    assert told["customer"] == stored


DEVICE, UNREAD = "kiosk 7 (Küche)", "0888-CALL"
"""A device with blanks, and a number that could not be normalised: nothing that could be told by its looks."""

NAMING_RULE = """\
id: named
title: A sentence of a company's own
cool_down: 1d
sentence: "{customer}, {phone}, {email} waited at {device}."
action: Call.
stands_when:
  - kind: threshold
    severity: severe
    where: {wait_seconds: {above: 600}}
"""

COUNTING_RULE = """\
id: counted
title: Several devices
cool_down: 1d
sentence: "{count} devices in {span}: {values}."
action: Call.
stands_when:
  - kind: repeat
    severity: severe
    where: {contact: true}
    distinct: device
    at_least: 2
    within: 7d
    per: [reason]
"""


@pytest.mark.parametrize(
    ("rule", "by", "shown"),
    [
        (NAMING_RULE, "crm:ann", (DEVICE, UNREAD, ADDRESS)),
        (NAMING_RULE, f"device:{DEVICE}", (DEVICE, UNREAD, ADDRESS)),
        (COUNTING_RULE, "crm:ann", (DEVICE,)),
    ],
)
def test_what_a_rule_of_ones_own_repeats_is_hashed_in_findings_and_lights(
    rule: str, by: str, shown: tuple[str, ...]
) -> None:
    pseudonyms = Pseudonyms(b"key")
    detection = Detection(compile_files([read_rule(rule, "own.yaml")]))
    told = {
        "id": "c1",
        "wait": 601,
        "about": "bill",
        "phone": UNREAD,
        "email": ADDRESS,
        "unnormalised": ("phone",),
    }
    waited = call("2026-03-02T10:00Z", by=by, device=DEVICE, **told)
    other = call("2026-03-02T10:01Z", by=by, id="c2", about="bill", device="another")
    now = instant("2026-03-02T10:02Z")
    result = advance_batch({}.get, [waited, other], (), now, DEFAULT_POLICY, detection)
    (change,), (lit,) = result.changes, result.lights
    fading = Fading(1, 0, 0)
    for value in shown:
        assert value in change.finding.sentence, "people who are told read it as it is"
    for rows, column in (
        (finding_rows([(change, 7)], pseudonyms), "sentence"),
        (history_rows([(change, 7)], pseudonyms), "sentence"),
        (light_rows([(lit, fading, 7)], pseudonyms), "contributions.sentence"),
    ):
        (row,) = records(rows)
        for kind, value in (("device", DEVICE), ("phone", UNREAD), ("email", ADDRESS)):
            assert value not in str(row), column
            assert (pseudonyms.bare[kind][value] in str(row[column])) == (value in shown), column
    (row,) = records(light_rows([(lit, fading, 7)], CLEAR))
    assert row["contributions.sentence"] == (change.finding.sentence,)
