"""The protocol of docs/adr/0004-identity.md in memory: partitions, workers, crashes, two tables.

The pure core is the product's own; what stands here is the agents' part, with a chance to die between any two steps.
Chance comes from outside, so that hypothesis can shrink it.
"""

from collections.abc import Sequence
from random import Random

import msgspec

from schemas.corrections import Correction, correction_of
from schemas.interaction import Interaction, routing_key
from schemas.links import Name, Record
from schemas.records import Journey
from schemas.topics import partition_of
from streams.core.advance import Advance, advance_customer
from streams.core.anonymous import advance_anonymous
from streams.core.identification.handover import Handover, advance_in
from streams.core.identification.index import IdentityIndex
from streams.core.identification.judgement import judge, judge_arrival
from streams.core.identification.moves import customer_of
from streams.core.identification.policy import IdentityPolicy
from streams.core.policy import JourneyPolicy
from streams.core.state import decode_state, encode_state

NOW = 0


class Died(Exception):
    """The worker is gone; what it had not written is lost."""


class Tables:
    """ClickHouse: the greatest version of a key is shown, of equal ones the last that was written."""

    def __init__(self) -> None:
        self.interactions: dict[tuple[str, str], tuple[tuple[int, int, int], Interaction, str | None]] = {}
        self.journeys: dict[tuple[str, str], tuple[int, Journey | None]] = {}

    def write(self, customer: Name | None, advance: Advance, links_seen: int, version: int) -> None:
        for interaction, journey_id, _ in advance.interactions:
            order = (interaction.revision, links_seen, version)
            shown = self.interactions.get(interaction.key)
            if shown is None or order >= shown[0]:
                self.interactions[interaction.key] = order, interaction, journey_id
        said: list[tuple[str, Journey | None]] = [(one.journey_id, one) for one in advance.journeys]
        said += [(journey_id, None) for journey_id in advance.retracted]
        for journey_id, journey in said:
            key = (customer or "", journey_id)
            if key not in self.journeys or version >= self.journeys[key][0]:
                self.journeys[key] = version, journey

    def shown(self) -> tuple[dict[tuple[str, str], tuple[Name | None, str | None]], list[Journey]]:
        interactions = {key: (one.customer, journey) for key, (_, one, journey) in self.interactions.items()}
        journeys = [one for _, one in self.journeys.values() if one is not None]
        return interactions, sorted(journeys, key=lambda one: one.journey_id)


class Partition:
    """A partition of the interactions topic, with its changelog: what outlives a worker."""

    def __init__(self) -> None:
        self.log: list[tuple[Interaction | None, int]] = []
        """Interactions with the links that were known when they were sent; None: a tick."""
        self.committed = 0
        self.states: dict[bytes, bytes] = {}
        self.intent: list[bytes] = []


class Worker:
    """A process: the logs of links and corrections as far as it has read them."""

    def __init__(self, policy: IdentityPolicy) -> None:
        self.index = IdentityIndex(policy)
        self.links_seen = 0
        self.corrections: dict[tuple[str, str], Correction] = {}
        self.corrections_seen = 0
        self.touched: list[tuple[int, set[Name] | None]] = []
        self.owns: dict[int, Session] = {}


class Session:
    """One ownership of a partition by a worker; begins with a control record of its own (`term`) and a full sweep."""

    def __init__(self, partition: Partition) -> None:
        partition.log.append((None, 0))
        self.term = len(partition.log) - 1
        self.states = {key: decode_state(value) for key, value in partition.states.items()}
        self.swept = -1
        self.corrections_swept = -1
        self.rewrite = set(partition.intent)


class World:
    """Everything. `step` lets something happen; `settle` lets everything happen that is left."""

    def __init__(
        self,
        policy: IdentityPolicy,
        journeys: JourneyPolicy,
        rng: Random,
        partitions: int = 3,
        workers: int = 2,
    ) -> None:
        self.policy, self.journey_policy, self.rng = policy, journeys, rng
        self.links: list[Record] = []
        self.corrections: list[Correction] = []
        self.partitions = [Partition() for _ in range(partitions)]
        self.workers = [Worker(policy) for _ in range(workers)]
        self.tables = Tables()
        self.deaths = 0.0
        """How likely a worker dies whenever it may."""
        self.steps_to_death: int | None = None
        """Or after how many chances it dies, once."""
        for number in range(partitions):
            self.assign(number)

    # --- the world around --------------------------------------------------------------------------------

    def assign(self, number: int) -> None:
        """Give a partition to some worker, which first reads the logs to where they end."""
        for worker in self.workers:
            worker.owns.pop(number, None)
        worker = self.rng.choice(self.workers)
        self.read(worker, len(self.links))
        worker.owns[number] = Session(self.partitions[number])

    def kill(self, worker: Worker) -> None:
        """A worker dies; a fresh one takes its place, and its partitions go to anybody."""
        orphans = list(worker.owns)
        self.workers[self.workers.index(worker)] = Worker(self.policy)
        for number in orphans:
            self.assign(number)

    def read(self, worker: Worker, until: int) -> None:
        """Let a worker read the log of links up to a position."""
        if until > worker.links_seen:
            changes = worker.index.apply(self.links[worker.links_seen : until])
            worker.links_seen = until
            holders = worker.index.holders(changes)
            worker.touched.append((until, holders))

    def read_corrections(self, worker: Worker, until: int) -> None:
        for correction in self.corrections[worker.corrections_seen : until]:
            known = worker.corrections.get(correction.key)
            if known is None or correction.revision > known.revision:
                worker.corrections[correction.key] = correction
        worker.corrections_seen = max(worker.corrections_seen, until)

    def may_die(self) -> None:
        """A place between two steps at which a worker may be killed."""
        if self.steps_to_death is not None:
            self.steps_to_death -= 1
            if self.steps_to_death < 0:
                self.steps_to_death = None
                raise Died
        if self.rng.random() < self.deaths:
            raise Died

    # --- identify ----------------------------------------------------------------------------------------

    def identify(self, worker: Worker, batch: Sequence[Interaction]) -> None:
        """A batch of raw events: links and corrections are announced, then the interactions sent on."""
        while True:
            try:
                for one in batch:
                    self.links += worker.index.learn(
                        one.identifiers, one.unnormalised, one.occurred_at, one.source, one.id
                    )
                    if (correction := correction_of(one)) is not None:
                        self.corrections.append(correction)
                self.may_die()
                if self.rng.random() < 0.5:
                    self.read(worker, len(self.links))
                for one in batch:
                    self.send(one, customer_of(one, worker.index.customer_of), worker.links_seen)
                    self.may_die()
                return
            except Died:
                self.kill(worker)
                worker = self.rng.choice(self.workers)

    def send(self, interaction: Interaction, customer: Name | None, links_seen: int) -> None:
        sent = msgspec.structs.replace(interaction, customer=customer)
        number = partition_of(routing_key(sent), len(self.partitions))
        self.partitions[number].log.append((sent, links_seen))

    # --- journeys ----------------------------------------------------------------------------------------

    def work(self, number: int, limit: int) -> None:
        """The owner of a partition takes a batch; perhaps it dies on the way."""
        worker = next(worker for worker in self.workers if number in worker.owns)
        try:
            self.step(worker, number, limit)
        except Died:
            self.kill(worker)

    def step(self, worker: Worker, number: int, limit: int) -> None:
        partition, session = self.partitions[number], worker.owns[number]
        begin = partition.committed
        batch = partition.log[begin : begin + limit]
        if not batch:
            return
        last = begin + len(batch) - 1
        self.read(
            worker, max(links_seen for _, links_seen in batch)
        )  # never act on less than the sender knew
        canonical = worker.index.customer_of
        arrivals: dict[bytes, list[Interaction]] = {}
        refused: dict[bytes, list[Interaction]] = {}
        forwards: list[Interaction] = []
        for one, _ in batch:
            if one is None:
                continue
            refusal = judge_arrival(one, False, canonical, worker.corrections.get(one.key))
            if refusal is None:
                arrivals.setdefault(routing_key(one), []).append(one)
            else:
                refused.setdefault(routing_key(one), []).append(one)
                forwards += refusal.forwards
        departures: dict[bytes, set[tuple[str, str]]] = {}
        for key in self.to_sweep(worker, session):
            holder = None if key.startswith(b"anonymous:") else key.decode()
            judged = judge(session.states[key].steps(), holder, canonical, worker.corrections.get)
            if judged.leaving:
                departures[key] = set(judged.leaving)
                forwards += judged.forwards
        rewrites: dict[bytes, list[tuple[str, str]]] = {key: [] for key in session.rewrite}
        if begin <= session.term:  # whatever is refused now, an owner before may have accepted
            for key, refusals in refused.items():
                rewrites.setdefault(key, []).extend(one.key for one in refusals)
        if departures:
            partition.intent = sorted(departures.keys() | session.rewrite)
            self.may_die()
        kept = session.rewrite if last < session.term else set()
        changes: dict[bytes, Advance] = {}
        handover = Handover(departures, rewrites)
        for key in {**arrivals, **departures, **rewrites}:
            before = session.states.get(key)
            changes[key] = advance_in(handover, key, before, arrivals.get(key, ()), NOW, self.journey_policy)
        for one in forwards:
            self.send(one, one.customer, worker.links_seen)
            self.may_die()
        for key, advance in changes.items():
            customer = None if key.startswith(b"anonymous:") else key.decode()
            self.tables.write(customer, advance, worker.links_seen, max(last, session.term))
            self.may_die()
        for key, advance in changes.items():
            if advance.state is None:
                partition.states.pop(key, None)
            else:
                partition.states[key] = encode_state(advance.state)
            self.may_die()  # half of a changelog batch may be there
        partition.intent = sorted(kept)
        self.may_die()
        for key, advance in changes.items():
            if advance.state is None:
                session.states.pop(key, None)
            else:
                session.states[key] = advance.state
        session.rewrite = kept
        session.swept, session.corrections_swept = worker.links_seen, worker.corrections_seen
        partition.committed = last + 1

    def to_sweep(self, worker: Worker, session: Session) -> list[bytes]:
        """Keys whose interactions may have to go: all at first, then those that links or corrections touch."""
        if session.swept < 0:
            return list(session.states)
        news = [holders for at, holders in worker.touched if at > session.swept]
        if None in news:
            return list(session.states)
        keys = {name.encode() for holders in news for name in holders or ()}
        for key, state in session.states.items():
            for step in state.steps():
                correction = worker.corrections.get(step.identity)
                if correction is not None and correction.revision > step.revision:
                    keys.add(key)  # an index of identities finds it in the product
        return [key for key in keys if key in session.states]

    # --- to the end --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything be read by everybody, until nothing is on its way."""
        self.deaths = 0.0
        for _ in range(100):
            for worker in self.workers:
                self.read(worker, len(self.links))
                self.read_corrections(worker, len(self.corrections))
            for number, partition in enumerate(self.partitions):
                partition.log.append((None, 0))
                self.work(number, len(partition.log))
            if all(p.committed == len(p.log) for p in self.partitions) and all(
                session.swept == len(self.links)
                for worker in self.workers
                for session in worker.owns.values()
            ):
                return
        raise AssertionError("interactions are sent to and fro")


def known_from_the_start(
    policy: IdentityPolicy, journeys: JourneyPolicy, links: Sequence[Record], events: Sequence[Interaction]
) -> Tables:
    """The tables of a run in which all links are known and nothing is late: what any run must end in."""
    index = IdentityIndex(policy, links)
    latest: dict[tuple[str, str], Interaction] = {}
    for one in events:
        if one.key not in latest or one.revision > latest[one.key].revision:
            latest[one.key] = one
    by_customer: dict[Name | None, list[Interaction]] = {}
    for one in sorted(latest.values(), key=lambda one: one.position):
        customer = customer_of(one, index.customer_of)
        by_customer.setdefault(customer, []).append(msgspec.structs.replace(one, customer=customer))
    tables = Tables()
    for customer, theirs in by_customer.items():
        if customer is None:
            for one in theirs:
                tables.write(None, advance_anonymous(None, [one], NOW, journeys), 0, 0)
        else:
            tables.write(customer, advance_customer(customer, None, theirs, NOW, journeys), 0, 0)
    return tables
