"""The notify agent between a broker, a table and a receiver that outlive it, and that a test freezes or kills it at.

Batches, leases and lanes are the product's. A dead worker's effects do not return; its writes may still arrive.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from faust.types import TP

from schemas.alerts import AlertRecord, AlertRow, alert_key, encode_alert_record
from schemas.erasures import FORGETTING_KEY, ErasureDone, Forgetting, encode_forgetting
from schemas.interaction import Micros
from schemas.notices import Delivered, Notice, Outcome, Passing
from schemas.records import SinkBatch
from streams.agents.lanes import Batch, Lanes
from streams.agents.notify import Notify
from streams.agents.owed import OWED_KEYS
from streams.agents.refusals import Refusals
from streams.core.alerting.policy import AlertPolicy, Route, Traits
from tests.alert_builders import START, policy
from tests.unit.agents.fakes import Builder, Event, Known, Message, Metadata, Record

TP0 = TP("touchline.alerts", 0)
CHANGELOG = "touchline.alert-books"
Key = tuple[str, str, int, str]

PAGER = policy(
    Route(("pager",)), destinations={"pager": Traits(holds_open=True, acknowledges=True)}, cool_down=0
)
NOBODY = policy(Route(("pager",), least="severe"), destinations=PAGER.destinations)


class World:
    """What outlives workers: the log of alerts, the changelog, the table, who was told."""

    def __init__(self, *records: AlertRecord | Forgetting) -> None:
        self.known = Known()
        self.log: list[Record] = []
        self.say(*records)
        self.acknowledged: set[int] = set()
        self.books: dict[bytes, bytes] = {}
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.inserts: list[SinkBatch] = []
        self.told: list[Notice] = []
        self.effects: list[str] = []
        """In the order in which they became durable: `changelog`, `told`, `rows`, `done`."""

    def say(self, *records: AlertRecord | Forgetting) -> None:
        """More records for the log."""
        for one in records:
            if isinstance(one, Forgetting):
                key, value = FORGETTING_KEY, encode_forgetting(one)
            else:
                key, value = alert_key(one), encode_alert_record(one)
            self.log.append(Record(len(self.log), value, key, *TP0))

    def insert(self, rows: SinkBatch) -> None:
        self.inserts.append(rows)
        self.effects.append("done" if rows.erasures else "rows")

    @property
    def erasures(self) -> list[ErasureDone]:
        return [one for rows in self.inserts for one in rows.erasures]

    @property
    def shown(self) -> Mapping[Key, AlertRow]:
        """What the table shows: of each key the row of the latest instant, of equal ones the one that came last."""
        found: dict[Key, AlertRow] = {}
        for rows in self.inserts:
            for row in rows.alerts:
                key = (row.finding_id, row.destination, row.version, row.kind)
                if key not in found or row.at >= found[key].at:
                    found[key] = row
        return found

    @property
    def statuses(self) -> Mapping[Key, tuple[str, str]]:
        return {key: (row.status, row.reason) for key, row in self.shown.items()}

    @property
    def owed(self) -> list[bytes]:
        """What stands in the changelog as owed."""
        return [self.books[key] for key in OWED_KEYS if key in self.books]


class Worker:
    """One worker's agent in a world. `frozen`: the table does not answer. `dies_at` says at the how many-th effect it
    dies, `after` it rather than before.
    """

    def __init__(
        self,
        world: World,
        policy: AlertPolicy,
        *,
        now: Micros = START,
        generation: int = 1,
        dies_at: int | None = None,
        after: bool = False,
        at_once: int = len(OWED_KEYS),
        max_records: int = 1,
        paying_patience: float = 0.0,
    ) -> None:
        self.world, self.now = world, now
        self.consumer_generation_id, self.rebalancing_count = generation, 0
        self.rebalancing = self.in_recovery = False
        self.consumer = self
        self.dead = asyncio.Event()
        self.late: list[SinkBatch] = []
        """Rows that were on their way when it died."""
        self.breaks: Exception | None = None
        """What writing raises."""
        self.is_away = False
        """Whether who is told answers that it is not there."""
        self._dies_at, self._after, self._count = dies_at, after, 0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._listening = asyncio.Event()
        self._listening.set()
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        app: Any = self
        self.notify = Notify(
            app=app,
            policy=policy,
            destinations=dict.fromkeys(policy.destinations, self),
            books=lambda _: world.books,
            producer=lambda: app,
            store=self._store,
            topic=TP0.topic,
            changelog=CHANGELOG,
            changelog_written=lambda *_: None,
            refusals=Refusals(lambda: app, "touchline.dead-letters", 1),
            erasures=world.known,
            clock=lambda: self.now,
            first_pause=0.01,
            summary_patience=0.0,
            closing_patience=0.0,
            paying_patience=paying_patience,
        )
        self.lanes = Lanes(app, self.notify, max_records=max_records, at_once=at_once)

    async def __aenter__(self) -> Self:
        """A new owner reads the changelog, and then what is not acknowledged."""
        self.world.books = books = {}
        for key, value in self.world.changelog:
            books.pop(key, None)
            if value is not None:
                books[key] = value
        self._task = asyncio.create_task(self.lanes.run(self._stream()))
        self.fed = min(set(range(len(self.world.log) + 1)) - self.world.acknowledged)
        self.feed()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.lanes.close(0.0)
        await self.notify.close()

    def feed(self) -> None:
        """Deliver what was not delivered of the log, by single records."""
        for record in self.world.log[self.fed :]:
            message = Message(TP0, self.consumer_generation_id, [record])
            self._events.put_nowait(_Event(message, [], self))
        self.fed = len(self.world.log)

    def freeze(self) -> None:
        """The table answers nothing."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def hang_up(self) -> None:
        """Who is told answers nothing."""
        self._listening.clear()

    def pick_up(self) -> None:
        self._listening.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, or until the worker is dead; looks after every turn of the loop."""
        async with asyncio.timeout(10):
            while not (holds() or self.dead.is_set()):
                await asyncio.sleep(0)

    async def until_done(self) -> None:
        """All is read, acknowledged, told and written."""
        await self.until(
            lambda: (
                len(self.world.acknowledged) == len(self.world.log)
                and not any(self.notify.backlog().values())
                and not self.notify.is_paying
            )
        )

    async def settled(self) -> None:
        """Everything that may go on has gone on."""
        for _ in range(60):
            await asyncio.sleep(0)

    # --- the world, as the worker reaches it ---

    async def _effect(self, perform: Callable[[], None]) -> None:
        self._count += 1
        last = self._count == self._dies_at
        if last and self._after:
            perform()
        if last:
            self.dead.set()
        if self.dead.is_set():
            await asyncio.Event().wait()
        perform()

    def _do(self, name: str) -> None:
        self.world.effects.append(name)

    async def _store(self, rows: SinkBatch, batch: Batch) -> None:
        batch.check()
        if self.breaks is not None:
            raise self.breaks
        self.late.append(rows)
        await self._thawed.wait()
        await asyncio.sleep(0)
        await self._effect(lambda: self.world.insert(rows))
        self.late.remove(rows)

    async def send(self, notice: Notice, now: Micros) -> Outcome:  # noqa: ARG002
        def tell() -> None:
            self.world.told.append(notice)
            self._do("told")

        await self._listening.wait()
        if self.is_away:
            return Passing("it is away")
        await self._effect(tell)
        return Delivered()

    async def close(self) -> None:
        """Nothing to close."""

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        assert (topic, partition) == (CHANGELOG, TP0.partition)

        def append() -> None:
            self.world.changelog.extend(builder.records)
            self._do("changelog")

        await self._effect(append)
        offset: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
        offset.set_result(Metadata(len(self.world.changelog) - 1))
        return offset

    def assignment(self) -> Sequence[TP]:
        return [TP0]

    def release(self, *_: object) -> None:
        """Nothing is in flight here."""

    async def _stream(self) -> Any:
        while True:
            yield await self._events.get()


class _Event(Event):
    """Acknowledged in the world, unless the worker is dead."""

    def __init__(self, message: Message, acks: list[tuple[TP, int]], worker: Worker) -> None:
        super().__init__(message, acks)
        self._worker = worker

    def ack(self) -> None:
        if not self._worker.dead.is_set():
            self._worker.world.acknowledged.add(self.message.offset)


async def tell(worker: Worker, *records: AlertRecord | Forgetting) -> None:
    """One record after the other, each once all that may follow from the one before has followed."""
    for record in records:
        worker.world.say(record)
        worker.feed()
        await worker.settled()
