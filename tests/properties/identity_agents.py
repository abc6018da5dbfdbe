"""The world of `identity_protocol` with the product's own journeys agent in it, on a broker and a sink in memory.

What the protocol does step by step there is done by `streams.agents.journeys` here; it can die at each of its effects,
with the rows of several batches not written, and what a dead worker had sent to the sink may arrive later.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from faust.types import TP

from schemas.findings import Finding, FindingChange, Light
from schemas.interaction import (
    CONTROL_KEY,
    WatermarkReport,
    decode_interaction,
    decode_watermarks,
    encode_interaction,
    encode_watermarks,
    routing_key,
)
from schemas.links import Name
from schemas.records import IdentityChange, IdentityRow, SinkBatch
from schemas.rule_sets import RULES_KEY
from streams.agents.effects import Effects
from streams.agents.journeys import Journeys
from streams.agents.lanes import Rest
from streams.agents.refusals import Refusals
from streams.agents.sink import Persister
from streams.core.advance import Advance
from streams.core.detection.customer import Detection
from streams.core.detection.light import DEFAULT_LIGHT
from streams.core.identification.known_erasures import Forgotten
from streams.core.identification.policy import IdentityPolicy
from streams.core.policy import JourneyPolicy
from streams.kafka.delivery import SharedDelivery
from streams.kafka.store import State
from tests.properties.identity_protocol import Worker, World
from tests.unit.agents.fakes import App, Builder, Metadata, Record

INTERACTIONS, CHANGELOG = "interactions", "changelog"


class KnownByWorker:
    """`Knowledge` of a worker of the world: it reads when somebody waits, or when the world lets it."""

    def __init__(self, world: "AgentWorld", worker: Worker) -> None:
        self._world, self._worker = world, worker
        self.index = worker.index
        self.erasures_seen = 0

    @property
    def links_seen(self) -> int:
        return self._worker.links_seen

    @property
    def corrections_seen(self) -> int:
        return self._worker.corrections_seen

    async def read_to_end(self) -> None:
        self._world.read(self._worker, len(self._world.links))
        self._world.read_corrections(self._worker, len(self._world.corrections))

    async def wait_for(self, links_seen: int) -> None:
        self._world.read(self._worker, links_seen)

    def correction(self, key: tuple[str, str]) -> Any:
        return self._worker.corrections.get(key)

    def touched_since(self, links_seen: int) -> frozenset[Name] | None:
        first = self._worker.touched[0][0] if self._worker.touched else 0
        news = [holders for at, holders in self._worker.touched if at > links_seen]
        if None in news or (news and links_seen < first):
            return None  # what was there when it began is one lump to it
        return frozenset().union(*(holders for holders in news if holders is not None))

    def corrected_since(self, corrections_seen: int) -> Sequence[tuple[str, str]]:
        read = self._world.corrections[corrections_seen : self._worker.corrections_seen]
        return [one.key for one in read]

    def is_erased(self, source: str, id_: str) -> bool:  # noqa: ARG002
        return False

    def erased_since(self, erasures_seen: int) -> Sequence[Forgotten]:  # noqa: ARG002
        return ()

    def is_of(self, customer: Name, customers: frozenset[bytes]) -> bool:  # noqa: ARG002
        return False

    def changes_since(self, links_seen: int) -> Mapping[Name, IdentityChange]:  # noqa: ARG002
        return {}

    def named_since(self, links_seen: int) -> set[Name]:  # noqa: ARG002
        return set()

    def rows_of(self, names: Iterable[Name]) -> list[IdentityRow]:
        return [IdentityRow(name, self.index.customer(name), False, 0, ()) for name in names]

    def names(self) -> Iterable[Name]:
        return ()


class Broker:
    """A producer of one worker. What the broker has taken stays, although the worker dies before it hears of it."""

    def __init__(self, world: "AgentWorld") -> None:
        self._world = world

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[Metadata]":
        self._world.may_die()
        to = self._world.partitions[partition]
        for key, value in builder.records:
            if topic == CHANGELOG:
                assert key is not None
                if value is None:
                    to.states.pop(key, None)
                else:
                    to.states[key] = value
                self._world.may_die()
            elif topic == INTERACTIONS:
                assert key is not None
                assert value is not None
                self._world.logs[partition].append((key, value))
        self._world.may_die()
        done: asyncio.Future[Metadata] = asyncio.get_running_loop().create_future()
        done.set_result(Metadata(len(self._world.logs[partition]) - len(builder.records)))
        return done


class Rows:
    """A sink of one worker."""

    def __init__(self, world: "AgentWorld") -> None:
        self._world = world

    async def write(self, batch: SinkBatch) -> None:
        tables = self._world.tables
        for placed in batch.interactions:
            await self._world.pause()
            self._world.may_die()
            row = Advance((placed,), (), (), (), None)
            tables.write(placed.interaction.customer, row, batch.links_seen, batch.version)
        for journey in batch.journeys:
            await self._world.pause()
            self._world.may_die()
            tables.write(journey.customer, Advance((), (journey,), (), (), None), 0, batch.version)
        for customer, journey_id in batch.retracted:
            self._world.may_die()
            tables.write(customer, Advance((), (), (journey_id,), (), None), 0, batch.version)
        for change in batch.findings:
            self._world.may_die()
            self._world.tell(change, batch.version)
        for light in batch.lights:
            self._world.may_die()
            shown = self._world.lights.get(light.customer)
            if shown is None or batch.version >= shown[0]:
                self._world.lights[light.customer] = batch.version, light

    async def close(self) -> None:
        """Nothing to close."""


class Epochs:
    incarnation, version_base = 1, 0


class AgentWorld(World):
    """A world whose workers run the journeys agent."""

    def __init__(
        self,
        policy: IdentityPolicy,
        journeys: JourneyPolicy,
        rng: Random,
        partitions: int = 3,
        workers: int = 2,
        *,
        detection: Detection | None = None,
    ) -> None:
        self.logs: list[list[tuple[bytes, bytes]]] = [[] for _ in range(partitions)]
        self.detection = detection
        self.findings: dict[str, tuple[int, Finding]] = {}
        self.history: dict[str, dict[int, FindingChange]] = {}
        self.lights: dict[str, tuple[int, Light]] = {}
        self.generation = 0
        super().__init__(policy, journeys, rng, partitions, workers)

    def assign(self, number: int) -> None:
        for worker in self.workers:
            worker.owns.pop(number, None)
        worker = self.rng.choice(self.workers)
        self.generation += 1
        if self.detection is not None:
            self.partitions[number].states[RULES_KEY] = b"rules"
        states: State = dict(self.partitions[number].states)
        broker: Any = Broker(self)
        agent = Journeys(
            effects=Effects(
                producer=lambda: broker,
                persister=Persister(Rows(self)),
                epochs=Epochs(),
                changelog=lambda: CHANGELOG,
                changelog_written=lambda _partition, _offset: None,
                interactions_topic=INTERACTIONS,
                interactions=SharedDelivery(lambda: broker, INTERACTIONS),
                refusals=Refusals(lambda: broker, "dead", len(self.partitions)),
                alerts_topic="alerts",
                detection=lambda _rules: self._rules(),
                fading=DEFAULT_LIGHT.fading,
            ),
            policy=self.journey_policy,
            timelines=lambda _number: states,
            sources=(),
            detection=lambda _rules: self._rules(),
            partitions=len(self.partitions),
            knowledge=KnownByWorker(self, worker),
        )
        worker.owns[number] = _Ownership(self.generation, agent)  # type: ignore[assignment]

    def tell(self, change: FindingChange, version: int) -> None:
        """A change of a finding is in the tables."""
        key = change.finding.finding_id
        self.history.setdefault(key, {})[change.sequence] = change
        held = self.findings.get(key)
        if held is None or version >= held[0]:
            self.findings[key] = version, change.finding

    def _rules(self) -> Detection:
        assert self.detection is not None
        return self.detection

    def send(self, interaction: Any, customer: Name | None, links_seen: int) -> None:
        before = [len(partition.log) for partition in self.partitions]
        super().send(interaction, customer, links_seen)
        for number, partition in enumerate(self.partitions):
            for sent, named_at in partition.log[before[number] :]:
                assert sent is not None
                self.logs[number].append((CONTROL_KEY, encode_watermarks(WatermarkReport({}, named_at))))
                self.logs[number].append((routing_key(sent), encode_interaction(sent)))

    def step(self, worker: Worker, number: int, limit: int) -> None:
        partition, ownership = self.partitions[number], worker.owns[number]
        assert isinstance(ownership, _Ownership)
        if ownership.read_to < partition.committed or not ownership.resting:
            ownership.read_to = partition.committed
        settling = self.deaths == 0.0 and self.steps_to_death is None
        log = self.logs[number][ownership.read_to : ownership.read_to + limit]
        if log:
            self.handle(number, ownership, log)
        self.finish(number, ownership, len(ownership.resting) if settling else self.rng.randint(0, 2))

    def handle(self, number: int, ownership: "_Ownership", log: Sequence[tuple[bytes, bytes]]) -> None:
        """The owner handles records that come next; their rows may be written later."""
        records = [Record(offset, value, key) for offset, (key, value) in enumerate(log, ownership.read_to)]
        batch = App().batch(records, TP(INTERACTIONS, number), ownership.generation)
        batch.app.consumer_generation_id = ownership.generation
        rest = _loop.run_until_complete(ownership.agent(batch))
        ownership.read_to += len(log)
        ownership.resting.append((_resting(rest), ownership.read_to))

    async def pause(self) -> None:
        """A place at which other tasks may go on."""
        if self.rng.random() < 0.5:
            await asyncio.sleep(0)

    def finish(self, number: int, ownership: "_Ownership", most: int) -> None:
        """Wait for the rows of the first batches that wait for theirs; then they are acknowledged."""
        for _ in range(min(most, len(ownership.resting))):
            rest, read_to = ownership.resting[0]
            _loop.run_until_complete(rest)
            ownership.resting.popleft()
            self.partitions[number].committed = read_to

    def kill(self, worker: Worker) -> None:
        """What it had sent to the sink may still arrive, or not."""
        for ownership in worker.owns.values():
            assert isinstance(ownership, _Ownership)
            if self.rng.random() < 0.5:
                for task, _ in ownership.resting:
                    task.cancel()
                for _ in range(5):
                    _loop.run_until_complete(asyncio.sleep(0))
        super().kill(worker)

    def settle(self) -> None:
        self.deaths = 0.0
        for _ in range(100):
            for worker in self.workers:
                self.read(worker, len(self.links))
                self.read_corrections(worker, len(self.corrections))
            for number in range(len(self.partitions)):
                self.tick(number)
            if all(p.committed == len(log) for p, log in zip(self.partitions, self.logs, strict=True)):
                return
        raise AssertionError("interactions are sent to and fro")

    def tick(self, number: int) -> None:
        """A watermark comes, and all of the partition's log is read."""
        log = self.logs[number]
        log.append((CONTROL_KEY, encode_watermarks(WatermarkReport({"a/0": 0}, 0))))
        self.work(number, len(log))

    def sent(self) -> Iterator[tuple[int, Any]]:
        """What lies on the interactions topic: partition and interaction, or control record."""
        for number, log in enumerate(self.logs):
            for key, value in log:
                yield number, decode_watermarks(value) if key == CONTROL_KEY else decode_interaction(value)


class _Ownership:
    """In the place of the protocol's `Session`."""

    def __init__(self, generation: int, agent: Journeys) -> None:
        self.generation, self.agent = generation, agent
        self.read_to = 0
        """The offset after the last record handled, in this generation."""
        self.resting: deque[tuple[asyncio.Task[None], int]] = deque()
        """Batches that wait for their rows, each with the offset behind it."""


def _resting(rest: Rest | None) -> "asyncio.Task[None]":
    async def until_done() -> None:
        if rest is not None:
            await rest

    task = _loop.create_task(until_done())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


_loop = asyncio.new_event_loop()
