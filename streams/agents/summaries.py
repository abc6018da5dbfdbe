"""One summary of a flood, although each partition guards for itself: what the partitions of a worker fold is joined."""

from collections.abc import Sequence

from schemas.notices import Folded, Notice
from streams.core.alerting.flood import EXAMPLES


def joined(told: Sequence[tuple[int, Notice]]) -> Notice:
    """One notice for several of the same kind about the same flood, each with the partition that has it to say: counts
    add up, instants span all of them.

    The delivery id is the first one's and names its partition: windows end everywhere at the same instant, and what
    other workers say of the flood is no repetition. The incident is the same one. `told` must not be empty.
    """
    partition, first = told[0]
    first = first._replace(delivery=f"{first.delivery}:{partition}")
    parts = [notice.folded for _, notice in told if notice.folded is not None]
    if not parts:
        return first
    examples = list(dict.fromkeys(name for part in parts for name in part.examples))
    folded = Folded(
        findings=sum(part.findings for part in parts),
        since=min(part.since for part in parts),
        until=max(part.until for part in parts),
        examples=tuple(examples[:EXAMPLES]),
    )
    return first._replace(folded=folded)
