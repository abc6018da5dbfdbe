"""The ground truth of a simulation: what was planted, kept aside from what the pipeline sees."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from schemas.interaction import Micros
from streams.simulation.people import Person

Fate = Literal["new", "duplicate", "older_revision", "correction", "dead"]
"""What an event is to the ledger, in order of arrival: the first copy of an identity is `new`; a later copy
is a `duplicate` (same revision), an `older_revision`, or a `correction` (a higher one, which makes the
one before it superseded). Every identity is stored once, so: published = new + superseded (the other
three) + dead."""

State = Literal["open", "resolved", "withdrawn"]


class Trouble(NamedTuple):
    """A planted trouble. `kind` is the name of the rule of the catalogue that is meant to see it.

    `evidence` are `(source, id)` pairs, oldest first. It stands from `since` on (the instant at which it
    became true, by the events' own time). `resolved_at` is when it was put right. `arrived_at` is the
    arrival of the last piece of evidence: a consumer that stopped before cannot know of it. `joined` says
    that all evidence carries the CRM id; where it does not, only identity resolution can find it.
    `withdrawn` troubles looked true until a correction arrived; in the end they must not stand.
    """

    kind: str
    scenario: str
    customer: str
    since: Micros
    evidence: tuple[tuple[str, str], ...]
    state: State
    resolved_at: Micros | None
    arrived_at: Micros
    joined: bool


@dataclass(slots=True)
class Truth:
    """Filled while events are drawn; counts are of the events that were yielded so far."""

    fates: Counter[str] = field(default_factory=Counter)
    defects: Counter[str] = field(default_factory=Counter)
    """Dead events by what is wrong with them (`streams.simulation.defects.DEFECTS`)."""
    channels: Counter[str] = field(default_factory=Counter)
    scenarios: Counter[str] = field(default_factory=Counter)
    troubles: list[Trouble] = field(default_factory=list)
    last_arrival: Micros = 0

    @property
    def published(self) -> int:
        """All events yielded."""
        return sum(self.fates.values())

    @property
    def stored(self) -> int:
        """Distinct valid `(source, id)`."""
        return self.fates["new"]

    @property
    def superseded(self) -> int:
        """Repetitions, older revisions, and those that a correction replaced."""
        return self.fates["duplicate"] + self.fates["older_revision"] + self.fates["correction"]

    @property
    def dead(self) -> int:
        """Events that no decoder may accept."""
        return self.fates["dead"]

    def arrived_troubles(self) -> Iterator[Trouble]:
        """The troubles whose evidence was yielded wholly."""
        return (trouble for trouble in self.troubles if trouble.arrived_at <= self.last_arrival)

    def summary(self) -> dict[str, object]:
        """Counts, for the first line of the truth file."""
        return {
            "published": self.published,
            "stored": self.stored,
            "superseded": self.superseded,
            "dead": self.dead,
            "fates": dict(sorted(self.fates.items())),
            "defects": dict(sorted(self.defects.items())),
            "channels": dict(sorted(self.channels.items())),
            "scenarios": dict(sorted(self.scenarios.items())),
            "troubles": dict(sorted(Counter(trouble.kind for trouble in self.arrived_troubles()).items())),
        }

    def write(self, path: Path, people: Iterable[Person]) -> None:
        """Write JSON lines, each with a `record`: one `summary`, then every `customer`, then every `trouble`.

        Instants are microseconds since the Unix epoch.
        """
        encode = msgspec.json.Encoder().encode
        with path.open("wb") as file:
            file.write(encode({"record": "summary", **self.summary()}) + b"\n")
            for person in people:
                file.write(encode({"record": "customer", **person.facts()}) + b"\n")
            for trouble in self.arrived_troubles():
                file.write(encode({"record": "trouble", **trouble._asdict()}) + b"\n")
