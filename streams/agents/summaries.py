"""One summary of a flood, although each partition guards for itself: what the partitions of a worker fold is joined.

At a destination that holds incidents open a summary opens one, which is named by a partition (`summary_key`): workers
whose partitions flood alike must not end each other's. A partition that was told of under an incident stays with it,
also in another worker's hands.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from schemas.notices import Folded, Notice, summary_key
from streams.agents.tellers import Place
from streams.core.alerting.flood_windows import EXAMPLES
from streams.core.alerting.outbox import Sending


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


def joined(parts: Sequence[Part]) -> Notice:
    """One notice for parts of one incident and kind: counts add up, instants span all of them.

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
    )
    return first._replace(folded=folded)
