"""What a step does once it is decided: changelog, interactions that change hands, alerts, rows; each in its place.

States come before rows, and in front of them what is owed with them (docs/adr/0007). Where somebody is forgotten, rows
come before states.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from schemas.alerts import alert_key, alert_of, encode_alert_record, last_changes
from schemas.erasures import FORGETTING_KEY, Forgetting, encode_forgetting
from schemas.findings import ERASED
from schemas.interaction import CONTROL_KEY, WatermarkReport, encode_watermarks
from schemas.records import Coordinates, DeadLetter, Fading, SinkBatch
from streams.agents.clocks import CLOCK_KEY, dump_clock
from streams.agents.erasing import Sweep
from streams.agents.lanes import Batch, insist
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
from streams.agents.reserved import ERASURES_KEY, INTENT_KEY, dump_intent, dump_position
from streams.agents.sink import Epochs, Persister
from streams.core.batch import BatchResult
from streams.core.detection.customer import Detection
from streams.core.watermarks import PartitionClock
from streams.kafka.delivery import Group, Item, SharedDelivery, deliver


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


class Effects:
    """Does what steps of interactions partitions say. Every method raises `Fenced` when the partition is lost."""

    def __init__(
        self,
        *,
        producer: Callable[[], AIOKafkaProducer],
        persister: Persister,
        epochs: Epochs,
        changelog: Callable[[], str],
        changelog_written: Callable[[int, int], None],
        interactions_topic: str,
        interactions: SharedDelivery,
        refusals: Refusals,
        alerts_topic: str,
        detection: Callable[[bytes], Detection],
        fading: Fading,
    ) -> None:
        """`changelog_written` is told partition and offset of what was delivered to the changelog."""
        self._producer = producer
        self._persister = persister
        self._epochs = epochs
        self._changelog = changelog
        self._changelog_written = changelog_written
        self._interactions_topic = interactions_topic
        self._interactions = interactions
        self._refusals = refusals
        self._alerts_topic = alerts_topic
        self._detection = detection
        self._fading = fading

    async def begin_term(self, batch: Batch, links_seen: int) -> int:
        """The offset of an owner's own record on the partition; all that is written from then on counts as later."""
        mark = CONTROL_KEY, encode_watermarks(WatermarkReport({}, links_seen))
        term = await insist(
            lambda: deliver(self._producer(), self._interactions_topic, batch.tp.partition, [mark]),
            batch,
            "interactions topic",
        )
        assert term is not None
        return term

    async def put(self, batch: Batch, partition: PartitionState, changes: dict[bytes, bytes | None]) -> None:
        """Changes of what a partition stores into the changelog, upon which they are its state."""
        written = await self._write_changelog(batch, changes.items())
        batch.check()
        partition.store(changes)
        if written is not None:
            self._changelog_written(batch.tp.partition, written)

    async def refuse(self, batch: Batch, letters: list[DeadLetter]) -> None:
        """Records that are not ours, on a topic that only Touchline should write. The ledger counts them there."""
        await self._refusals.send(batch, letters)
        rows = SinkBatch(
            dead_letters=tuple(letters),
            received=tuple(Coordinates(one.topic, one.partition, one.offset) for one in letters),
            incarnation=self._epochs.incarnation,
        )
        await self._persister.persist(rows, batch)

    async def perform(
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
            await self.put(batch, partition, changes)
        batch.check()
        partition.noted(result)

    async def store_position(self, batch: Batch, partition: PartitionState) -> None:
        """Where the next owner's register begins, if nothing else is there to store it with."""
        position = partition.position_to_store()
        if position:
            await self.put(batch, partition, position)

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

    async def pay_debts(self, batch: Batch, partition: PartitionState) -> None:
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

    async def say_what_is_erased(self, batch: Batch, partition: PartitionState) -> None:
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
            await self.put(batch, partition, paid)
        if ids:
            done = FORGETTING_KEY, encode_forgetting(Forgetting(ids, done=True))
            await insist(
                lambda: deliver(self._producer(), self._alerts_topic, batch.tp.partition, [done]),
                batch,
                "alerts topic",
            )
        await self.put(batch, partition, {ERASURES_KEY: dump_position(position)})
        partition.erasing.said(position)


def _behind(
    owed: bytes, debt: bytes | None, partition: PartitionState, result: BatchResult
) -> dict[bytes, bytes | None]:
    """The states, behind what is owed with them; in its place may stand what is paid."""
    if debt is None and not (result.states and partition.debts.stands_at(owed)):
        return {**result.states}
    return {owed: debt, **result.states}
