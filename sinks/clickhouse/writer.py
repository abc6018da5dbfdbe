"""The writer: batches in, rows in ClickHouse out; concurrent batches share their INSERTs (group commit).

Writing a batch again, whole or cut differently, changes nothing that shows: interactions, journeys, findings
and lights are replaced by key and version, changes of findings by their number, alerts by their instant,
identities by the position in the log of links, dead letters by their coordinates, and the ledger unites sets
(docs/adr/0001-idempotent-writes.md). The ledger goes last, so that it never says "stored" of a row that is not.

The writer neither retries nor drops. The caller writes the same batch again after a `SinkUnavailable`.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from schemas.records import SinkBatch
from sinks.clickhouse.client import ClickHouseTarget, InsertingClient, connect
from sinks.clickhouse.erasure_rows import erasure_done_rows
from sinks.clickhouse.errors import SinkRefused, SinkUnavailable, classify
from sinks.clickhouse.finding_rows import alert_rows, finding_rows, history_rows, light_rows
from sinks.clickhouse.identity_rows import (
    identifier_rows,
    identity_history_rows,
    identity_rows,
    renamed_rows,
)
from sinks.clickhouse.ledger import ledger_rows
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.pseudonyms import Pseudonyms
from sinks.clickhouse.rows import Rows, dead_letter_rows, interaction_rows, journey_rows

GROUP_ROWS: Final = 50_000
"""Rows and single ledger entries that one group takes at the most (one batch may be larger)."""

SECOND_GROUP_ROWS: Final = 20_000
"""Rows that must be waiting before another group starts beside one that is being written.

An INSERT of few rows costs the server nearly what one of many does, and its part is merged again and again: with
groups of 20,000 instead of 5,000 a server spends a third less on each row. Who has less than that waits for the
group before, and goes with whatever has come until then.
"""


class Waiting(NamedTuple):
    """A batch to be written. `weight` is its rows and single ledger entries."""

    batch: SinkBatch
    done: "asyncio.Future[None]"
    weight: int


class ClickHouseWriter:
    """Writes `SinkBatch`es to one ClickHouse. `write` is for one event loop, `write_sync` for any thread."""

    def __init__(
        self,
        target: ClickHouseTarget,
        pseudonyms: Pseudonyms,
        *,
        client: Callable[[ClickHouseTarget], InsertingClient] = connect,
    ) -> None:
        """Opens nothing yet; `pseudonyms` says how customers are named in the tables, `client` makes connections,
        at most `target.connections` at a time.
        """
        self._pool = ClientPool(target, pseudonyms, client)
        self._threads = ThreadPoolExecutor(target.connections, thread_name_prefix="clickhouse")
        self._waiting: list[Waiting] = []
        self._rows_waiting = 0
        self._groups: set[asyncio.Task[None]] = set()
        self._limit = target.connections
        self._closed = False

    async def write(self, batch: SinkBatch) -> None:
        """Return once every row of the batch is in ClickHouse.

        Raises `SinkUnavailable` (write the same batch again after `retry_after` seconds),
        `SinkMisconfigured` or `SinkRefused`. After an error nothing is known about which rows arrived;
        writing again is always right.
        """
        if self._closed:
            raise SinkUnavailable("the writer is closed")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        weight = _weight(batch)
        self._waiting.append(Waiting(batch, done, weight))
        self._rows_waiting += weight
        self._start_group()
        await done

    def write_sync(self, batch: SinkBatch) -> None:
        """The same for callers without an event loop (replay): blocks until the rows are in ClickHouse."""
        self._pool.write([batch])

    async def close(self) -> None:
        """Wait for what was to be written, then disconnect. Who writes afterwards hears `SinkUnavailable`."""
        self._closed = True
        while self._groups:
            await asyncio.gather(*self._groups, return_exceptions=True)
        self._threads.shutdown(wait=True)
        self._pool.close()

    def close_sync(self) -> None:
        """`close` for a writer that was only used with `write_sync`."""
        self._threads.shutdown(wait=True)
        self._pool.close()

    def _start_group(self) -> None:
        """Who comes while a group is being written waits, and then goes in one group with the others."""
        if not self._waiting or len(self._groups) >= self._limit:
            return
        if self._groups and self._rows_waiting < SECOND_GROUP_ROWS:
            return
        weight, size = 0, 0
        for one in self._waiting:
            if size and weight + one.weight > GROUP_ROWS:
                break
            weight += one.weight
            size += 1
        group, self._waiting = self._waiting[:size], self._waiting[size:]
        self._rows_waiting -= weight
        task = asyncio.get_running_loop().create_task(self._write_group(group))
        self._groups.add(task)
        task.add_done_callback(self._group_done)

    def _group_done(self, task: asyncio.Task[None]) -> None:
        self._groups.discard(task)
        self._start_group()

    async def _write_group(self, group: "Sequence[Waiting]") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._pool.write, [one.batch for one in group])
        except SinkRefused as refused:
            if len(group) == 1:
                _settle(group[0].done, refused)
                return
            # One batch's bad row must not be its neighbours' fault: each goes alone and learns its own fate.
            for member in group:
                await self._write_group([member])
        except BaseException as error:
            for one in group:
                _settle(one.done, error)
            if not isinstance(error, Exception):
                raise
        else:
            for one in group:
                _settle(one.done, None)


class ClientPool:
    """Connections that are lent to one thread at a time; one that failed is thrown away."""

    def __init__(
        self,
        target: ClickHouseTarget,
        pseudonyms: Pseudonyms,
        client: Callable[[ClickHouseTarget], InsertingClient] = connect,
    ) -> None:
        self._target = target
        self._pseudonyms = pseudonyms
        self._connect = client
        self._idle: list[InsertingClient] = []
        self._lock = threading.Lock()

    def write(self, batches: Sequence[SinkBatch]) -> None:
        """Write these batches as one group; raises a `SinkError`."""
        try:
            *statements, (ledger, entries) = inserts(batches, self._pseudonyms)
        except Exception as error:
            raise classify(error) from error
        with self._lock:
            client = self._idle.pop() if self._idle else self._connect(self._target)
        try:
            for table, rows in statements:
                client.insert(table, rows)
            self._record_names(client, batches)
            client.insert(ledger, entries)
            if any(batch.erasures for batch in batches):
                self._pseudonyms.forget()
        except BaseException as error:
            client.disconnect()
            if not isinstance(error, Exception):
                raise
            raise classify(error) from error
        with self._lock:
            self._idle.append(client)

    def _record_names(self, client: InsertingClient, batches: Sequence[SinkBatch]) -> None:
        """Who became another customer, and what the hashes stand for that were made for these rows."""
        if any(batch.identities for batch in batches):
            client.insert("renamed_customers_raw", renamed_rows(client, batches, self._pseudonyms))
        names = self._pseudonyms.unrecorded()
        if names:
            database = private_database(self._target.database)
            client.insert(f"`{database}`.identifiers_raw", identifier_rows(names))
            self._pseudonyms.recorded(names)

    def close(self) -> None:
        """Disconnect what is idle."""
        with self._lock:
            clients, self._idle = self._idle, []
        for client in clients:
            client.disconnect()


def inserts(batches: Sequence[SinkBatch], pseudonyms: Pseudonyms) -> list[tuple[str, Rows]]:
    """What to insert, in its order: rows first, the ledger last."""
    letters = [(letter, batch.incarnation) for batch in batches for letter in batch.dead_letters]
    journeys = [(journey, batch.version) for batch in batches for journey in batch.journeys]
    retracted = [(*names, batch.version) for batch in batches for names in batch.retracted]
    changes = [(change, batch.version) for batch in batches for change in batch.findings]
    lights = [(light, batch.fading, batch.version) for batch in batches for light in batch.lights]
    alerts = [alert for batch in batches for alert in batch.alerts]
    identities = [(row, batch.links_seen) for batch in batches for row in batch.identities]
    moves = [(change, batch.links_seen) for batch in batches for change in batch.identity_changes]
    return [
        ("dead_letters_raw", dead_letter_rows(letters)),
        ("placed_interactions_raw", interaction_rows(batches, pseudonyms)),
        ("journeys_raw", journey_rows(journeys, retracted, pseudonyms)),
        ("findings_history_raw", history_rows(changes, pseudonyms)),
        ("findings_raw", finding_rows(changes, pseudonyms)),
        ("lights_raw", light_rows(lights, pseudonyms)),
        ("alerts_history_raw", alert_rows(alerts, pseudonyms)),
        ("alerts_raw", alert_rows(alerts, pseudonyms)),
        ("identity_raw", identity_rows(identities, pseudonyms)),
        ("identity_history_raw", identity_history_rows(moves, pseudonyms)),
        ("erasures_done_raw", erasure_done_rows([one for batch in batches for one in batch.erasures])),
        ("ledger_raw", ledger_rows(batches)),
    ]


def _weight(batch: SinkBatch) -> int:
    placed = len(batch.interactions) + len(batch.moved) + len(batch.journeys)
    detected = len(batch.findings) + len(batch.lights) + len(batch.alerts)
    known = len(batch.identities) + len(batch.identity_changes)
    return placed + detected + known + len(batch.received) + len(batch.dead_letters)


def _settle(done: "asyncio.Future[None]", error: BaseException | None) -> None:
    if done.done():
        return  # the caller was cancelled; its rows are as good as any
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(
            error if isinstance(error, Exception) else SinkUnavailable("the writer was stopped")
        )
