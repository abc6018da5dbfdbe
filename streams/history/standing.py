"""What stands already when a replay begins, as far as the replay concerns it."""

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from schemas.findings import FindingChange, Identity, Light
from schemas.interaction import Interaction, Micros, decode_interaction, encode_interaction, routing_key
from schemas.links import Link, Name
from schemas.records import PlacedInteraction, StandingFinding
from streams.core.batch import BatchResult
from streams.core.detection.customer import Detection
from streams.core.detection.standing import Difference, continued
from streams.core.identification.index import IdentityIndex

Key = tuple[str, str]
"""The identity `(source, id)` of an interaction."""


class Standing(Protocol):
    """What the database shows already (`sinks.clickhouse.standing`). Customers are named in clear."""

    def links(self, names: Collection[Name], /) -> Iterable[Link]:
        """Whose identifiers are that are another's, as links with that customer."""

    def holders(self, keys: Collection[Key], /) -> Iterable[Name]:
        """The customers with whom these interactions lie."""

    def interactions(self, customers: Collection[Name], /) -> Iterable[PlacedInteraction]:
        """All interactions of these customers."""

    def nobodys(self, keys: Collection[Key], /) -> Iterable[PlacedInteraction]:
        """Those of these interactions that are anonymous."""

    def journeys(self, customers: Collection[Name], /) -> Iterable[tuple[Name, str]]:
        """The journeys of these customers, under the names that their rows have."""

    def findings(self, customers: Collection[Name], /) -> Iterable[StandingFinding]:
        """The findings of these customers as they were told last, withdrawn ones too."""

    def lit(self, customers: Collection[Name], /) -> Iterable[Name]:
        """Those of these customers to whose light something adds."""


class Place(NamedTuple):
    """Where an interaction lay before."""

    customer: Name | None
    journey_id: str | None
    beyond_horizon: bool
    revision: int


class Stood:
    """What a replay has read of what stands: of whoever is named in its files, or holds what is told in them."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.places: dict[Key, Place] = {}
        self._kept: dict[Name | None, list[bytes]] = defaultdict(list)
        self._of: dict[Name, list[Key]] = defaultdict(list)

    @property
    def customers(self) -> Iterable[Name]:
        """Of whom anything stood."""
        return self._of.keys()

    def note(self, placed: PlacedInteraction, kept: bool) -> None:
        """An interaction stood there; `kept`: the files do not tell it anew."""
        one = placed.interaction
        self.places[one.key] = Place(one.customer, placed.journey_id, placed.beyond_horizon, one.revision)
        if one.customer is not None:
            self._of[one.customer].append(one.key)
        if kept:
            self._kept[one.customer].append(encode_interaction(one))

    def by_key(self, index: IdentityIndex) -> dict[bytes, list[bytes]]:
        """What is kept, encoded, by routing key; to be asked once. A customer who stood moves as a whole, since what
        has decided so far is more than the rows tell.
        """
        kept, self._kept = self._kept, defaultdict(list)
        found: dict[bytes, list[bytes]] = defaultdict(list)
        for customer, encoded in kept.items():
            if customer is not None:
                found[index.customer(customer).encode()].extend(encoded)
                continue
            for one in encoded:
                found[routing_key(decode_interaction(one))].append(one)
        return found

    def has_moved(self, placed: PlacedInteraction) -> bool:
        """Whether an interaction that stood lies elsewhere now."""
        one = placed.interaction
        before = self.places[one.key]
        return (one.customer, placed.journey_id, placed.beyond_horizon) != before[:3]

    def is_news(self, interaction: Interaction) -> bool:
        """Whether an interaction tells more of its customer than what stood."""
        before = self.places.get(interaction.key)
        return (
            before is None
            or before.customer != interaction.customer
            or before.revision < interaction.revision
        )

    def removed(self, customer: Name, now: Collection[Key]) -> Sequence[Identity]:
        """What lay with a customer who has only `now`."""
        return [Identity(*key) for key in self._of.get(customer, ()) if key not in now]


def differences(
    stood: Stood, customers: Iterable[Name], interactions: Iterable[Interaction]
) -> Mapping[Name, Difference]:
    """By customer, how the interactions that a customer has now differ from those that stood."""
    theirs: dict[Name, list[Interaction]] = {customer: [] for customer in customers}
    for one in interactions:
        if one.customer in theirs:
            theirs[one.customer].append(one)
    found: dict[Name, Difference] = {}
    for customer, held in theirs.items():
        news = [one for one in held if stood.is_news(one)]
        replaced = [
            Identity(*one.key)
            for one in news
            if (before := stood.places.get(one.key)) is not None and before.customer == customer
        ]
        removed = stood.removed(customer, {one.key for one in held})
        as_it_stood = [one for one in held if not stood.is_news(one)]
        found[customer] = Difference(news, replaced, removed, as_it_stood)
    return found


class Righted(NamedTuple):
    """What is to be written of customers, whatever stood of them."""

    retracted: Sequence[tuple[Name, str]]
    changes: Sequence[FindingChange]
    lights: Sequence[Light]


def righted(
    standing: Standing,
    stood: Stood,
    customers: Sequence[Name],
    everybody: Container[Name],
    interactions: Iterable[Interaction],
    result: BatchResult,
    now: Micros,
    detection: Detection | None,
) -> Righted:
    """The `result` of evaluating customers from nothing, and what it makes untrue of what stood: journeys that are no
    more, findings that have changed or are withdrawn, lights to which nothing adds. Findings may have been told, and
    withdrawn, of customers of whom nothing stands.

    What stood under an earlier name of theirs is theirs, unless that name is among `everybody`, whom the replay
    evaluates: somebody by itself again.
    """
    asked = frozenset(customers)

    def is_theirs(name: Name) -> bool:
        return name in asked or name not in everybody

    produced = {(journey.customer, journey.journey_id) for journey in result.journeys}
    outdated = [one for one in standing.journeys(customers) if is_theirs(one[0]) and one not in produced]
    changes: Sequence[FindingChange] = result.changes
    if detection is not None:
        told = [one for one in standing.findings(customers) if is_theirs(one.finding.customer)]
        news = differences(stood, customers, interactions)
        by_id = {one.finding.finding_id: one for one in told}
        changes = continued(changes, by_id, news, now, detection.rules, detection.id_key)
    lit = {light.customer for light in result.lights}
    out = [
        Light(name, now, 0, "green", (), ())
        for name in standing.lit(customers)
        if is_theirs(name) and name not in lit
    ]
    return Righted([*result.retracted, *outdated], changes, [*result.lights, *out])
