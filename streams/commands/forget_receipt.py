"""The receipt of `touchline forget`, as people read it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any


def description(receipt: dict[str, Any]) -> Iterator[str]:
    """The receipt for people."""
    yield f"receipt      {receipt['id']}"
    yield f"forgotten    {receipt['customer']}, {receipt['interactions']:,} interactions"
    yield f"known as     {', '.join(one['identifier'] for one in receipt['identifiers'])}"
    if receipt["shared"]:
        yield f"stays        {', '.join(receipt['shared'])}: shared with others"
    yield f"asked for    {receipt['asked_at']} by {receipt['by']}" + (
        f": {receipt['reason']}" if receipt["reason"] else ""
    )
    yield "workers      hold nothing of it any more"
    yield f"ClickHouse   {counted(receipt['deleted']) or 'had no rows of it'}"
    yield f"             its files go by {receipt['gone_at']}"
    yield f"Kafka        removed from {counted(receipt['removed']) or 'no compacted topic'}"
    for topic, kept in receipt["expires"].items():
        yield f"             {topic} keeps its records {kept}"


def counted(counts: dict[str, int]) -> str:
    """Numbers of things, for people."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items())


def days_of(kept: timedelta) -> str:
    """A duration, for people."""
    return f"{kept.days} days" if kept >= timedelta(days=2) else f"{kept.total_seconds() / 3_600:g} hours"


def instant_of(micros: int) -> str:
    """An instant, for people and programs: RFC 3339, to the second."""
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
