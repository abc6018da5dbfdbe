"""journeys: validated interactions join their customer's timeline; what changed goes to ClickHouse.

For one batch of an interactions partition, in this order: compute on an overlay (pure, nothing mutated); state changes
delivered to the changelog, in front of them what is owed with them (`streams.agents.owed`), upon which the overlay
becomes state; alerts of what rules have found; then, beside the next batches, rows in ClickHouse; only then the batch
is acknowledged. A crash between any two steps repeats the batch, which cannot show (docs/adr/0007).

Where interactions change hands, it is said before in the changelog who is about to lose some, and they are sent on to
whom they belong (docs/adr/0004). Where a customer is forgotten, rows come before states.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiokafka.errors import KafkaError

from schemas.dead_letters import DECODED
from schemas.interaction import (
    Interaction,
    Micros,
    encode_interaction,
    routing_key,
)
from schemas.links import Name
from schemas.records import Coordinates, DeadLetter
from schemas.rule_sets import RULES_KEY
from schemas.topics import partition_of
from streams.agents.batch_reading import Told, told_by
from streams.agents.custody import Knowledge
from streams.agents.effects import Effects, Step
from streams.agents.erasing import Sweep
from streams.agents.isolate import Poison, poisonous
from streams.agents.lanes import Batch, Rest, Unavailable, insist
from streams.agents.partition import PartitionState
from streams.catalogue.rule_files import RuleProblem
from streams.catalogue.rule_sets import NO_RULES, told_version
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.handover import NO_HANDOVER, Handover
from streams.core.identification.judgement import judge_arrival
from streams.core.policy import JourneyPolicy
from streams.core.timeline import Identity, coordinates_of
from streams.kafka.delivery import Item
from streams.kafka.store import State

log = logging.getLogger(__name__)

NONE_LEFT = "none are in force until a set is published that this version accepts"

DUE_AT_ONCE = 5_000
"""Customers that one step evaluates because their time has come; the rest follow in the next step."""

JUDGED_AT_ONCE = 1_000
"""Timelines that one batch looks through for what is another customer's by now; the rest follow with the next batch."""


class Journeys:
    """The handler of interaction batches."""

    def __init__(
        self,
        *,
        effects: Effects,
        policy: JourneyPolicy,
        timelines: Callable[[int], State],
        sources: Sequence[str],
        detection: Callable[[bytes], Detection],
        partitions: int,
        knowledge: Knowledge,
    ) -> None:
        self._effects = effects
        self._policy = policy
        self._timelines = timelines
        self._sources = tuple(sources)
        self._detection = detection
        self._knowledge = knowledge
        self._partitions = partitions
        self._states: dict[int, PartitionState] = {}

    async def __call__(self, batch: Batch) -> Rest | None:
        """Handle one batch; what is returned waits for its rows. Raises `Fenced` when the partition is lost."""
        partition = await self._partition(batch)
        told = told_by(batch.records, partition)
        if told.foreign:
            await self._effects.refuse(batch, told.foreign)
        if told.rules:
            await self._adopt(batch, partition, told.rules)
        await self._knowledge.wait_for(told.links_seen)
        now = told.clock.now or 0  # before every source has reported, nothing can be said to be over
        due = partition.agenda.take(now, DUE_AT_ONCE)
        step = self._first_step(batch, partition, told, due, now)
        writing: list[asyncio.Task[None]] = []
        while step is not None:
            rows = await self._effects.perform(batch, partition, told.clock, step)
            if rows is not None:
                writing.append(rows)
            due = partition.agenda.take(now, DUE_AT_ONCE)
            step = self._decide(partition, [], due, now, 0, NO_HANDOVER, []) if due else None
        await self._effects.store_position(batch, partition)
        await self._effects.say_what_is_erased(batch, partition)
        batch.check()
        partition.clock, partition.named_at = told.clock, told.named_at_end
        return asyncio.gather(*writing) if writing else None

    async def _adopt(self, batch: Batch, partition: PartitionState, sets: Sequence[bytes]) -> None:
        """Put the last of several sets that this version accepts in force: stored first, so that the next owner
        evaluates by the same. One that it refuses changes nothing, whoever reads it, and however often.
        """
        for rules in reversed(sets):
            if rules == partition.rules:
                return
            if self._accepts(rules, batch, "those in force stay"):
                await self._effects.put(batch, partition, {RULES_KEY: rules})
                partition.adopt(rules)
                return

    def _accepts(self, rules: bytes, batch: Batch, otherwise: str) -> bool:
        try:
            self._detection(rules)
        except RuleProblem as problem:
            where = f"{batch.tp.topic}/{batch.tp.partition}"
            log.error("rules %s refused on %s, %s: %s", told_version(rules), where, otherwise, problem)
            return False
        return True

    async def _partition(self, batch: Batch) -> PartitionState:
        number = batch.tp.partition
        state = self._states.get(number)
        if state is None or state.generation != batch.generation:
            state = await self._take_over(batch, number)
            if state.rules is not None and not self._accepts(state.rules, batch, NONE_LEFT):
                # They stay stored: should the version of Touchline that accepted them come back, it goes on with them.
                state.rules = NO_RULES
            await self._effects.pay_debts(batch, state)
            self._states[number] = state
        return state

    async def _take_over(self, batch: Batch, number: int) -> PartitionState:
        """Begin a term: with no less knowledge than any owner before, behind a record of one's own."""
        await insist(self._read_to_end, batch, "topics of identity")
        term = await self._effects.begin_term(batch, self._knowledge.links_seen)
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
        overtaken = [routing_key(one) for one in refused]
        return self._decide(
            partition, accepted, due, now, JUDGED_AT_ONCE, handover, forwards, overtaken, sweep
        )

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
        overtaken: Sequence[bytes] = (),
        sweep: Sweep | None = None,
    ) -> Step | None:
        """One step; None when there is nothing to do.

        `forwards` are arrivals that are sent on. What the timelines under their keys, `overtaken`, hold of the same
        interactions came before them: it is judged in this step, and goes before them.
        """
        custody = partition.custody
        erased = frozenset(sweep.keys) if sweep is not None else frozenset()
        if custody.waiting or erased:
            wanted = (*map(routing_key, arrivals), *due, *handover.rewrites, *overtaken)
            verdicts = custody.judge(erased.union(custody.take(wanted, portion)))
            handover = Handover(
                verdicts.departures, handover.rewrites, (*handover.superseded, *verdicts.superseded), erased
            )
            forwards = [*verdicts.forwards, *forwards]
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


def _dead_letter(interaction: Interaction, poison: Poison) -> DeadLetter:
    """A record that made the core raise. Its coordinates are the raw record's, whose bytes stand on its topic."""
    where = Coordinates(interaction.topic, interaction.partition, interaction.offset)
    return DeadLetter(
        topic=where.topic,
        partition=where.partition,
        offset=where.offset,
        key=None,
        value=encode_interaction(interaction),
        headers=(("content-type", DECODED),),
        stage="process",
        error=type(poison.error).__name__,
        message=str(poison.error),
        occurred_at=time.time_ns() // 1000,
    )
