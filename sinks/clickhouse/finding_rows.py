"""Findings, lights and alerts as rows: one mapping for each, beside its columns (as in `sinks.clickhouse.rows`).

A list of records (evidence, contributions) becomes parallel arrays, whose column names share what stands
before the dot. Customers and weak identifiers are named as `Pseudonyms` says, also where evidence and sentences repeat
them.
"""

from collections.abc import Iterable, Sequence
from math import exp2
from typing import Any, Final

from msgspec.structs import astuple

from schemas.alerts import AlertRow
from schemas.findings import Contribution, Evidence, Finding, FindingChange, Light, weak_names
from schemas.interaction import SECOND, Micros
from schemas.records import Fading
from schemas.vocabulary import CHANNELS
from sinks.clickhouse.pseudonyms import WEAK, Pseudonyms
from sinks.clickhouse.rows import Rows, transposed

_MINUTE: Final = 60 * SECOND
_EVIDENCE: Final = Evidence.__struct_fields__
_VALUES: Final = _EVIDENCE.index("values")
_LINE: Final = ("finding_id", "rule", "channel", "severity", "raised_at", "weight", "sentence")

_SNAPSHOT: Final = (
    "customer",
    "finding_id",
    "rule",
    "rule_version",
    "rule_case",
    "severity",
    "weight",
    "channel",
    "state",
    "raised_at",
    "resolved_at",
    "extends_to",
    "anchor_source",
    "anchor_id",
    *(f"evidence.{name}" for name in _EVIDENCE),
    "counterfactual.source",
    "counterfactual.id",
    "subjects",
    "sentence",
    "action",
    "sequence",
)
"""A finding as it stood after one of its changes."""

FINDING_COLUMNS: Final = (*_SNAPSHOT, "changed_at", "version", "is_deleted")

HISTORY_COLUMNS: Final = (*_SNAPSHOT, "kind", "at", "reason", "cause_source", "cause_id", "version")

LIGHT_COLUMNS: Final = (
    "customer",
    "at",
    "colour",
    *(f"colour_{channel}" for channel in CHANNELS),
    *(f"contributions.{name}" for name in _LINE),
    "half_life",
    "yellow_until",
    "red_until",
    "next_change",
    "version",
    "is_deleted",
)

ALERT_COLUMNS: Final = AlertRow._fields


def finding_rows(changes: Sequence[tuple[FindingChange, int]], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `findings_raw`: (change, version). Of several changes of a finding in one version the last
    counts; a withdrawal is a deletion.
    """
    last = {(change.finding.finding_id, version): change for change, version in changes}
    rows = [
        (*_snapshot(change, pseudonyms), change.at, version, int(change.finding.state == "withdrawn"))
        for (_, version), change in last.items()
    ]
    return transposed(FINDING_COLUMNS, rows)


def history_rows(changes: Sequence[tuple[FindingChange, int]], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `findings_history_raw`: (change, version)."""
    rows = [
        (
            *_snapshot(change, pseudonyms),
            change.kind,
            change.at,
            change.reason,
            *(change.cause or (None, None)),
            version,
        )
        for change, version in changes
    ]
    return transposed(HISTORY_COLUMNS, rows)


def light_rows(lights: Sequence[tuple[Light, Fading | None, int]], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `lights_raw`: (light, how it fades, version). A light without contributions is a deletion.

    Raises ValueError when a light with contributions does not say how it fades.
    """
    return transposed(LIGHT_COLUMNS, [_light(*lit, pseudonyms) for lit in lights])


def alert_rows(alerts: Sequence[AlertRow], pseudonyms: Pseudonyms) -> Rows:
    """Rows of `alerts_raw`, and of `alerts_history_raw`, which has the same columns and keeps them all."""
    stored = pseudonyms.customers
    return transposed(ALERT_COLUMNS, [row._replace(customer=stored[row.customer]) for row in alerts])


def _snapshot(change: FindingChange, pseudonyms: Pseudonyms) -> tuple[Any, ...]:
    finding: Finding = change.finding
    evidence: Iterable[tuple[Any, ...]] = map(astuple, finding.evidence)
    subjects, sentence = finding.subjects, finding.sentence
    if not pseudonyms.clear:
        names = weak_names(finding)
        sentence = pseudonyms.veiled(sentence, names)
        if names:
            stored = pseudonyms.customers
            subjects = tuple([stored[subject] for subject in subjects])
            evidence = [
                (*item[:_VALUES], _veiled_values(item[_VALUES], pseudonyms), *item[_VALUES + 1 :])
                for item in evidence
            ]
    return (
        pseudonyms.customers[finding.customer],
        finding.finding_id,
        finding.rule,
        finding.rule_version,
        finding.case,
        finding.severity,
        finding.weight,
        finding.channel,
        finding.state,
        finding.raised_at,
        finding.resolved_at,
        finding.extends_to or None,
        *finding.anchor,
        *_parallel(len(_EVIDENCE), evidence),
        *_parallel(2, finding.counterfactual),
        subjects,
        sentence,
        finding.action,
        change.sequence,
    )


def _veiled_values(values: dict[str, str], pseudonyms: Pseudonyms) -> dict[str, str]:
    veiled = dict(values)
    for kind in WEAK:
        if kind in veiled:
            veiled[kind] = pseudonyms.bare[kind][veiled[kind]]
    if "customer" in veiled:
        veiled["customer"] = pseudonyms.customers[veiled["customer"]]
    return veiled


def _light(light: Light, fading: Fading | None, version: int, pseudonyms: Pseudonyms) -> tuple[Any, ...]:
    if fading is None:
        if light.contributions:
            raise ValueError("a batch with lights must say how they fade (SinkBatch.fading)")
        fading = Fading(1, 0, 0)
    colours = {part.channel: part.colour for part in light.by_channel}
    lines = [
        (
            line.finding_id,
            line.rule,
            line.channel,
            line.severity,
            line.raised_at,
            _weight(line, light.at, fading.half_life),
            pseudonyms.veiled(line.sentence, (light.customer, *line.names)),
        )
        for line in light.contributions
    ]
    return (
        pseudonyms.customers[light.customer],
        light.at,
        light.colour,
        *(colours.get(channel, "green") for channel in CHANNELS),
        *_parallel(len(_LINE), lines),
        *fading,
        light.next_change,
        version,
        int(not light.contributions),
    )


def _weight(line: Contribution, at: Micros, half_life: Micros) -> float:
    """Points that a contribution added when it was raised; where it does not say so, grown back from what was
    left of it (right to half a thousandth of a point at `at` and later).
    """
    age = max(0, at // _MINUTE - line.raised_at // _MINUTE)
    return line.weight or line.points / 1_000 * exp2(age / (half_life / _MINUTE))


def _parallel(width: int, records: Iterable[tuple[Any, ...]]) -> Iterable[Sequence[Any]]:
    """Records of `width` fields as so many arrays."""
    return tuple(zip(*records, strict=True)) or ((),) * width
