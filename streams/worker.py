"""One worker process: the Faust app run to its end, with an exit status that a supervisor can act on.

0 after SIGTERM or SIGINT and a clean stop; 70 after an error that nobody foresaw; 75 when it found itself stuck, or
could not stop cleanly. Every status but 0 asks to be started again. Told to stop, or after a crash, the process is gone
within `END_SECONDS`, whatever hangs.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import faust
import uvloop
from aiokafka.errors import KafkaError

from schemas.records import SinkBatch
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.epochs import topics_incarnation, version_base
from sinks.clickhouse.errors import SinkUnavailable
from sinks.clickhouse.hash_key import hold_to_key
from sinks.clickhouse.pseudonyms import Pseudonyms
from sinks.clickhouse.writer import ClickHouseWriter
from sinks.embedded.home import Home
from streams.agents.knowledge import Knowledge
from streams.agents.lanes import EXIT_BUG, Unavailable, end_process
from streams.agents.outages import OUTAGES
from streams.agents.watchdog import EXIT_STUCK
from streams.app import build_app, build_knowledge
from streams.ending import LastResort, StopSignals, deaths_of_threads, stops_under_way, threads_left
from streams.garbage import collect_rarely, rare_collections
from streams.heartbeat import Heartbeat
from streams.kafka.access import KafkaAccess
from streams.pseudonymity import pseudonyms_of
from streams.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS: Final = 20.0
"""How long a worker may take to stop cleanly."""

END_SECONDS: Final = STOP_SECONDS + 5.0
"""How long the whole process may take to end, once it was told to stop or has crashed."""

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
        """Read again, for ever."""
        outage = OUTAGES.of("ClickHouse")
        while True:
            await asyncio.sleep(EPOCH_REFRESH_SECONDS)
            try:
                self.incarnation, self.version_base = await asyncio.to_thread(self._read)
            except SinkUnavailable as error:
                outage.failed(self, str(error))
            except Exception:
                log.warning("epochs not refreshed", exc_info=True)
            else:
                outage.answered(self)


def run_worker(
    settings: Settings,
    access: KafkaAccess,
    target: ClickHouseTarget,
    signals: StopSignals,
    on_ready: Callable[[], None],
) -> int:
    """Run until a signal or a crash; return the exit status, with which the process must end next.

    What still keeps it from ending then is not waited for: `END_SECONDS` after the signal or the crash the process is
    ended. A stop that was not clean does not return at all: the log says what did not stop, and the process ends.

    `signals` is told when something is under way; until then it ends the process at once. `on_ready` is called once the
    worker is in the group and has recovered its partitions' state. Raises `NotMigrated`, or `SinkMisconfigured` where
    identifiers are hashed with another key, before anything is started.
    """
    epochs = DatabaseEpochs(target, settings.kafka.prefix)
    pseudonyms = pseudonyms_of(settings)
    id_key = hold_to_key(target, pseudonyms)
    home = Home(settings.home)
    scratch, heartbeat = home.scratch(), Heartbeat(home)

    def build() -> tuple[faust.App, Knowledge]:
        knowledge = build_knowledge(settings, access, pseudonyms)
        sink = ClickHouseSink(target, pseudonyms)
        return build_app(settings, access, sink, epochs, knowledge, scratch, id_key), knowledge

    loop, stop = uvloop.new_event_loop(), asyncio.Event()
    last_resort = LastResort(END_SECONDS)

    def told_to_stop() -> None:
        last_resort.arm(EXIT_STUCK)
        with suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(stop.set)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        signals.begun(told_to_stop)
        try:
            return runner.run(_run(build, epochs, heartbeat, stop, last_resort, on_ready))
        except BaseException:
            last_resort.arm(EXIT_BUG)
            raise


async def _run(
    build: Callable[[], tuple[faust.App, Knowledge]],
    epochs: DatabaseEpochs,
    heartbeat: Heartbeat,
    stop: asyncio.Event,
    last_resort: LastResort,
    on_ready: Callable[[], None],
) -> int:
    app, knowledge = build()
    beside = [asyncio.create_task(epochs.keep_fresh()), asyncio.create_task(heartbeat.beat())]

    def ready() -> None:
        heartbeat.ready()
        on_ready()

    try:
        app.finalize()
        return await _until_stopped(app, knowledge, stop, last_resort, ready)
    finally:
        for task in beside:
            task.cancel()
        heartbeat.end()


async def _until_stopped(
    app: faust.App,
    knowledge: Knowledge,
    stop: asyncio.Event,
    last_resort: LastResort,
    on_ready: Callable[[], None],
) -> int:
    stopping = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_start_and_wait(app, knowledge, on_ready))
    await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if running.done():
        error = None if running.cancelled() else running.exception()
        reason = error or app.crash_reason
        log.critical("the worker crashed", exc_info=reason)
        # A broker that is away passes; anything else is ours.
        status = EXIT_STUCK if isinstance(reason, KafkaError) and reason.retriable else EXIT_BUG
    last_resort.arm(status or EXIT_STUCK)
    stopping.cancel()
    with deaths_of_threads() as died:
        clean = await _stopped(app)
    if died or not clean:
        end_process(status or EXIT_STUCK)
    running.cancel()
    return status


async def _stopped(app: faust.App) -> bool:
    """Stop the app; whether it stopped cleanly and within `STOP_SECONDS`. The log says what did not."""
    stop = asyncio.create_task(app.stop(), name="stop")
    await asyncio.wait({stop}, timeout=STOP_SECONDS)
    if not stop.done():
        waits, left = "; ".join(stops_under_way()), "; ".join(threads_left())
        log.error(
            "not stopped within %g s: it waits in %s; threads left: %s", STOP_SECONDS, waits, left or "none"
        )
        return False
    try:
        stop.result()
    except (Exception, asyncio.CancelledError):  # a client that is closed may cancel what it waits for
        log.exception("the stop broke off")
        return False
    return True


async def _start_and_wait(app: faust.App, knowledge: Knowledge, on_ready: Callable[[], None]) -> None:
    with rare_collections():
        await knowledge.start()
    await app.start()
    await app.tables.wait_until_recovery_completed()
    collect_rarely()
    log.info("ready: %d partitions", len(app.consumer.assignment()))
    on_ready()
    await app.wait_until_stopped()
