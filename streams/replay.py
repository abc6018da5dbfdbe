"""Replay: files of events through the same core, without Kafka, straight into ClickHouse.

All of the input is read before anything is evaluated, so the order of the lines does not matter, not even beyond the
horizon, and every link that the events teach, or facts tell, is known before the first customer is evaluated. Rows
equal those of the live road but for coordinates: topic is the file's name, partition 0, offset the line's number
from 0.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import msgspec

from schemas.codec import Decoder, Rejected
from schemas.erasures import letter_identity
from schemas.identifiers import Identifiers
from schemas.identity import FactDecoder
from schemas.interaction import Interaction, Micros, decode_interaction, encode_interaction, routing_key
from schemas.links import names_of
from schemas.records import Coordinates, DeadLetter, SinkBatch
from streams.core.anonymous import ANONYMOUS_KEY
from streams.core.batch import BatchResult, advance_batch
from streams.core.detection.customer import Detection
from streams.core.identification.index import IdentityIndex
from streams.core.identification.lessons import Lessons
from streams.core.identification.policy import DEFAULT_POLICY, IdentityPolicy
from streams.core.identification.rows import identity_row
from streams.core.identification.told import Telling, newest_tellings
from streams.core.policy import JourneyPolicy

Identity = tuple[str, str]
"""`(source, id)`."""

CHUNK = 5_000
"""Lines, or interactions of whole customers, that are written at once."""

IN_FLIGHT = 2
"""Chunks that are being written while the next is computed."""


class Source(NamedTuple):
    """One file: what it is called in rows, and its bytes (seekable)."""

    name: str
    file: BinaryIO


class Writer(Protocol):
    """What replay needs of the sink."""

    def write_sync(self, batch: SinkBatch) -> None:
        """Block until every row is stored."""


class Standing(NamedTuple):
    """A journey that the database shows already, and the identities of its interactions."""

    customer: str
    journey_id: str
    members: frozenset[Identity]


FindStanding = Callable[[Sequence[str]], Iterable[Standing]]
"""The journeys that stand of these customers."""


IsErased = Callable[[str, str], bool]
"""Whether what has this source and id was forgotten (`touchline forget`), and must not come back."""


def nothing_is_erased(_source: str, _id: str) -> bool:
    """For a database in which nobody was forgotten."""
    return False


def nothing_stands(_customers: Sequence[str]) -> Iterable[Standing]:
    """For a database without journeys."""
    return ()


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


def sources_named(paths: Sequence[Path]) -> list[str]:
    """What each file is called in the rows: its name; its path as given where two files share a name."""
    names = [path.name for path in paths]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]


def digest(sources: Iterable[Source], key: bytes = b"") -> int:
    """63 bits that tell one input from another: the incarnation of its coordinates in the ledger. Under a key nobody
    can try what a short file may have held.
    """
    total = hashlib.blake2b(digest_size=8, key=key)
    for source in sources:
        total.update(source.name.encode() + b"\x00")
        while part := source.file.read(1 << 20):
            total.update(part)
        source.file.seek(0)
    return int.from_bytes(total.digest(), "big") >> 1


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
        standing: FindStanding = nothing_stands,
        detection: Detection | None = None,
        identity: IdentityPolicy = DEFAULT_POLICY,
        fact_decoder: FactDecoder | None = None,
        is_erased: IsErased = nothing_is_erased,
        is_erased_fact: IsErased = nothing_is_erased,
    ) -> None:
        """`decoder` may name customers as it likes: they are named anew. Only files of facts need `fact_decoder`.

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
        self._corrected: dict[Identity, int] = {}
        self._policy = policy
        self._writer = writer
        self._version = version
        self._clock = clock
        self._standing = standing
        self._detection = detection
        self._incarnation = 0
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

        `identity` are files of facts about who is whom. `on_bytes` is told how many bytes were read more,
        `on_customers` how many customers of how many are done.
        """
        self._incarnation = digest((*sources, *identity), self._policy.id_key)
        with ThreadPoolExecutor(1) as thread:
            writing: list[Future[None]] = []
            for batch in self._read_facts(identity, on_bytes):
                _submit(thread, writing, self._writer, batch)
            for batch in self._read(sources, until, on_bytes):
                _submit(thread, writing, self._writer, batch)
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

    def _name_customers(self) -> None:
        """Know all links, then put everything that was read under its customer."""
        self._index = IdentityIndex(
            self._identity, chain((one.statement for one in self._told), self._lessons.records())
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
        for source in sources:
            for number, line in enumerate(source.file):
                size += len(line)
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
        if interaction.revision > self._corrected.get(interaction.key, 0):
            self._corrected[interaction.key] = interaction.revision

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
        chunk: list[Interaction] = []
        superseded: list[Coordinates] = []
        done = 0
        for key in list(self._customers):
            customer = None if key.startswith(ANONYMOUS_KEY) else key.decode()
            encoded = self._customers.pop(key)
            current, replaced = newest_revisions(_named(decode_interaction(one), customer) for one in encoded)
            # A higher revision may name another customer.
            standing = [one for one in current if one.revision >= self._corrected.get(one.key, 0)]
            replaced += [_where(one) for one in current if one.revision < self._corrected.get(one.key, 0)]
            chunk.extend(sorted(standing, key=lambda interaction: interaction.position))
            superseded.extend(replaced)
            done += 1
            if len(chunk) >= CHUNK:
                on_customers(done, total)
                yield self._evaluated_batch(chunk, superseded, now)
                chunk, superseded = [], []
        on_customers(done, total)
        yield self._evaluated_batch(chunk, superseded, now)

    def _evaluated_batch(
        self, interactions: list[Interaction], superseded: list[Coordinates], now: Micros
    ) -> SinkBatch:
        result: BatchResult = advance_batch(
            lambda _: None, interactions, (), now, self._policy, self._detection
        )
        report = self.report
        report.stored += len(result.interactions)
        report.superseded += len(superseded) + len(result.superseded)
        report.journeys += len(result.journeys)
        report.findings += sum(1 for change in result.changes if change.kind == "raised")
        report.customers += len({i.customer for i in interactions if i.customer is not None})
        return SinkBatch(
            version=self._version,
            links_seen=self._version,
            interactions=tuple(result.interactions),
            journeys=tuple(result.journeys),
            retracted=(*result.retracted, *self._outdated(interactions, result)),
            superseded=(*superseded, *result.superseded),
            incarnation=self._incarnation,
            findings=tuple(result.changes),
            lights=tuple(result.lights),
            fading=self._detection.light.fading if self._detection is not None else None,
        )

    def _outdated(self, interactions: list[Interaction], result: BatchResult) -> Iterator[tuple[str, str]]:
        """Standing journeys whose interactions are all in this run, which cut them differently (another gap)."""
        customers = {i.customer: None for i in interactions if i.customer is not None}
        for one in interactions:
            # They may stand under any of their identifiers, from before the links were known.
            customers.update(dict.fromkeys(names_of(one.identifiers)))
        produced = {journey.journey_id for journey in result.journeys}
        read = {interaction.key for interaction in interactions}
        for standing in self._standing(list(customers)):
            if standing.journey_id not in produced and standing.members <= read:
                yield standing.customer, standing.journey_id


def newest_revisions(interactions: Iterable[Interaction]) -> tuple[list[Interaction], list[Coordinates]]:
    """The highest revision of each identity (the first of equal ones), and the coordinates of all others."""
    newest: dict[tuple[str, str], Interaction] = {}
    superseded: list[Coordinates] = []
    for interaction in interactions:
        held = newest.get(interaction.key)
        if held is None or interaction.revision > held.revision:
            newest[interaction.key] = interaction
            loser = held
        else:
            loser = interaction
        if loser is not None and _where(loser) != _where(newest[interaction.key]):
            superseded.append(_where(loser))
    return list(newest.values()), superseded


def _named(interaction: Interaction, customer: str | None) -> Interaction:
    if interaction.customer == customer:
        return interaction
    return msgspec.structs.replace(interaction, customer=customer)


def _where(interaction: Interaction) -> Coordinates:
    return Coordinates(interaction.topic, interaction.partition, interaction.offset)


def _submit(
    thread: ThreadPoolExecutor, writing: list[Future[None]], writer: Writer, batch: SinkBatch
) -> None:
    while len(writing) >= IN_FLIGHT:
        writing.pop(0).result()
    writing.append(thread.submit(writer.write_sync, batch))
