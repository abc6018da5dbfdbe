"""One summary of a flood, although each partition guards for itself: what the partitions of a worker fold is joined."""

from collections.abc import Sequence

from schemas.notices import Folded, Notice
from streams.core.alerting.flood import EXAMPLES


def joined(notices: Sequence[Notice]) -> Notice:
    """One notice for several of the same kind about the same flood: counts add up, instants span all of them.

    The delivery id is the first one's. `notices` must not be empty.
    """
    first = notices[0]
    parts = [notice.folded for notice in notices if notice.folded is not None]
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
