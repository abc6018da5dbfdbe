"""journeys: validated interactions join their customer's timeline; what changed goes to ClickHouse.

For one batch of an interactions partition, in this order: compute on an overlay (pure, nothing mutated); rows in
ClickHouse; state changes delivered to the changelog; only then the overlay becomes state and the batch is
acknowledged. A crash between any two steps repeats the batch, which cannot show.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from schemas.alerts import alert_key, alert_of, encode_alert_record, last_changes
from schemas.dead_letters import dead_letter_headers
from schemas.findings import FindingChange
from schemas.interaction import (
    CONTROL_KEY,
    Interaction,
    Micros,
    decode_interaction,
    decode_watermarks,
    encode_interaction,
)
from schemas.records import Coordinates, DeadLetter, Fading, SinkBatch
from schemas.rule_sets import RULES_KEY
from streams.agents.agenda import Agenda
from streams.agents.clocks import CLOCK_KEY, dump_clock, load_clock
from streams.agents.isolate import Poison, poisonous
from streams.agents.lanes import Batch, insist
from streams.agents.sink import Epochs, Persister
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.policy import JourneyPolicy
from streams.core.state import next_due
from streams.core.watermarks import PartitionClock
from streams.kafka.delivery import deliver, deliver_with_headers
from streams.kafka.store import State

DUE_AT_ONCE = 5_000
"""Customers that one step evaluates because their time has come; the rest follow in the next step."""


RESERVED = (CLOCK_KEY, RULES_KEY)
"""Keys of the state that are no customer's."""


class PartitionState:
    """One partition's live state in one generation: timelines, agenda, clock, the rules in force.

    A batch that fails leaves it unusable (its due customers are off the agenda); that only happens when the
    partition is fenced, and then the next generation builds it anew.
    """

    def __init__(self, generation: int, timelines: State, sources: Iterable[str]) -> None:
        self.generation = generation
        self.timelines = timelines
        self.agenda = Agenda(
            (due, key)
            for key, state in timelines.items()
            if key not in RESERVED and (due := next_due(state)) is not None
        )
        self.clock = load_clock(timelines.get(CLOCK_KEY), sources)
        self.rules = timelines.get(RULES_KEY)

    def adopt(self, rules: bytes) -> None:
        """From now on these rules are in force: every customer is to be looked at again."""
        self.rules = rules
        for key in self.timelines:
            if key not in RESERVED:
                self.agenda.put(key, 0)


class Journeys:
    """The handler of interaction batches."""

    def __init__(
        self,
        *,
        policy: JourneyPolicy,
        timelines: Callable[[int], State],
        producer: Callable[[], AIOKafkaProducer],
        persister: Persister,
        epochs: Epochs,
        changelog: Callable[[], str],
        changelog_written: Callable[[int, int], None],
        dead_letters_topic: str,
        alerts_topic: str,
        sources: Sequence[str],
        detection: Callable[[bytes], Detection],
        fading: Fading,
    ) -> None:
        self._policy = policy
        self._timelines = timelines
        self._producer = producer
        self._persister = persister
        self._epochs = epochs
        self._changelog = changelog
        self._changelog_written = changelog_written
        self._dead_letters_topic = dead_letters_topic
        self._alerts_topic = alerts_topic
        self._sources = tuple(sources)
        self._detection = detection
        self._fading = fading
        self._states: dict[int, PartitionState] = {}

    async def __call__(self, batch: Batch) -> None:
        """Handle one batch; raises `Fenced` when the partition is lost on the way."""
        partition = self._partition(batch)
        clock, rules = partition.clock, partition.rules
        interactions = []
        foreign: list[DeadLetter] = []
        for record in batch.records:
            if record.key == CONTROL_KEY:
                clock = clock.after(decode_watermarks(record.value))
            elif record.key == RULES_KEY:
                rules = record.value
            else:
                try:
                    interactions.append(decode_interaction(record.value))
                except (msgspec.DecodeError, TypeError) as error:
                    foreign.append(_foreign(record, error))
        if foreign:
            await self._refuse(batch, foreign)
        if rules is not None and rules != partition.rules:
            await self._adopt(batch, partition, rules)
        now = clock.now or 0  # before every source has reported, nothing can be said to be over
        due = partition.agenda.take(now, DUE_AT_ONCE)
        while interactions or due:
            await self._step(batch, partition, clock, interactions, due)
            interactions, due = [], partition.agenda.take(now, DUE_AT_ONCE)
        batch.check()
        partition.clock = clock
        batch.acknowledge()

    async def _refuse(self, batch: Batch, letters: list[DeadLetter]) -> None:
        """Records that are not ours, on a topic that only Touchline should write. The ledger counts them there."""
        await self._send_dead_letters(batch, letters)
        rows = SinkBatch(
            dead_letters=tuple(letters),
            received=tuple(Coordinates(one.topic, one.partition, one.offset) for one in letters),
            incarnation=self._epochs.incarnation,
        )
        await self._persister.persist(rows, batch)

    async def _adopt(self, batch: Batch, partition: PartitionState, rules: bytes) -> None:
        """Put other rules in force: stored first, so that the next owner evaluates by the same."""
        self._detection(
            rules
        )  # a set that this worker cannot compile ends it here, before anything is stored
        written = await insist(
            lambda: deliver(self._producer(), self._changelog(), batch.tp.partition, [(RULES_KEY, rules)]),
            batch,
            "changelog topic",
        )
        batch.check()
        partition.timelines[RULES_KEY] = rules
        partition.adopt(rules)
        if written is not None:
            self._changelog_written(batch.tp.partition, written)

    def _partition(self, batch: Batch) -> PartitionState:
        number = batch.tp.partition
        state = self._states.get(number)
        if state is None or state.generation != batch.generation:
            state = PartitionState(batch.generation, self._timelines(number), self._sources)
            self._states[number] = state
        return state

    async def _step(
        self,
        batch: Batch,
        partition: PartitionState,
        clock: PartitionClock,
        interactions: list[Interaction],
        due: list[bytes],
    ) -> None:
        result, letters = self._advance(partition, interactions, due, clock.now or 0)
        if letters:
            await self._send_dead_letters(batch, letters)
        rows = SinkBatch(
            version=self._epochs.version_base + batch.last_offset,
            interactions=tuple(result.interactions),
            journeys=tuple(result.journeys),
            retracted=tuple(result.retracted),
            dead_letters=tuple(letters),
            superseded=tuple(result.superseded),
            incarnation=self._epochs.incarnation,
            findings=tuple(result.changes),
            lights=tuple(result.lights),
            fading=self._fading,
        )
        await self._persister.persist(rows, batch)
        if result.changes:
            await self._send_alerts(batch, partition, result.changes)
        changes = dict(result.states)
        if changes:
            # The clock is stored with what it has decided: a later owner never judges by an earlier time.
            changes[CLOCK_KEY] = dump_clock(clock)
            written = await insist(
                lambda: deliver(self._producer(), self._changelog(), batch.tp.partition, changes.items()),
                batch,
                "changelog topic",
            )
        batch.check()
        self._apply(partition, changes, result)
        if changes and written is not None:
            self._changelog_written(batch.tp.partition, written)

    @staticmethod
    def _apply(partition: PartitionState, changes: dict[bytes, bytes | None], result: BatchResult) -> None:
        timelines = partition.timelines
        for key, value in changes.items():
            if value is None:
                timelines.pop(key, None)
            else:
                timelines[key] = value
        for key, due in result.due.items():
            partition.agenda.put(key, due)

    def _advance(
        self, partition: PartitionState, interactions: list[Interaction], due: list[bytes], now: Micros
    ) -> tuple[BatchResult, list[DeadLetter]]:
        detection = self._detection(partition.rules) if partition.rules is not None else None

        def step(items: Sequence[Interaction]) -> BatchResult:
            return advance_batch(partition.timelines.get, items, due, now, self._policy, detection)

        try:
            return step(interactions), []
        except Exception:
            bad = poisonous(interactions, step)
            if not bad:
                raise
        skipped = {poison.position for poison in bad}
        good = [item for index, item in enumerate(interactions) if index not in skipped]
        return step(good), [_dead_letter(interactions[poison.position], poison) for poison in bad]

    async def _send_alerts(
        self, batch: Batch, partition: PartitionState, changes: Sequence[FindingChange]
    ) -> None:
        """One alert for each finding that changed, on the customer's partition; repetitions have the same version."""
        cool_downs = self._detection(partition.rules).rules.cool_downs if partition.rules is not None else {}
        items = [
            (alert_key(alert), encode_alert_record(alert))
            for alert in (
                alert_of(change, change.sequence, cool_downs.get(change.finding.rule))
                for change in last_changes(changes)
            )
        ]
        await insist(
            lambda: deliver(self._producer(), self._alerts_topic, batch.tp.partition, items),
            batch,
            "alerts topic",
        )

    async def _send_dead_letters(self, batch: Batch, letters: list[DeadLetter]) -> None:
        records = [
            (batch.tp.partition, letter.key, letter.value, dead_letter_headers(letter)) for letter in letters
        ]
        await insist(
            lambda: deliver_with_headers(self._producer(), self._dead_letters_topic, records),
            batch,
            "dead letters topic",
        )


def _dead_letter(interaction: Interaction, poison: Poison) -> DeadLetter:
    """A record that made the core raise. Its coordinates are the raw record's, whose bytes stand on its topic."""
    where = Coordinates(interaction.topic, interaction.partition, interaction.offset)
    return DeadLetter(
        topic=where.topic,
        partition=where.partition,
        offset=where.offset,
        key=None,
        value=encode_interaction(interaction),
        headers=(("content-type", b"application/vnd.touchline.interaction+msgpack"),),
        stage="process",
        error=type(poison.error).__name__,
        message=str(poison.error),
        occurred_at=time.time_ns() // 1000,
    )


def _foreign(record: ConsumerRecord, error: Exception) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        stage="decode",
        error="foreign",
        message=f"not a record that Touchline wrote: {error}",
        occurred_at=time.time_ns() // 1000,
    )
