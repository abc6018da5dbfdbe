"""journeys: validated interactions join their customer's timeline; what changed goes to ClickHouse.

For one batch of an interactions partition, in this order: compute on an overlay (pure, nothing mutated); state changes
delivered to the changelog, in front of them what is owed with them (`streams.agents.owed`), upon which the overlay
becomes state; alerts of what rules have found; then, beside the next batches, rows in ClickHouse; only then the batch
is acknowledged. A crash between any two steps repeats the batch, which cannot show (docs/adr/0007).

Where interactions change hands, it is said before in the changelog who is about to lose some, and they are sent on to
whom they belong (docs/adr/0004). Where a customer is forgotten, rows come before states.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.alerts import alert_key, alert_of, encode_alert_record, last_changes
from schemas.erasures import FORGETTING_KEY, Forgetting, encode_forgetting
from schemas.findings import ERASED
from schemas.interaction import (
    CONTROL_KEY,
    Interaction,
    Micros,
    WatermarkReport,
    encode_interaction,
    encode_watermarks,
    routing_key,
)
from schemas.links import Name
from schemas.records import Coordinates, DeadLetter, Fading, SinkBatch
from schemas.rule_sets import RULES_KEY
from schemas.topics import partition_of
from streams.agents.batch_reading import Told, told_by
from streams.agents.clocks import CLOCK_KEY, dump_clock
from streams.agents.custody import Knowledge
from streams.agents.erasing import Sweep
from streams.agents.isolate import Poison, poisonous
from streams.agents.lanes import Batch, Rest, Unavailable, insist
from streams.agents.owed import (
    MOST_ROWS,
    Telling,
    dump_findings,
    dump_rows_and_findings,
    rows_to_keep,
    stored_debts,
    tell_again,
)
from streams.agents.partition import PartitionState
from streams.agents.refusals import Refusals
from streams.agents.register import Entries
from streams.agents.reserved import (
    ERASURES_KEY,
    INTENT_KEY,
    dump_intent,
    dump_position,
)
from streams.agents.sink import Epochs, Persister
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.handover import NO_HANDOVER, Handover
from streams.core.identification.judgement import judge_arrival
from streams.core.policy import JourneyPolicy
from streams.core.timeline import Identity, coordinates_of
from streams.core.watermarks import PartitionClock
from streams.kafka.delivery import Group, Item, SharedDelivery, deliver
from streams.kafka.store import State

DUE_AT_ONCE = 5_000
"""Customers that one step evaluates because their time has come; the rest follow in the next step."""

JUDGED_AT_ONCE = 1_000
"""Timelines that one batch looks through for what is another customer's by now; the rest follow with the next batch."""


class Step(NamedTuple):
    """What one step writes, decided under one position of the log of links and not yet done."""

    result: BatchResult
    letters: list[DeadLetter]
    forwards: dict[int, list[Item]]
    """By partition, interactions that are another customer's."""
    departing: Collection[bytes]
    """Who loses interactions."""
    entries: Entries | None
    links_seen: int
    sweep: Sweep | None
    """What is forgotten."""

    def is_out_of_the_ordinary(self, partition: PartitionState) -> bool:
        """Whether something is forgotten or cannot be digested, or was about to change hands when an owner died."""
        return bool(self.letters or self.sweep or partition.intent)


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
        refusals: Refusals,
        alerts_topic: str,
        sources: Sequence[str],
        detection: Callable[[bytes], Detection],
        fading: Fading,
        interactions_topic: str,
        interactions: SharedDelivery,
        partitions: int,
        knowledge: Knowledge,
    ) -> None:
        self._policy = policy
        self._timelines = timelines
        self._producer = producer
        self._persister = persister
        self._epochs = epochs
        self._changelog = changelog
        self._changelog_written = changelog_written
        self._refusals = refusals
        self._alerts_topic = alerts_topic
        self._sources = tuple(sources)
        self._detection = detection
        self._fading = fading
        self._knowledge = knowledge
        self._interactions_topic = interactions_topic
        self._interactions = interactions
        self._partitions = partitions
        self._states: dict[int, PartitionState] = {}

    async def __call__(self, batch: Batch) -> Rest | None:
        """Handle one batch; what is returned waits for its rows. Raises `Fenced` when the partition is lost."""
        partition = await self._partition(batch)
        told = told_by(batch.records, partition)
        if told.foreign:
            await self._refuse(batch, told.foreign)
        if told.rules is not None and told.rules != partition.rules:
            await self._adopt(batch, partition, told.rules)
        await self._knowledge.wait_for(told.links_seen)
        now = told.clock.now or 0  # before every source has reported, nothing can be said to be over
        due = partition.agenda.take(now, DUE_AT_ONCE)
        step = self._first_step(batch, partition, told, due, now)
        writing: list[asyncio.Task[None]] = []
        while step is not None:
            rows = await self._perform(batch, partition, told.clock, step)
            if rows is not None:
                writing.append(rows)
            due = partition.agenda.take(now, DUE_AT_ONCE)
            step = self._decide(partition, [], due, now, 0, NO_HANDOVER, []) if due else None
        await self._store_position(batch, partition)
        await self._say_what_is_erased(batch, partition)
        batch.check()
        partition.clock, partition.named_at = told.clock, told.named_at_end
        return asyncio.gather(*writing) if writing else None

    async def _refuse(self, batch: Batch, letters: list[DeadLetter]) -> None:
        """Records that are not ours, on a topic that only Touchline should write. The ledger counts them there."""
        await self._refusals.send(batch, letters)
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
        written = await self._write_changelog(batch, [(RULES_KEY, rules)])
        batch.check()
        partition.timelines[RULES_KEY] = rules
        partition.adopt(rules)
        if written is not None:
            self._changelog_written(batch.tp.partition, written)

    async def _partition(self, batch: Batch) -> PartitionState:
        number = batch.tp.partition
        state = self._states.get(number)
        if state is None or state.generation != batch.generation:
            state = await self._take_over(batch, number)
            await self._pay_debts(batch, state)
            self._states[number] = state
        return state

    async def _take_over(self, batch: Batch, number: int) -> PartitionState:
        """Begin a term: with no less knowledge than any owner before, behind a record of one's own."""
        await insist(self._read_to_end, batch, "topics of identity")
        mark = CONTROL_KEY, encode_watermarks(WatermarkReport({}, self._knowledge.links_seen))
        term = await insist(
            lambda: deliver(self._producer(), self._interactions_topic, number, [mark]),
            batch,
            "interactions topic",
        )
        assert term is not None
        return PartitionState(
            number,
            batch.generation,
            self._timelines(number),
            self._sources,
            knowledge=self._knowledge,
            partitions=self._partitions,
            term=term,
        )

    async def _read_to_end(self) -> None:
        try:
            await self._knowledge.read_to_end()
        except KafkaError as error:
            raise Unavailable(str(error)) from error

    # --- deciding: pure, and without a pause, so that one position of the log of links holds for all of it ----

    def _first_step(
        self, batch: Batch, partition: PartitionState, told: Told, due: list[bytes], now: Micros
    ) -> Step | None:
        partition.custody.notice()
        accepted, refused, forwards, superseded = self._sort(told)
        rewrites: dict[bytes, list[Identity]] = {key: [] for key in partition.intent}
        if batch.records[0].offset <= partition.term:
            # An owner before may have accepted what is refused now.
            for one in refused:
                rewrites.setdefault(routing_key(one), []).append(one.key)
        handover = Handover({}, rewrites, superseded)
        sweep = partition.erasing.notice()
        return self._decide(partition, accepted, due, now, JUDGED_AT_ONCE, handover, forwards, sweep)

    def _sort(
        self, told: Told
    ) -> tuple[list[Interaction], list[Interaction], list[Interaction], list[Coordinates]]:
        """The arrivals that are accepted and those that are not; of these what is sent on, and what is superseded."""
        knowledge = self._knowledge
        suspects: frozenset[Name] | None = frozenset()
        if knowledge.links_seen > told.named_at:
            suspects = knowledge.touched_since(told.named_at)
        corrected, erased = knowledge.corrections_seen > 0, knowledge.erasures_seen > 0
        if not corrected and not erased and suspects is not None and not suspects:
            return told.interactions, [], [], []
        canonical, correction = knowledge.index.customer_of, knowledge.correction
        accepted: list[Interaction] = []
        refused: list[Interaction] = []
        forwards: list[Interaction] = []
        superseded: list[Coordinates] = []
        for arrival in told.interactions:
            if erased and knowledge.is_erased(arrival.source, arrival.id):
                refused.append(arrival)
                superseded.append(coordinates_of(arrival))
                continue
            known = correction((arrival.source, arrival.id)) if corrected else None
            named_by_now = suspects is not None and arrival.customer not in suspects
            if known is None and named_by_now:
                accepted.append(arrival)
                continue
            refusal = judge_arrival(arrival, named_by_now, canonical, known)
            if refusal is None:
                accepted.append(arrival)
            else:
                refused.append(arrival)
                forwards.extend(refusal.forwards)
                superseded.extend(refusal.superseded)
        return accepted, refused, forwards, superseded

    def _decide(
        self,
        partition: PartitionState,
        arrivals: list[Interaction],
        due: list[bytes],
        now: Micros,
        portion: int,
        handover: Handover,
        forwards: list[Interaction],
        sweep: Sweep | None = None,
    ) -> Step | None:
        """One step; None when there is nothing to do."""
        custody = partition.custody
        erased = frozenset(sweep.keys) if sweep is not None else frozenset()
        if custody.waiting or erased:
            wanted = (*map(routing_key, arrivals), *due, *handover.rewrites)
            verdicts = custody.judge(erased.union(custody.take(wanted, portion)))
            handover = Handover(
                verdicts.departures, handover.rewrites, (*handover.superseded, *verdicts.superseded), erased
            )
            forwards = [*forwards, *verdicts.forwards]
        entries = partition.register.next()
        if not (arrivals or due or forwards or entries or handover.is_something or sweep):
            return None
        result, letters = self._advance(
            partition, arrivals, due, now, handover if handover.is_something else None
        )
        sent_on: dict[int, list[Item]] = {}
        for one in forwards:
            key = routing_key(one)
            sent_on.setdefault(partition_of(key, self._partitions), []).append((key, encode_interaction(one)))
        departing = erased.union(handover.departures)
        return Step(result, letters, sent_on, departing, entries, self._knowledge.links_seen, sweep)

    def _advance(
        self,
        partition: PartitionState,
        interactions: list[Interaction],
        due: list[bytes],
        now: Micros,
        handover: Handover | None,
    ) -> tuple[BatchResult, list[DeadLetter]]:
        detection = self._detection(partition.rules) if partition.rules is not None else None

        def step(items: Sequence[Interaction]) -> BatchResult:
            return advance_batch(partition.timelines.get, items, due, now, self._policy, detection, handover)

        try:
            return step(interactions), []
        except Exception:
            bad = poisonous(interactions, step)
            if not bad:
                raise
        skipped = {poison.position for poison in bad}
        good = [item for index, item in enumerate(interactions) if index not in skipped]
        return step(good), [_dead_letter(interactions[poison.position], poison) for poison in bad]

    # --- doing: each effect durable before the next ------------------------------------------------------

    async def _perform(
        self, batch: Batch, partition: PartitionState, clock: PartitionClock, step: Step
    ) -> "asyncio.Task[None] | None":
        """Do all of a step but what is returned, the writing of its rows."""
        version = self._epochs.version_base + max(batch.last_offset, partition.term)
        debts = partition.debts
        if debts.comes_before(version, step.result.left):
            await debts.all_paid()
        await debts.room()
        await self._let_go(batch, partition, step)
        if step.is_out_of_the_ordinary(partition) or rows_to_keep(step.result) > MOST_ROWS:
            await debts.all_paid()
            await self._write_then_store(batch, partition, clock, step, version)
            return None
        return await self._store_then_write(batch, partition, clock, step, version)

    async def _let_go(self, batch: Batch, partition: PartitionState, step: Step) -> None:
        """What must have left before the states say that it has: who is about to lose interactions, in the changelog;
        the interactions, on their way to whom they belong; records that cannot be digested, on the dead letters' topic.
        """
        if step.departing:
            intent = dump_intent(partition.intent.union(step.departing))
            await self._write_changelog(batch, [(INTENT_KEY, intent)])
        if step.letters:
            await self._refusals.send(batch, step.letters)
        mark = CONTROL_KEY, encode_watermarks(WatermarkReport({}, step.links_seen))
        await asyncio.gather(
            *(self._forward(batch, number, Group(mark, items)) for number, items in step.forwards.items())
        )

    async def _store_then_write(
        self, batch: Batch, partition: PartitionState, clock: PartitionClock, step: Step, version: int
    ) -> "asyncio.Task[None]":
        result, entries = step.result, step.entries
        owed = partition.debts.open(version, result.due)
        debt = dump_rows_and_findings(result, version, self._links_seen(step))
        changes = _behind(owed, debt, partition, result)
        if step.departing:
            changes[INTENT_KEY] = None
        await self._store(batch, partition, clock, changes, result)
        rows = self._rows_of(step, version)._replace(
            findings=tuple(result.changes), lights=tuple(result.lights), fading=self._fading
        )

        async def pay() -> None:
            await asyncio.gather(
                self._persister.persist(rows, batch),
                self._send_alerts(batch, partition, Telling(result.changes, result.lights)),
            )
            if entries is not None:
                partition.register.wrote(entries)

        paying = asyncio.create_task(pay(), name=f"rows of {batch.tp.topic}/{batch.tp.partition}")
        partition.debts.pay(owed, paying)
        return paying

    async def _write_then_store(
        self, batch: Batch, partition: PartitionState, clock: PartitionClock, step: Step, version: int
    ) -> None:
        result, entries = step.result, step.entries
        await self._persister.persist(self._rows_of(step, version), batch)
        owed = partition.debts.open(version, ())
        changes = _behind(owed, dump_findings(result, version), partition, result)
        kept = partition.intent if batch.last_offset < partition.term else frozenset()
        if step.departing or kept != partition.intent:
            changes[INTENT_KEY] = dump_intent(kept)
        if entries is not None:
            partition.register.wrote(entries)
        await self._store(batch, partition, clock, changes, result)
        partition.intent = kept
        erasures = step.sweep.ids if step.sweep is not None else ()
        await self._tell(batch, partition, Telling(result.changes, result.lights, erasures), version)
        partition.debts.settle(owed)
        if step.sweep is not None:
            partition.erasing.swept(step.sweep)

    def _rows_of(self, step: Step, version: int) -> SinkBatch:
        """A step's rows, but for what rules have found."""
        result, entries = step.result, step.entries
        return SinkBatch(
            version=version,
            interactions=tuple(result.interactions),
            journeys=tuple(result.journeys),
            retracted=tuple(result.retracted),
            dead_letters=tuple(step.letters),
            superseded=tuple(result.superseded),
            incarnation=self._epochs.incarnation,
            links_seen=self._links_seen(step),
            identities=tuple(entries.rows) if entries is not None else (),
            identity_changes=tuple(entries.changes) if entries is not None else (),
        )

    def _links_seen(self, step: Step) -> int:
        """The position of the log of links as rows have it."""
        return self._epochs.version_base + step.links_seen

    async def _store(
        self,
        batch: Batch,
        partition: PartitionState,
        clock: PartitionClock,
        changes: dict[bytes, bytes | None],
        result: BatchResult,
    ) -> None:
        """Changes of states into the changelog, upon which they are state."""
        changes.update(partition.position_to_store())
        if changes:
            paid = [key for key in partition.debts.stale if key not in changes]
            changes.update(dict.fromkeys(paid))
            # The clock is stored with what it has decided: a later owner never judges by an earlier time.
            changes[CLOCK_KEY] = dump_clock(clock)
        written = await self._write_changelog(batch, changes.items()) if changes else None
        batch.check()
        partition.apply(changes, result)
        if written is not None:
            self._changelog_written(batch.tp.partition, written)

    async def _store_position(self, batch: Batch, partition: PartitionState) -> None:
        """Where the next owner's register begins, if nothing else is there to store it with."""
        position = partition.position_to_store()
        if not position:
            return
        written = await self._write_changelog(batch, position.items())
        batch.check()
        partition.store(position)
        if written is not None:
            self._changelog_written(batch.tp.partition, written)

    async def _tell(self, batch: Batch, partition: PartitionState, telling: Telling, version: int) -> None:
        """Tell of findings whose states are in the changelog."""
        if not (telling.changes or telling.lights or telling.erasures):
            return
        rows = SinkBatch(
            version=version,
            findings=tuple(telling.changes),
            lights=tuple(telling.lights),
            fading=self._fading,
        )
        await asyncio.gather(
            self._persister.persist(rows, batch),
            self._send_alerts(batch, partition, telling),
        )

    async def _pay_debts(self, batch: Batch, partition: PartitionState) -> None:
        """Write and tell what an owner before was about to when it died."""
        for debt in stored_debts(partition.timelines):
            rows = SinkBatch(
                version=debt.version,
                interactions=debt.interactions,
                journeys=debt.journeys,
                retracted=debt.retracted,
                superseded=debt.superseded,
                incarnation=self._epochs.incarnation,
                links_seen=debt.links_seen,
            )
            await self._persister.persist(rows, batch)
            if partition.rules is not None and (debt.changes or debt.lit):
                light = self._detection(partition.rules).light
                now = partition.clock.now or 0
                telling = tell_again(debt, partition.timelines, now, light)
                await self._tell(batch, partition, telling, self._epochs.version_base + partition.term)

    async def _write_changelog(self, batch: Batch, items: Iterable[Item]) -> int | None:
        return await insist(
            lambda: deliver(self._producer(), self._changelog(), batch.tp.partition, items),
            batch,
            "changelog topic",
        )

    async def _forward(self, batch: Batch, number: int, group: Group) -> None:
        await insist(lambda: self._interactions.send(number, group), batch, "interactions topic")

    async def _send_alerts(self, batch: Batch, partition: PartitionState, telling: Telling) -> None:
        """One alert for each finding that changed, on the customer's partition; repetitions have the same version.

        Behind those of erasures it is said that they are all, so that nothing of them needs to be kept.
        """
        if not (telling.changes or telling.erasures):
            return
        cool_downs = self._detection(partition.rules).rules.cool_downs if partition.rules is not None else {}
        last: list[Item] = []
        items: list[Item] = []
        for change in last_changes(telling.changes):
            alert = alert_of(change, change.sequence, cool_downs.get(change.finding.rule))
            into = items if change.reason == ERASED else last
            into.append((alert_key(alert), encode_alert_record(alert)))
        if telling.erasures:
            items.append((FORGETTING_KEY, encode_forgetting(Forgetting(tuple(telling.erasures)))))
        items += last
        await insist(
            lambda: deliver(self._producer(), self._alerts_topic, batch.tp.partition, items),
            batch,
            "alerts topic",
        )

    async def _say_what_is_erased(self, batch: Batch, partition: PartitionState) -> None:
        """Say of erasures that they are done, behind all else that is said of them: whoever keeps alerts says it on."""
        if batch.last_offset < partition.term:
            return  # what an owner before wrote may have to be written again
        to_say = partition.erasing.to_say(partition.register.written_to)
        if to_say is None:
            return
        ids, position = to_say
        await partition.debts.all_paid()
        # First of all, so that no owner to come writes what was owed of whoever is erased.
        paid: dict[bytes, bytes | None] = dict.fromkeys(partition.debts.stale)
        if paid:
            await self._write_changelog(batch, paid.items())
            batch.check()
            partition.store(paid)
        if ids:
            done = FORGETTING_KEY, encode_forgetting(Forgetting(ids, done=True))
            await insist(
                lambda: deliver(self._producer(), self._alerts_topic, batch.tp.partition, [done]),
                batch,
                "alerts topic",
            )
        said: dict[bytes, bytes | None] = {ERASURES_KEY: dump_position(position)}
        written = await self._write_changelog(batch, said.items())
        batch.check()
        partition.store(said)
        partition.erasing.said(position)
        if written is not None:
            self._changelog_written(batch.tp.partition, written)


def _behind(
    owed: bytes, debt: bytes | None, partition: PartitionState, result: BatchResult
) -> dict[bytes, bytes | None]:
    """The states, behind what is owed with them; in its place may stand what is paid."""
    if debt is None and not (result.states and partition.debts.stands_at(owed)):
        return {**result.states}
    return {owed: debt, **result.states}


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
