"""Replay: files of events through the same core, without Kafka, straight into ClickHouse.

All of the input is read before anything is evaluated, so the order of the lines does not matter, not even beyond the
horizon, and every link that the events teach, or facts tell, is known before the first customer is evaluated. Rows
equal those of the live road but for coordinates: topic is the file's name, partition 0, offset the line's number
from 0.

What the database shows already takes part: the interactions that stand of the customers who are read are evaluated
together with those of the files, as if they had been read before them. Only who is whom is not learnt anew of what
stands: a customer who stands moves as a whole (docs/adr/0008).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Protocol

import msgspec

from schemas.codec import Decoder, Rejected
from schemas.erasures import letter_identity
from schemas.identifiers import Identifiers
from schemas.identity import FactDecoder
from schemas.interaction import Interaction, Micros, decode_interaction, encode_interaction, routing_key
from schemas.links import Name, names_of
from schemas.records import Coordinates, DeadLetter, PlacedInteraction, SinkBatch
from streams.core.anonymous import ANONYMOUS_KEY
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.index import IdentityIndex
from streams.core.identification.lessons import Lessons
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy
from streams.core.identification.rows import identity_row
from streams.core.identification.told import Telling, newest_tellings
from streams.core.policy import JourneyPolicy
from streams.core.timeline import coordinates_of
from streams.history.line_files import Source, digest
from streams.history.precedence import Precedence
from streams.history.standing import Righted, Standing, Stood, righted

CHUNK = 5_000
"""Lines, or interactions of whole customers, that are written at once."""

IN_FLIGHT = 2
"""Chunks that are being written while the next is computed."""


class Writer(Protocol):
    """What replay needs of the sink."""

    def write_sync(self, batch: SinkBatch) -> None:
        """Block until every row is stored."""


IsErased = Callable[[str, str], bool]
"""Whether what has this source and id was forgotten (`touchline forget`), and must not come back."""


def nothing_is_erased(_source: str, _id: str) -> bool:
    """For a database in which nobody was forgotten."""
    return False


@dataclass
class ReplayReport:
    """What was read and what became of it."""

    read: int = 0
    stored: int = 0
    superseded: int = 0
    dead: int = 0
    journeys: int = 0
    customers: int = 0
    findings: int = 0
    facts: int = 0
    """Of those stored: what was told of who is whom."""
    until: Micros = 0
    rejections: list[tuple[str, int, str]] = field(default_factory=list)
    """The first dead lines: file, line number from 0, why."""


SHOWN_REJECTIONS = 20


class Replay:
    """One run. `version` orders its rows against others': a later one wins."""

    def __init__(
        self,
        decoder: Decoder,
        policy: JourneyPolicy,
        writer: Writer,
        *,
        version: int,
        clock: Micros,
        standing: Standing | None = None,
        detection: Detection | None = None,
        identity: IdentityPolicy = DEFAULT_POLICY,
        fact_decoder: FactDecoder | None = None,
        is_erased: IsErased = nothing_is_erased,
        is_erased_fact: IsErased = nothing_is_erased,
    ) -> None:
        """`decoder` may name customers as it likes: they are named anew. Only files of facts need `fact_decoder`.
        `standing` is what stands already; None: nothing does.

        What `is_erased` counts as superseded and leaves nothing behind.
        """
        self._is_erased, self._is_erased_fact = is_erased, is_erased_fact
        self._decoder = decoder
        self._fact_decoder = fact_decoder
        self._identity = identity
        self._lessons = Lessons(identity)
        self._told: list[Telling] = []
        self._index = IdentityIndex(identity)
        self._held: dict[tuple[Identifiers, tuple[str, ...]], list[bytes]] = defaultdict(list)
        self._precedence = Precedence()
        self._policy = policy
        self._writer = writer
        self._version = version
        self._clock = clock
        self._standing = standing
        self._stood = Stood()
        self._detection = detection
        self._incarnation = 0
        self._kept: dict[bytes, list[bytes]] = {}
        self._everybody: Collection[Name] = ()
        self._customers: dict[bytes, list[bytes]] = defaultdict(list)
        self.report = ReplayReport()

    def run(
        self,
        sources: Sequence[Source],
        until: Micros | None,
        on_bytes: Callable[[int], None] = lambda _: None,
        on_customers: Callable[[int, int], None] = lambda _done, _all: None,
        identity: Sequence[Source] = (),
    ) -> ReplayReport:
        """Read everything, then evaluate every customer at `until` (None: the greatest `occurred_at` read).

        No two sources have one name. `identity` are files of facts about who is whom. `on_bytes` is told how many bytes
        were read more, `on_customers` how many customers of how many are done.
        """
        self._incarnation = digest((*sources, *identity), self._policy.id_key)
        with ThreadPoolExecutor(1) as thread:
            writing: list[Future[None]] = []
            for batch in self._read_facts(identity, on_bytes):
                _submit(thread, writing, self._writer, batch)
            for batch in self._read(sources, until, on_bytes):
                _submit(thread, writing, self._writer, batch)
            if self._standing is not None:
                self._take_in(self._standing)
            self._name_customers()
            for batch in self._identified():
                _submit(thread, writing, self._writer, batch)
            now = self.report.until if until is None else until
            self.report.until = now
            for batch in self._evaluate(now, on_customers):
                _submit(thread, writing, self._writer, batch)
            for future in writing:
                future.result()
        return self.report

    def _read_facts(self, sources: Sequence[Source], on_bytes: Callable[[int], None]) -> Iterator[SinkBatch]:
        if not sources:
            return
        if self._fact_decoder is None:
            raise ValueError("files of facts cannot be read without fact_decoder")
        received: list[Coordinates] = []
        letters: list[DeadLetter] = []
        told: list[Telling] = []
        erased: list[Coordinates] = []
        for source in sources:
            size = 0
            for number, line in enumerate(source.file):
                size += len(line)
                if not line.strip():
                    continue
                value, where = line.rstrip(b"\r\n"), Coordinates(source.name, 0, number)
                received.append(where)
                result = self._fact_decoder.decode(value, (), self._clock)
                if isinstance(result, Rejected):
                    letters.append(self._dead_letter(source.name, number, value, result))
                elif self._is_erased_fact(result.source, result.id):
                    erased.append(where)
                else:
                    told.append(Telling(where, result))
            on_bytes(size)
        self._told, replaced = newest_tellings(told, lambda _: None)
        superseded = (*erased, *(one.where for one in replaced))
        report = self.report
        report.read += len(received)
        report.facts += len(self._told)
        report.stored += len(self._told)
        report.superseded += len(superseded)
        yield self._reading_batch(received, letters)._replace(
            stored=tuple(one.where for one in self._told), superseded=superseded
        )

    def _take_in(self, standing: Standing) -> None:
        """Read what stands of whoever is named in the files, or holds an interaction that is told in them."""
        names = {name for identifiers, _ in self._held for name in names_of(identifiers)}
        stood, told = self._stood, self._precedence.told()
        stood.links = list(standing.links(names))
        names.update(name for link in stood.links for name in (link.a, link.b))
        names.update(standing.holders(told))
        for placed in chain(standing.nobodys(told), standing.interactions(names)):
            stood.note(placed, self._precedence.stand(placed.interaction))

    def _name_customers(self) -> None:
        """Know all links, then put everything that was read under its customer."""
        self._index = IdentityIndex(
            self._identity,
            chain((one.statement for one in self._told), self._lessons.records(), self._stood.links),
        )
        while self._held:
            (identifiers, unnormalised), encoded = self._held.popitem()
            customer = self._index.customer_of(identifiers, unnormalised)
            if customer is not None:
                self._customers[customer.encode()].extend(encoded)
                continue
            for one in encoded:
                nobodys = msgspec.structs.replace(decode_interaction(one), customer=None)
                self._customers[routing_key(nobodys)].append(encode_interaction(nobodys))
        self._kept = self._stood.by_key(self._index)
        for key in chain(self._kept, map(str.encode, self._stood.customers)):
            self._customers[key].extend(())

    def _identified(self) -> Iterator[SinkBatch]:
        names = self._index.names()
        while portion := list(islice(names, CHUNK)):
            yield SinkBatch(
                version=self._version,
                links_seen=self._version,
                identities=tuple(identity_row(self._index, name) for name in portion),
                incarnation=self._incarnation,
            )

    def _read(
        self, sources: Sequence[Source], until: Micros | None, on_bytes: Callable[[int], None]
    ) -> Iterator[SinkBatch]:
        received: list[Coordinates] = []
        letters: list[DeadLetter] = []
        erased: list[Coordinates] = []
        report, size = self.report, 0
        clock = self._clock if until is None else max(self._clock, until)
        lines = 0
        for source in sources:
            self._precedence.begin(source.name, lines)
            for number, line in enumerate(source.file):
                size += len(line)
                lines += 1
                if not line.strip():
                    continue
                value = line.rstrip(b"\r\n")
                report.read += 1
                received.append(Coordinates(source.name, 0, number))
                result = self._decoder.decode(value, (), source.name, 0, number, None, clock)
                if isinstance(result, Rejected):
                    if self._is_erased(*letter_identity(value)):
                        erased.append(received[-1])
                        report.superseded += 1
                    else:
                        letters.append(self._dead_letter(source.name, number, value, result))
                else:
                    report.until = max(report.until, result.occurred_at)
                    if self._is_erased(result.source, result.id):
                        erased.append(received[-1])
                        report.superseded += 1
                    else:
                        self._hold(result)
                if len(received) >= CHUNK:
                    on_bytes(size)
                    yield self._reading_batch(received, letters, erased)
                    received, letters, erased, size = [], [], [], 0
        on_bytes(size)
        yield self._reading_batch(received, letters, erased)

    def _hold(self, interaction: Interaction) -> None:
        identifiers = self._lessons.add(interaction)
        self._held[identifiers, interaction.unnormalised].append(encode_interaction(interaction))
        self._precedence.read(interaction)

    def _reading_batch(
        self, received: list[Coordinates], letters: list[DeadLetter], erased: Iterable[Coordinates] = ()
    ) -> SinkBatch:
        return SinkBatch(
            received=tuple(received),
            dead_letters=tuple(letters),
            superseded=tuple(erased),
            incarnation=self._incarnation,
        )

    def _dead_letter(self, name: str, number: int, value: bytes, rejected: Rejected) -> DeadLetter:
        self.report.dead += 1
        if len(self.report.rejections) < SHOWN_REJECTIONS:
            self.report.rejections.append((name, number, rejected.message))
        return DeadLetter(
            name, 0, number, None, value, (), rejected.stage, rejected.error, rejected.message, self._clock
        )

    def _evaluate(self, now: Micros, on_customers: Callable[[int, int], None]) -> Iterator[SinkBatch]:
        total = len(self._customers)
        self._everybody = {key.decode() for key in self._customers}
        chunk: list[Interaction] = []
        superseded: list[Coordinates] = []
        customers: list[Name] = []
        done = 0
        for key in list(self._customers):
            customer = None if key.startswith(ANONYMOUS_KEY) else key.decode()
            if customer is not None:
                customers.append(customer)
            theirs = {one.key: one for one in map(decode_interaction, self._kept.pop(key, ()))}
            for one in map(decode_interaction, self._customers.pop(key)):
                if self._precedence.counts(one):
                    theirs[one.key] = one
                else:
                    superseded.append(coordinates_of(one))
            named = [_named(one, customer) for one in theirs.values()]
            chunk.extend(sorted(named, key=lambda interaction: interaction.position))
            done += 1
            if len(chunk) >= CHUNK or len(customers) >= CHUNK:
                on_customers(done, total)
                yield self._evaluated_batch(chunk, customers, superseded, now)
                chunk, customers, superseded = [], [], []
        on_customers(done, total)
        yield self._evaluated_batch(chunk, customers, superseded, now)

    def _evaluated_batch(
        self,
        interactions: list[Interaction],
        customers: Sequence[Name],
        superseded: list[Coordinates],
        now: Micros,
    ) -> SinkBatch:
        result: BatchResult = advance_batch(
            lambda _: None, interactions, (), now, self._policy, self._detection
        )
        placed: list[PlacedInteraction] = []
        moved: list[PlacedInteraction] = []
        for one in result.interactions:
            if not self._precedence.stands(one.interaction):
                placed.append(one)
            elif self._stood.has_moved(one):
                moved.append(one)
        told = Righted(result.retracted, result.changes, result.lights)
        if self._standing is not None and customers:
            told = righted(
                self._standing,
                self._stood,
                customers,
                self._everybody,
                interactions,
                result,
                now,
                self._detection,
            )
        report = self.report
        report.stored += len(placed)
        report.superseded += len(superseded) + len(result.superseded)
        report.journeys += len(result.journeys)
        report.findings += sum(1 for change in result.changes if change.kind == "raised")
        report.customers += len({i.customer for i in interactions if i.customer is not None})
        return SinkBatch(
            version=self._version,
            links_seen=self._version,
            interactions=tuple(placed),
            moved=tuple(moved),
            journeys=tuple(result.journeys),
            retracted=tuple(told.retracted),
            superseded=(*superseded, *result.superseded),
            incarnation=self._incarnation,
            findings=tuple(told.changes),
            lights=tuple(told.lights),
            fading=self._detection.light.fading if self._detection is not None else None,
        )


def _named(interaction: Interaction, customer: str | None) -> Interaction:
    if interaction.customer == customer:
        return interaction
    return msgspec.structs.replace(interaction, customer=customer)


def _submit(
    thread: ThreadPoolExecutor, writing: list[Future[None]], writer: Writer, batch: SinkBatch
) -> None:
    while len(writing) >= IN_FLIGHT:
        writing.pop(0).result()
    writing.append(thread.submit(writer.write_sync, batch))
