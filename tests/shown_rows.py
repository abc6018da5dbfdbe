"""A database in memory: it keeps what is written as the tables do, and tells what stands."""

from collections.abc import Collection, Iterable

from schemas.findings import Finding, FindingChange, Light
from schemas.interaction import Interaction
from schemas.links import Link, Name, order_of
from schemas.records import Journey, PlacedInteraction, SinkBatch, StandingFinding
from streams.history.standing import Key


class ShownRows:
    """A sink of replays, and what stands for the next one."""

    def __init__(self) -> None:
        self.placed: dict[Key, tuple[int, int, PlacedInteraction]] = {}
        self.journeys: dict[tuple[Name, str], Journey] = {}
        self.findings: dict[str, Finding] = {}
        self.history: dict[str, dict[int, FindingChange]] = {}
        self.lights: dict[Name, Light] = {}
        self.owners: dict[Name, Name] = {}

    def write_sync(self, batch: SinkBatch) -> None:
        """One batch of a run, whose versions rise from run to run."""
        for placed in (*batch.interactions, *batch.moved):
            one = placed.interaction
            rank = one.revision, batch.version
            held = self.placed.get(one.key)
            if held is None or rank >= held[:2]:
                self.placed[one.key] = (*rank, placed)
        for key in batch.retracted:
            self.journeys.pop(key, None)
        for journey in batch.journeys:
            self.journeys[journey.customer, journey.journey_id] = journey
        for change in batch.findings:
            finding = change.finding
            self.history.setdefault(finding.finding_id, {})[change.sequence] = change
            if finding.state == "withdrawn":
                self.findings.pop(finding.finding_id, None)
            else:
                self.findings[finding.finding_id] = finding
        for light in batch.lights:
            if light.contributions:
                self.lights[light.customer] = light
            else:
                self.lights.pop(light.customer, None)
        self.owners.update((row.identifier, row.customer) for row in batch.identities)

    # --- what stands ---------------------------------------------------------------------------------------

    def links(self, names: Collection[Name]) -> Iterable[Link]:
        for name in names:
            owner = self.owners.get(name, name)
            if owner != name:
                yield Link(*sorted((name, owner), key=order_of), 1, 1, "s\x1f1")

    def holders(self, keys: Collection[Key]) -> Iterable[Name]:
        return [one.customer for one in self._interactions() if one.key in keys and one.customer is not None]

    def interactions(self, customers: Collection[Name]) -> Iterable[PlacedInteraction]:
        return [placed for *_, placed in self.placed.values() if placed.interaction.customer in customers]

    def nobodys(self, keys: Collection[Key]) -> Iterable[PlacedInteraction]:
        asked = [self.placed[key][2] for key in keys if key in self.placed]
        return [placed for placed in asked if placed.interaction.customer is None]

    def journeys_of(self, customers: Collection[Name]) -> Iterable[tuple[Name, str]]:
        return [key for key in self.journeys if key[0] in customers]

    def findings_of(self, customers: Collection[Name]) -> Iterable[StandingFinding]:
        for changes in self.history.values():
            last = changes[max(changes)]
            if last.finding.customer in customers:
                yield StandingFinding(last.finding, last.sequence)

    def lit(self, customers: Collection[Name]) -> Iterable[Name]:
        return [customer for customer in self.lights if customer in customers]

    def _interactions(self) -> Iterable[Interaction]:
        return [placed.interaction for *_, placed in self.placed.values()]


class Stands:
    """`streams.history.standing.Standing` of rows that are shown."""

    def __init__(self, rows: ShownRows) -> None:
        self.links, self.holders, self.interactions = rows.links, rows.holders, rows.interactions
        self.nobodys, self.lit = rows.nobodys, rows.lit
        self.journeys, self.findings = rows.journeys_of, rows.findings_of
