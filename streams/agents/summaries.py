"""One summary of a flood, although each partition guards for itself: what the partitions of a worker fold is joined.

At a destination that holds incidents open a summary opens one, which is named by a partition (`summary_key`): workers
whose partitions flood alike must not end each other's. A partition that was told of under an incident stays with it,
also in another worker's hands.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from schemas.notices import Folded, Notice, summary_key
from streams.agents.alert_partitions import AlertPartitions
from streams.agents.tellers import Place
from streams.core.alerting.book import Thread, decode_book
from streams.core.alerting.flood_windows import EXAMPLES
from streams.core.alerting.outbox import Receipt, Sending, Waiting, sending


class Part(NamedTuple):
    """What one partition has to say of a flood: where it waits, and what."""

    where: Place
    item: Sending


def of_one_incident(parts: Sequence[Part], standing: Collection[int]) -> list[Part]:
    """The parts that are said in one notice with the first of them: of its kind, and of its incident.

    `standing` are the incidents under which this worker's partitions were told of the flood. A partition that was not
    joins the smallest of them, else the one that the smallest partition of those that were not begins. Each part's
    receipt says the incident; None, of before incidents had partitions, stays what it is. `parts` must not be empty.
    """
    fresh = [part.where.partition for part in parts if part.item.notice.told is None]
    joins = min(standing, default=min(fresh, default=0))
    marked = [
        part._replace(item=part.item._replace(receipt=part.item.receipt._replace(incident=joins)))
        if part.item.notice.told is None
        else part
        for part in parts
    ]
    first = marked[0].item.receipt
    return [
        part
        for part in marked
        if (part.item.receipt.kind, part.item.receipt.incident) == (first.kind, first.incident)
    ]


class Known(NamedTuple):
    """What a partition has told of a flood: under which incident, how much of it stands, if it waits for others."""

    partition: int
    incident: int | None
    standing: int
    thread: Thread

    @property
    def is_calm(self) -> bool:
        """Whether only findings of other partitions keep the incident open."""
        return self.thread.held == "flood"

    def ended(self, destination: str, place: Place) -> Receipt:
        """That its incident was ended with that of others."""
        thread = self.thread
        severity = thread.knows or "minor"
        return Receipt(
            place.finding_id, destination, "calmed", thread.version, thread.since, severity, self.incident
        )


def parts_of(partitions: AlertPartitions, destination: str, place: Place) -> list[Part]:
    """What waits to be said of a flood, in the partitions that are ours; the asking one's first."""
    found = []
    numbers = (partition.number for partition in partitions)
    for number in sorted(numbers, key=lambda number: (number != place.partition, number)):
        partition = partitions.at(number)
        if partition is not None:
            book = decode_book(partition.stored.get(place.key))
            item = sending(book, Waiting(place.finding_id, destination))
            if item is not None:
                found.append(Part(place._replace(partition=number), item))
    return found


def known_of(partitions: AlertPartitions, destination: str, place: Place) -> list[Known]:
    """What our partitions have told of a flood."""
    found = []
    for partition in partitions:
        book = decode_book(partition.stored.get(place.key))
        record = book.record(place.finding_id)
        if record is not None and book.flood is not None:
            thread = record.thread(destination)
            if thread.knows is not None:
                standing = book.flood.line(destination).standing
                found.append(Known(partition.number, thread.incident, standing, thread))
    return found


def elsewhere(parts: Sequence[Part], known: Sequence[Known]) -> list[Known]:
    """Partitions in the incident of these parts that have nothing to say now. `parts` must not be empty."""
    speaking = {part.where.partition for part in parts}
    incident = parts[0].item.receipt.incident
    return [one for one in known if one.incident == incident and one.partition not in speaking]


def joined(parts: Sequence[Part], elsewhere: int = 0) -> Notice:
    """One notice for parts of one incident and kind: counts add up, instants span all of them.

    `elsewhere` is how many findings stand in the incident that are none of these parts'.

    The delivery id is the first one's and names its partition: windows end everywhere at the same instant, and what
    other workers say of the flood is no repetition. `parts` must not be empty.
    """
    where, item = parts[0]
    first = item.notice._replace(delivery=f"{item.notice.delivery}:{where.partition}")
    incident = item.receipt.incident
    if incident is not None:
        finding_id = f"{where.finding_id}:{incident}"
        first = first._replace(
            key=summary_key(where.finding_id, incident),
            alert=msgspec.structs.replace(first.alert, finding_id=finding_id),
        )
    folds = [part.item.notice.folded for part in parts if part.item.notice.folded is not None]
    if not folds:
        return first
    examples = list(dict.fromkeys(name for fold in folds for name in fold.examples))
    folded = Folded(
        findings=sum(fold.findings for fold in folds),
        since=min(fold.since for fold in folds),
        until=max(fold.until for fold in folds),
        examples=tuple(examples[:EXAMPLES]),
        standing=sum(fold.standing for fold in folds) + elsewhere,
    )
    return first._replace(folded=folded)
