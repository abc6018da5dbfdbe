"""What the table keeps of one customer's alerts, as bytes: a MessagePack array that begins with what is due.

Fields have a position: a new one is appended at the end, with a default, and old bytes stay readable.
"""

from typing import Final, Literal, NamedTuple

import msgspec

from schemas.alerts import Alert, AlertRow, AlertStatus
from schemas.findings import FindingState, Severity
from schemas.interaction import Micros
from schemas.notices import CLOSING, NoticeKind

Held = Literal["acknowledged", "snoozed", "cool_down", "flood"]
"""Why a destination has not been told of a finding that stands."""

OVER_BEFORE_TOLD: Final = "over_before_told"
"""The reason stored of a notice that waited until there was nothing to say any more."""

FLOOD_PREFIX: Final = b"\x00flood\x1f"
"""No customer key begins with a NUL."""


class Thread(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One finding at one destination: what it was told, and what waits to be told."""

    destination: str
    told: Severity | None = None
    """What it was last told while the finding stood; None: it knows of nothing that stands."""
    maybe: Severity | None = None
    """What an attempt that ended unknown may have told it."""
    heard: bool = False
    """Whether it was ever told of this finding."""
    pending: NoticeKind | None = None
    version: int = 0
    """The alert's version that made `pending`."""
    since: Micros = 0
    """When `pending` was decided."""
    held: Held | None = None
    """Why it was not told; of a finding that it knows, only what a hush held back; of a flood, that its end was not
    told because findings of other partitions stand in the incident."""
    repeat_at: Micros | None = None
    incident: int | None = None
    """Of a flood, while the destination knows of it: the partition that names the incident (`summary_key`)."""
    folded: Micros | None = None
    """The window in which the flood guard folded it, until it is over, changes its severity or is told by itself."""

    @property
    def opens(self) -> bool:
        """Whether something waits that says that the finding stands."""
        return self.pending is not None and self.pending not in CLOSING

    @property
    def knows(self) -> Severity | None:
        """What it may take for standing."""
        return self.told or self.maybe


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One finding: its newest alert, and a thread for each destination that has to do with it."""

    finding_id: str
    rule: str
    severity: Severity
    version: int
    state: FindingState
    alert: bytes
    """JSON, as on the topic."""
    over_at: Micros | None = None
    threads: tuple[Thread, ...] = ()

    def thread(self, destination: str) -> Thread:
        """The thread, a new one when there is none."""
        return next((item for item in self.threads if item.destination == destination), Thread(destination))


class Cooled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A finding was told to a destination: nothing of its rule as severe or milder follows before `until`."""

    rule: str
    destination: str
    until: Micros
    severity: Severity
    finding_id: str = ""
    """Empty in what was stored before findings were named."""


class Hush(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Somebody takes care of a finding, or wants quiet from a rule: nothing as severe or milder before `until`."""

    held: Held
    target: str
    """The finding (acknowledged) or the rule (snoozed)."""
    until: Micros
    severity: Severity
    by: str
    at: Micros = 0
    """When it was said."""

    def covers(self, record: Record) -> bool:
        """Whether it is about this finding, whatever its severity."""
        return self.target == (record.finding_id if self.held == "acknowledged" else record.rule)


class FloodLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One destination in one window of the flood guard, what the last summary folded, and what stands of all.

    `examples` have a customer as often as findings of theirs are counted, the newest only.
    """

    destination: str
    passed: int = 0
    folded: int = 0
    examples: tuple[str, ...] = ()
    reported: int = 0
    reported_since: Micros = 0
    reported_until: Micros = 0
    reported_examples: tuple[str, ...] = ()
    standing: int = 0
    """Findings folded in windows that have ended, as long as they stand and were not told by themselves."""


class Flood(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The guard of one rule and severity. `window` is when its window began."""

    rule: str
    severity: Severity
    window: Micros
    lines: tuple[FloodLine, ...] = ()
    since: Micros = 0
    """The first window that it counts: what an earlier guard folded is none of its own."""

    def line(self, destination: str) -> FloodLine:
        """The line, a new one when there is none."""
        return next((item for item in self.lines if item.destination == destination), FloodLine(destination))


class Book(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All of one customer's alerts, or one guard with its summaries (`flood` is set)."""

    due: Micros | None = None
    """When `wake` has something to do; None: never."""
    waiting: int = 0
    """How many notices wait to be said."""
    records: tuple[Record, ...] = ()
    cooled: tuple[Cooled, ...] = ()
    hushes: tuple[Hush, ...] = ()
    flood: Flood | None = None

    def record(self, finding_id: str) -> Record | None:
        """What is known of a finding."""
        return next((item for item in self.records if item.finding_id == finding_id), None)


class BookHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first elements of a book, read without decoding the rest."""

    due: Micros | None
    waiting: int


class Decided(NamedTuple):
    """A book after a step, and what is to be stored of it."""

    book: Book
    rows: tuple[AlertRow, ...] = ()


EMPTY: Final = Book()

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Book)
_head_decoder: Final = msgspec.msgpack.Decoder(BookHead)


def encode_book(book: Book) -> bytes | None:
    """For the table and its changelog; None, a tombstone, when nothing needs to be kept."""
    if not (book.records or book.cooled or book.hushes or book.flood):
        return None
    return _encoder.encode(book)


def decode_book(value: bytes | None) -> Book:
    """The inverse of `encode_book`; raises `msgspec.DecodeError` on foreign bytes."""
    return EMPTY if value is None else _decoder.decode(value)


def head_of(value: bytes) -> BookHead:
    """When a book is due and how many notices wait, from its encoded form."""
    return _head_decoder.decode(value)


def with_record(book: Book, record: Record) -> Book:
    """The book with this record in its place, or added."""
    if book.record(record.finding_id) is None:
        records = (*book.records, record)
    else:
        records = tuple(record if item.finding_id == record.finding_id else item for item in book.records)
    return msgspec.structs.replace(book, records=records)


def with_thread(record: Record, thread: Thread) -> Record:
    """The record with this thread in its place, or added."""
    if any(item.destination == thread.destination for item in record.threads):
        threads = tuple(thread if item.destination == thread.destination else item for item in record.threads)
    else:
        threads = (*record.threads, thread)
    return msgspec.structs.replace(record, threads=threads)


def row_of(
    alert: Alert,
    thread: Thread,
    kind: NoticeKind,
    status: AlertStatus,
    reason: str,
    now: Micros,
    version: int,
) -> AlertRow:
    """What is stored of one notice at one destination."""
    return AlertRow(
        alert.finding_id,
        alert.customer,
        alert.rule,
        alert.severity,
        kind,
        thread.destination,
        status,
        reason,
        now,
        version,
    )
