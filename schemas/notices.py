"""What a destination is asked to say, and what comes of asking: between the notify agent and `sinks.notifications`.

Outcomes are decisions, not exceptions: `Delivered` is done; `Passing` may be repeated as it is; `Refused` never works
and needs a person. An outcome that is unknown (a time-out after the request was sent) is `Passing` and `uncertain`.
"""

import hashlib
from typing import Final, Literal, NamedTuple

from schemas.alerts import Alert
from schemas.findings import Severity

NoticeKind = Literal[
    "raised",
    "updated",
    "reminded",
    "repeated",
    "acknowledged",
    "resolved",
    "withdrawn",
    "settled",
    "folded",
    "calmed",
]
"""`reminded`: an acknowledgement or a snooze ran out and the finding still stands. `repeated`: the same again for a
destination that forgets what it is not told again. `folded`: a flood of a rule in one summary; `calmed`: it is over."""

CLOSING: Final = frozenset({"resolved", "withdrawn", "settled", "calmed"})
"""The kinds after which nothing stands any more."""

MAX_KEY: Final = 255
"""Longest deduplication key, in characters (PagerDuty Events API v2, `dedup_key`)."""


class Folded(NamedTuple):
    """What a summary folds: `findings` of one rule and severity between two instants (RFC 3339), some of them named."""

    findings: int
    since: str
    until: str
    examples: tuple[str, ...]
    """Customers of some of them."""
    standing: int = 0
    """Findings of the whole flood, these among them, that stand and were not told by themselves."""


class Notice(NamedTuple):
    """One thing to say.

    `key` names the incident: the same for all notices of one finding. `severity` is what the incident has from now on;
    `told` the severity that this destination was last told while it stood, None when it knows of nothing.
    `delivery` is the same for each attempt at this notice and different for any other: an idempotency key.
    """

    kind: NoticeKind
    key: str
    delivery: str
    severity: Severity
    told: Severity | None
    alert: Alert
    folded: Folded | None = None
    note: str = ""
    """Who took care, in an acknowledgement."""


class Delivered(NamedTuple):
    """The destination has it."""


class Passing(NamedTuple):
    """Not now. `retry_after` is in seconds, the least that the destination asked for, None when it said nothing.

    `uncertain`: the destination may have it all the same.
    """

    reason: str
    retry_after: float | None = None
    uncertain: bool = False


class Refused(NamedTuple):
    """Never as it is: something is wrong with the notice itself. The reason says what a person can do."""

    reason: str


Outcome = Delivered | Passing | Refused


def summary_key(finding_id: str, incident: int) -> str:
    """The deduplication key of a flood's summary. Each partition guards for itself: `incident` is the one that the
    summary was told of first, so that a partition that becomes calm ends no incident of another one.
    """
    return incident_key(f"{finding_id}:{incident}")


def incident_key(finding_id: str) -> str:
    """The deduplication key of a finding: readable, at most `MAX_KEY` characters, different for different findings."""
    key = f"touchline:{finding_id}"
    if len(key) <= MAX_KEY:
        return key
    return f"touchline:{hashlib.sha256(finding_id.encode()).hexdigest()}"
