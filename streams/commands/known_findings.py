"""Findings, their history and lights, read back from ClickHouse as a person asks for them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from schemas.findings import SEVERITIES
from schemas.vocabulary import CHANNELS

FINDING: Final = (
    "finding_id",
    "customer",
    "rule",
    "rule_version",
    "rule_case",
    "severity",
    "state",
    "channel",
    "weight",
    "raised_at",
    "resolved_at",
    "subjects",
    "sentence",
    "action",
    "evidence",
    "counterfactual",
)
CHANGE: Final = ("sequence", "kind", "at", "reason", "cause_source", "cause_id", "severity", "sentence")
ALERT: Final = ("kind", "destination", "status", "reason", "at")
CONTRIBUTION: Final = (
    "finding_id",
    "rule",
    "channel",
    "severity",
    "raised_at",
    "weight",
    "points",
    "sentence",
)
EVIDENCE: Final = ("source", "id", "topic", "partition", "offset", "occurred_at", "channel", "values")

Row = Mapping[str, Any]
"""One row by column name; times are aware UTC."""


@dataclass(frozen=True)
class Chosen:
    """Which findings. Every condition that is given must hold."""

    customer: str | None = None
    rule: str | None = None
    severity: str | None = None
    state: str | None = None
    finding_id: str | None = None
    """The id, or how it begins."""

    def where(self) -> tuple[str, dict[str, Any]]:
        """The SQL condition and its parameters."""
        conditions = []
        parameters: dict[str, Any] = {}
        for name in ("customer", "rule", "severity", "state"):
            value = getattr(self, name)
            if value is not None:
                conditions.append(f"{name} = %({name})s")
                parameters[name] = value
        if self.finding_id is not None:
            whole = len(self.finding_id) == ID_LENGTH
            conditions.append("finding_id = %(id)s" if whole else "startsWith(finding_id, %(id)s)")
            parameters["id"] = self.finding_id
        return " AND ".join(conditions) or "1", parameters


ID_LENGTH: Final = 32
WITHDRAWN: Final = "withdrawn"


class Light(NamedTuple):
    """A customer's light at the instant of the query. `lines` add up to `score`."""

    customer: str
    light: str
    score: Decimal
    channels: Mapping[str, tuple[str, Decimal]]
    """Light and score of each channel."""
    at: datetime
    lines: tuple[Row, ...]


@contextmanager
def reading(target: Any) -> Iterator[Any]:
    """A connected client for a `with` block. `target` is a `ClickHouseTarget`."""
    from sinks.clickhouse.client import connect

    client = connect(target)
    try:
        yield client
    finally:
        client.disconnect()


def findings_of(client: Any, chosen: Chosen, limit: int) -> list[Row]:
    """The findings chosen, the latest first. With state `withdrawn` those that are no more, as they last were."""
    condition, parameters = chosen.where()
    source = "findings"
    if chosen.state == WITHDRAWN:
        last = "(SELECT * FROM findings_history ORDER BY sequence DESC LIMIT 1 BY finding_id)"
        source = f"{last} AS last"
    return _rows(
        client,
        FINDING,
        f"FROM {source} WHERE {condition} ORDER BY raised_at DESC, finding_id LIMIT {limit:d}",
        parameters,
    )


def finding_of(client: Any, finding_id: str) -> list[Row]:
    """The findings with this id, or whose id begins so (two at the most); withdrawn ones too."""
    found = findings_of(client, Chosen(finding_id=finding_id), 2)
    return found or findings_of(client, Chosen(finding_id=finding_id, state=WITHDRAWN), 2)


def changes_of(client: Any, customer: str, finding_id: str) -> list[Row]:
    """The history of a finding, oldest first."""
    return _rows(
        client,
        CHANGE,
        "FROM findings_history WHERE customer = %(customer)s AND finding_id = %(id)s ORDER BY sequence",
        {"customer": customer, "id": finding_id},
    )


def alerts_of(client: Any, finding_id: str) -> list[Row]:
    """What became of its alerts, oldest first."""
    return _rows(
        client,
        ALERT,
        "FROM alerts WHERE finding_id = %(id)s ORDER BY at, destination, kind",
        {"id": finding_id},
    )


def light_of(client: Any, customer: str) -> Light | None:
    """A customer's light; green without lines where nothing adds to it; None for an unknown customer."""
    per_channel = ", ".join(f"light_{channel}, score_{channel}" for channel in CHANNELS)
    per_line = ", ".join(f"arrayMap(line -> line.{name}, contributions)" for name in CONTRIBUTION)
    rows = client.execute(
        f"SELECT light, score, {per_channel}, decayed_to, {per_line} FROM lights WHERE customer = %(customer)s",
        {"customer": customer},
    )
    if not rows:
        known = client.execute(
            "SELECT now64(6, 'UTC') FROM customers WHERE customer = %(customer)s", {"customer": customer}
        )
        nothing: dict[str, tuple[str, Decimal]] = dict.fromkeys(CHANNELS, ("green", Decimal(0)))
        return Light(customer, "green", Decimal(0), nothing, _aware(known[0][0]), ()) if known else None
    light, score, *rest = rows[0]
    channels: dict[str, tuple[str, Decimal]] = {
        channel: (rest[2 * index], rest[2 * index + 1]) for index, channel in enumerate(CHANNELS)
    }
    at, *columns = rest[2 * len(CHANNELS) :]
    lines = [
        {**line, "points": Decimal(f"{line['points']:.3f}")}
        for line in (_named(CONTRIBUTION, one) for one in zip(*columns, strict=True))
    ]
    lines.sort(key=lambda line: (-line["points"], line["raised_at"], line["finding_id"]))
    return Light(
        customer, light, score, channels, _aware(at), tuple(line for line in lines if line["points"])
    )


def is_known(client: Any, customer: str) -> bool:
    """Whether anything is stored of a customer."""
    return bool(
        client.execute("SELECT 1 FROM customers WHERE customer = %(customer)s", {"customer": customer})
    )


def gravest(rows: Sequence[Row]) -> str | None:
    """The highest severity among findings."""
    return max((row["severity"] for row in rows), key=SEVERITIES.index, default=None)


def _rows(client: Any, columns: Sequence[str], tail: str, parameters: dict[str, Any]) -> list[Row]:
    return [_named(columns, row) for row in client.execute(f"SELECT {', '.join(columns)} {tail}", parameters)]


def _named(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in zip(columns, row, strict=True):
        if name == "evidence":
            named[name] = [_named(EVIDENCE, one) for one in value]
        elif name == "counterfactual":
            named[name] = [dict(zip(("source", "id"), one, strict=True)) for one in value]
        else:
            named[name] = _aware(value) if isinstance(value, datetime) else value
    return named


def _aware(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
