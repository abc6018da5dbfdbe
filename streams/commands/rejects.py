"""Dead letters read back from ClickHouse, byte for byte."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple


class Reject(NamedTuple):
    """A raw record that could not be used: as it came, and why. `occurred_at` is aware UTC."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    stage: str
    error: str
    message: str
    occurred_at: datetime


@dataclass(frozen=True)
class Filter:
    """Which dead letters. Every condition that is given must hold; `reason` is the error's name, or in the
    message.
    """

    reason: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether any condition is given."""
        return self != Filter()

    def where(self) -> tuple[str, dict[str, Any]]:
        """The SQL condition and its parameters."""
        conditions: list[tuple[str, dict[str, Any]]] = []
        if self.reason is not None:
            conditions.append(
                (
                    "(error = %(reason)s OR positionCaseInsensitiveUTF8(message, %(reason)s) > 0)",
                    {"reason": self.reason},
                )
            )
        for name in ("topic", "partition", "offset"):
            value = getattr(self, name)
            if value is not None:
                conditions.append((f"`{name}` = %({name})s", {name: value}))
        if self.since is not None:
            conditions.append(
                ("occurred_at >= fromUnixTimestamp64Micro(%(since)s)", {"since": _micros(self.since)})
            )
        if self.until is not None:
            conditions.append(
                ("occurred_at < fromUnixTimestamp64Micro(%(until)s)", {"until": _micros(self.until)})
            )
        parameters = {name: value for _, more in conditions for name, value in more.items()}
        return " AND ".join(condition for condition, _ in conditions) or "1", parameters


# Payloads may be any bytes: they cross as hexadecimal, so that no client has to guess an encoding.
_COLUMNS: Final = """
    topic, partition, `offset`,
    isNull(key), hex(ifNull(key, '')), isNull(value), hex(ifNull(value, '')),
    arrayMap(header -> header.1, headers), arrayMap(header -> hex(header.2), headers),
    toString(stage), error, message, toUnixTimestamp64Micro(occurred_at)
"""


def find(target: Any, chosen: Filter, limit: int) -> list[Reject]:
    """The dead letters that `chosen` names, newest first, `limit` at the most. `target` is a
    `ClickHouseTarget`.
    """
    return list(
        _select(target, chosen, f"ORDER BY occurred_at DESC, topic, partition, `offset` DESC LIMIT {limit:d}")
    )


def find_all(target: Any, chosen: Filter) -> Iterator[Reject]:
    """All that `chosen` names, streamed, in the order in which they came on each partition."""
    return _select(target, chosen, "ORDER BY topic, partition, incarnation, `offset`")


def _select(target: Any, chosen: Filter, tail: str) -> Iterator[Reject]:
    from sinks.clickhouse.client import connect

    condition, parameters = chosen.where()
    client = connect(target)
    try:
        rows = client.execute_iter(
            f"SELECT {_COLUMNS} FROM dead_letters WHERE {condition} {tail}", parameters
        )
        for row in rows:
            yield reject_of(row)
    finally:
        client.disconnect()


def reject_of(row: Sequence[Any]) -> Reject:
    """One row of the columns above."""
    topic, partition, offset, no_key, key, no_value, value, names, values, stage, error, message, micros = row
    return Reject(
        topic=topic,
        partition=int(partition),
        offset=int(offset),
        key=None if no_key else bytes.fromhex(key),
        value=None if no_value else bytes.fromhex(value),
        headers=tuple((name, bytes.fromhex(text)) for name, text in zip(names, values, strict=True)),
        stage=stage,
        error=error,
        message=message,
        occurred_at=datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000),
    )


def _micros(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000 + instant.microsecond
