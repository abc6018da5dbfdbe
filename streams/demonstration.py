"""The figures and pictures of a demonstration, read from ClickHouse as any analyst would."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from clickhouse_driver import Client

STEPS_SQL: Final = """\
SELECT step, occurred_at, channel, type, outcome, wait_seconds, reason, customer, journey_id
FROM journey_steps
WHERE journey_id = '{journey_id}'
ORDER BY step"""


class Totals(NamedTuple):
    """What the ledger and the views say at one moment."""

    received: int = 0
    stored: int = 0
    superseded: int = 0
    dead: int = 0
    balanced: bool = True
    journeys: int = 0
    customers: int = 0

    @property
    def settled(self) -> int:
        """Records whose fate is known."""
        return self.stored + self.superseded + self.dead

    def since(self, before: "Totals") -> "Totals":
        """The ledger's counts less those before; journeys and customers are what is there now.

        An interaction replaced by a newer revision moves from stored to superseded, so a count may fall.
        """
        return self._replace(
            received=self.received - before.received,
            stored=self.stored - before.stored,
            superseded=self.superseded - before.superseded,
            dead=self.dead - before.dead,
        )


def ledger_totals(client: Client) -> Totals:
    """The ledger's counts; cheap enough for several times a second."""
    [row] = client.execute(
        "SELECT sum(received), sum(stored), sum(superseded), sum(dead), min(balanced) FROM reconciliation"
    )
    received, stored, superseded, dead, balanced = row
    return Totals(received, stored, superseded, dead, bool(balanced) or not received)


def with_journeys(totals: Totals, client: Client) -> Totals:
    """The same with the numbers of journeys and of customers that have one."""
    [(journeys, customers)] = client.execute("SELECT count(), uniqExact(customer) FROM journeys")
    return totals._replace(journeys=journeys, customers=customers)


def telling_journey(client: Client) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]] | None:
    """A journey worth looking at (most channels, a handful of steps, some waiting) and its steps."""
    journeys = _rows(
        client,
        "SELECT * FROM journeys WHERE interactions BETWEEN 4 AND 10 "
        "ORDER BY length(channels) DESC, contacts DESC, isNull(wait_seconds), ended_at DESC, journey_id LIMIT 1",
    )
    if not journeys:
        return None
    journey = journeys[0]
    steps = _rows(
        client,
        "SELECT s.*, i.text AS text FROM journey_steps AS s "
        "LEFT JOIN (SELECT source, id, text FROM interactions WHERE journey_id = %(journey)s) AS i "
        "USING (source, id) WHERE s.journey_id = %(journey)s ORDER BY s.step",
        {"journey": journey["journey_id"]},
    )
    return journey, steps


def _rows(client: Client, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
    rows, columns = client.execute(sql, parameters, with_column_types=True)
    return [dict(zip([name for name, _ in columns], row, strict=True)) for row in rows]
