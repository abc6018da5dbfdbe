"""What a detector says: that a pattern stands, and on what. `detect` makes findings of drafts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from schemas.findings import Evidence, Finding, Identity, Severity
from schemas.interaction import DAY, Micros
from streams.core.detection.line import Line


class Draft(NamedTuple):
    """A pattern that stands. `anchor` and `evidence` are indices into the line, evidence in its order.

    `told` replaces evidence by interactions that the line need not hold any more (accumulation).
    """

    anchor: int
    evidence: Sequence[int]
    counterfactual: Sequence[int] | Callable[[], Sequence[int]]
    """A function where it costs something and follows from the evidence alone."""
    raised_at: Micros
    extends_to: Micros
    severity: Severity
    resolved_at: Micros | None = None
    subjects: tuple[str, ...] = ()
    counted: str = ""
    """The counted key value, where two findings of a case may have the same anchor."""
    facts: Callable[[], Mapping[str, str]] = dict
    """The words that the sentence may use, worked out when it is needed."""
    told: "Told | None" = None


class Told(NamedTuple):
    """Evidence that stands in other findings."""

    evidence: tuple[Evidence, ...]
    anchor: Identity
    counterfactual: tuple[Identity, ...]


CLOCKS_DIFFER: Final = DAY
"""By so much a newest interaction may be ahead of the clock that findings are judged by."""


def changeable_for(horizon: Micros) -> Micros:
    """How long after it was raised a finding may still change: by what occurs within a horizon and arrives within
    another.
    """
    return 2 * horizon + CLOCKS_DIFFER


class Expectation(NamedTuple):
    """An interaction that a timeline must hold beyond the rules' lookback: it may be dropped once the customer's
    newest interaction is later than `until`; None: not while it stands so.
    """

    identity: Identity
    until: Micros | None


class Seen(NamedTuple):
    """What one case sees on a line. `next_due`: the earliest instant at which it would see something else."""

    drafts: Sequence[Draft] = ()
    next_due: Micros | None = None
    expects: Sequence[Expectation] = ()


NOTHING = Seen()


class Detector(Protocol):
    """One case of a rule, compiled."""

    def see(self, line: Line, final: Sequence[Finding]) -> Seen:
        """What stands on the line; `final` are the findings of this case that nothing can change any more."""
        ...


def earliest(one: Micros | None, other: Micros | None) -> Micros | None:
    """The earlier of two instants; None is never."""
    if one is None:
        return other
    return one if other is None or one <= other else other
