"""One worker process: the Faust app run to its end, with an exit status that a supervisor can act on.

0 after SIGTERM or SIGINT; 70 after an error that nobody foresaw; 75 when it found itself stuck, or could not stop in
time. Every status but 0 asks to be started again.
"""

import asyncio
import logging
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import faust
import uvloop

from schemas.records import SinkBatch
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.epochs import topics_incarnation, version_base
from sinks.clickhouse.errors import SinkUnavailable
from sinks.clickhouse.hash_key import hold_to_key
from sinks.clickhouse.pseudonyms import Pseudonyms
from sinks.clickhouse.writer import ClickHouseWriter
from streams.agents.knowledge import Knowledge
from streams.agents.lanes import EXIT_BUG, Unavailable
from streams.agents.watchdog import EXIT_STUCK
from streams.app import build_app, build_knowledge
from streams.garbage import collect_rarely, rare_collections
from streams.pseudonymity import pseudonyms_of
from streams.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS: Final = 20.0
"""How long a worker may take to stop cleanly."""

EPOCH_REFRESH_SECONDS: Final = 5.0
"""How long after a `replay` its rows may still win over newer ones of this worker."""


class NotMigrated(Exception):
    """The topics or the database are not there yet: `touchline migrate` makes them."""


class ClickHouseSink:
    """The ClickHouse writer as the agents see a sink."""

    def __init__(self, target: ClickHouseTarget, pseudonyms: Pseudonyms) -> None:
        self._writer = ClickHouseWriter(target, pseudonyms)

    async def write(self, batch: SinkBatch) -> None:
        """See `streams.agents.sink.Sink`."""
        try:
            await self._writer.write(batch)
        except SinkUnavailable as error:
            raise Unavailable(str(error)) from error

    async def close(self) -> None:
        """Close the pool."""
        await self._writer.close()


class DatabaseEpochs:
    """The incarnation of the topics and the base of row versions, as the database says; refreshed now and then.

    The base only grows: a rebuild by `replay` raises it, so that what the live road writes later wins again.
    """

    def __init__(self, target: ClickHouseTarget, prefix: str) -> None:
        self._target, self._prefix = target, prefix
        self.incarnation, self.version_base = self._read()

    def _read(self) -> tuple[int, int]:
        client = connect(self._target)
        try:
            incarnation = topics_incarnation(client, self._prefix)
            if incarnation is None:
                raise NotMigrated(
                    f"no topics with the prefix {self._prefix!r} were made with this database: run `touchline migrate`"
                )
            return incarnation, version_base(client)
        finally:
            client.disconnect()

    async def keep_fresh(self) -> None:
        """Read again, for ever; a database that is down is the writer's to complain about."""
        while True:
            await asyncio.sleep(EPOCH_REFRESH_SECONDS)
            try:
                self.incarnation, self.version_base = await asyncio.to_thread(self._read)
            except Exception:
                log.warning("epochs not refreshed", exc_info=True)


def run_worker(
    settings: Settings, bootstrap: str, target: ClickHouseTarget, on_ready: Callable[[], None]
) -> int:
    """Run until a signal or a crash; return the exit status.

    `on_ready` is called once the worker is in the group and has recovered its partitions' state. Raises
    `NotMigrated`, or `SinkMisconfigured` where identifiers are hashed with another key, before anything is started.
    """
    epochs = DatabaseEpochs(target, settings.kafka.prefix)
    pseudonyms = pseudonyms_of(settings)
    id_key = hold_to_key(target, pseudonyms)
    with (
        tempfile.TemporaryDirectory(prefix="touchline-worker-") as scratch,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(
            _run(settings, bootstrap, target, epochs, pseudonyms, id_key, Path(scratch), on_ready)
        )


async def _run(
    settings: Settings,
    bootstrap: str,
    target: ClickHouseTarget,
    epochs: DatabaseEpochs,
    pseudonyms: Pseudonyms,
    id_key: bytes,
    scratch: Path,
    on_ready: Callable[[], None],
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    knowledge = build_knowledge(settings, bootstrap, pseudonyms)
    sink = ClickHouseSink(target, pseudonyms)
    app = build_app(settings, bootstrap, sink, epochs, knowledge, scratch, id_key)
    refresh = asyncio.create_task(epochs.keep_fresh())
    try:
        app.finalize()
        status = await _until_stopped(app, knowledge, stop, on_ready)
    finally:
        refresh.cancel()
    return status


async def _until_stopped(
    app: faust.App, knowledge: Knowledge, stop: asyncio.Event, on_ready: Callable[[], None]
) -> int:
    stopping = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_start_and_wait(app, knowledge, on_ready))
    await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if running.done():
        error = running.exception() or app.crash_reason
        log.critical("the worker crashed", exc_info=error)
        status = EXIT_BUG
    stopping.cancel()
    try:
        await asyncio.wait_for(app.stop(), STOP_SECONDS)
    except TimeoutError:
        log.error("not stopped within %.0f s", STOP_SECONDS)
        status = status or EXIT_STUCK
    running.cancel()
    return status


async def _start_and_wait(app: faust.App, knowledge: Knowledge, on_ready: Callable[[], None]) -> None:
    with rare_collections():
        await knowledge.start()
    await app.start()
    await app.tables.wait_until_recovery_completed()
    collect_rarely()
    log.info("ready: %d partitions", len(app.consumer.assignment()))
    on_ready()
    await app.wait_until_stopped()
