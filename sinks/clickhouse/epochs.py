"""Epochs: the instants at which offsets begin again.

Two things must not collide when topics are made anew or a file is replayed, although offsets start at zero
again: the coordinates of records (so the ledger keeps the topics' *incarnation* beside them) and the
versions of rows (so a version is `version_base` + the offset of the batch's last record on the interactions
topic). An epoch is a number of microseconds since 1970: versions of a later epoch are greater as long as a
partition takes fewer than a million records a second in the mean.
"""

from typing import Literal

from clickhouse_driver import Client
from clickhouse_driver import errors as driver

from schemas.interaction import Micros
from sinks.clickhouse.errors import classify

EpochKind = Literal["topics", "replay"]


def open_epoch(client: Client, kind: EpochKind, prefix: str, at: Micros) -> None:
    """Enter an epoch; entering the same one again changes nothing. Raises a `SinkError`."""
    try:
        client.execute("INSERT INTO epochs_raw (kind, prefix, at) VALUES", [(kind, prefix, at)])
    except (driver.Error, EOFError, OSError) as error:
        raise classify(error) from error


def topics_incarnation(client: Client, prefix: str) -> Micros | None:
    """When the topics with this prefix were last made; None when no epoch of them was entered. Raises a
    `SinkError`.
    """
    return _latest(client, "WHERE kind = 'topics' AND prefix = %(prefix)s", prefix)


def version_base(client: Client) -> int:
    """What to add to an offset to have a row's version: the latest epoch of all, 0 where there is none."""
    return _latest(client, "", "") or 0


def _latest(client: Client, where: str, prefix: str) -> Micros | None:
    try:
        found = client.execute(f"SELECT count(), max(at) FROM epochs_raw {where}", {"prefix": prefix})
    except (driver.Error, EOFError, OSError) as error:
        raise classify(error) from error
    count, at = found[0]
    return int(at) if count else None
