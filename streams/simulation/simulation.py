"""The simulation: customers live through stories, and their events arrive at the company.

Deterministic: the same arguments give the same events, byte for byte, in every process. Memory is bounded
by the number of customers, however long the span.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from schemas.interaction import DAY, SECOND, Micros
from streams.simulation.mess import SimulatedEvent, deliver
from streams.simulation.people import Person, populate, waking_start
from streams.simulation.scenarios import Scenario, draw_scenario
from streams.simulation.story import Planted, Repetition, Story
from streams.simulation.truth import State, Trouble, Truth

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_STORY_WITHIN: Final = 12 * DAY
_PILOT_CUSTOMERS: Final = 200
_MATTER_RESTS: Final = 8 * DAY
"""A contact within seven days would be another one about the same matter."""
_TROUBLES_ADD_UP: Final = 60 * DAY
"""So long what went wrong is remembered: twice the span in which the rules count, since some shows only days later."""


class Simulation:
    """A span of time in the life of a company.

    `seed` chooses the people and what happens to them. Every event occurs within `[until - span, until]`;
    it may arrive later than `until`. `share_identified` is the share of customers whom every system knows
    by their CRM id; of the others each system sees only its own identifiers.

    Raises ValueError for a naive `until`, no customers or no span.
    """

    def __init__(
        self,
        seed: int,
        customers: int,
        until: datetime,
        span: timedelta = timedelta(days=30),
        *,
        share_identified: float = 0.8,
    ):
        if until.tzinfo is None:
            raise ValueError("until: expected a time with an offset, such as datetime.now(UTC)")
        if customers < 1:
            raise ValueError("customers: expected at least one")
        if span <= timedelta(0):
            raise ValueError("span: expected more than nothing")
        if not 0.0 <= share_identified <= 1.0:
            raise ValueError("share_identified: expected a share from 0 to 1")
        self.seed = seed
        self.customers = customers
        self.until: Micros = (until - _EPOCH) // timedelta(microseconds=1)
        self.begin: Micros = self.until - span // timedelta(microseconds=1)
        self.share_identified = share_identified
        identity = f"{seed}/{customers}/{self.until}/{self.begin}/{share_identified}"
        self._run = blake2s(identity.encode(), digest_size=4).hexdigest()
        self._truth = Truth()

    @classmethod
    def sized(
        cls,
        seed: int,
        events: int,
        until: datetime,
        span: timedelta = timedelta(days=30),
        *,
        share_identified: float = 0.8,
    ) -> "Simulation":
        """A simulation with as many customers as make about that many events (within a tenth, for thousands).

        How many events a customer makes in such a span is measured on a small pilot.
        """
        pilot = cls(seed, _PILOT_CUSTOMERS, until, span, share_identified=share_identified)
        made = sum(1 for _ in pilot.events())
        customers = max(round(events * _PILOT_CUSTOMERS / max(made, 1)), 1)
        return cls(seed, customers, until, span, share_identified=share_identified)

    def people(self) -> Iterator[Person]:
        """The customers, anew."""
        return populate(self.seed, self.customers, self.share_identified)

    def truth(self) -> Truth:
        """The ground truth of the events yielded so far by the latest `events()`."""
        return self._truth

    def write_truth(self, path: Path) -> None:
        """Write the ground truth as JSON lines (see `Truth.write`)."""
        self._truth.write(path, self.people())

    def events(self) -> Iterator[SimulatedEvent]:
        """Yield all events in order of arrival. Begins anew, with a new truth, on each call."""
        truth = self._truth = Truth()
        course = _Course(self, self._run, truth)
        people = list(self.people())
        within = min(_FIRST_STORY_WITHIN, self.until - self.begin)
        starts = [(self.begin + int(course.rng.random() * within), index) for index in range(len(people))]
        heapify(starts)
        while starts:
            start, index = starts[0]
            if start > self.until:
                heappop(starts)
                continue
            yield from course.arrived(start)
            story = course.live(people[index], start)
            heapreplace(starts, (_next_start(story.clock, course.rng), index))
        yield from course.arrived(None)


class _Course:
    """One run through a simulation: chance, what is on its way, and the truth so far."""

    def __init__(self, simulation: Simulation, run: str, truth: Truth):
        self.rng = Random(f"events/{simulation.seed}/{run}")
        self._begin, self._until = simulation.begin, simulation.until
        self._run = run
        self._truth = truth
        self._ids = count(1)
        self._numbers = count()
        self._waiting: list[tuple[Micros, int, SimulatedEvent]] = []

    def arrived(self, until: Micros | None) -> Iterator[SimulatedEvent]:
        """Yield what has arrived by that instant (None: all that is left), and count it."""
        waiting, truth = self._waiting, self._truth
        while waiting and (until is None or waiting[0][0] <= until):
            event = heappop(waiting)[2]
            truth.fates[event.label] += 1
            truth.channels[event.channel] += 1
            if event.defect is not None:
                truth.defects[event.defect] += 1
            truth.last_arrival = event.arrives_at
            yield event

    def live(self, person: Person, start: Micros) -> Story:
        """Tell one story: send what happens by the end of the span, and keep the truth of it."""
        scenario, story = self._told(person, start)
        again = story.clock + (_MATTER_RESTS if story.is_settled else _TROUBLES_ADD_UP)
        person.quiet_until |= dict.fromkeys(story.reasons, again)
        if scenario.is_troubled:
            person.troubled_at = (*person.troubled_at, start)
        self._truth.scenarios[scenario.name] += 1
        for step in story.steps:
            if step.at <= self._until:
                for event in deliver(step, person.crm_id, self.rng, story.ref("X")):
                    heappush(self._waiting, (event.arrives_at, next(self._numbers), event))
        for planted in story.planted:
            if (trouble := self._true(planted, scenario.name, person.crm_id)) is not None:
                self._truth.troubles.append(trouble)
        return story

    def _told(self, person: Person, start: Micros) -> tuple[Scenario, Story]:
        """A story that is none of the person's others over again."""
        elapsed = (start - self._begin) / (self._until - self._begin)
        while True:
            story = Story(person, start, elapsed, self.rng, run=self._run, ids=self._ids)
            scenario = draw_scenario(person.habit, person.troubles_since(start - _TROUBLES_ADD_UP), self.rng)
            try:
                scenario.tell(story)
            except Repetition:
                continue
            return scenario, story

    def _true(self, planted: Planted, scenario: str, customer: str) -> Trouble | None:
        """The planted trouble as it stands at the end of the span; None when it has not come true by then."""
        evidence = [step for step in planted.evidence if step.at <= self._until]
        if len(evidence) < planted.needed or planted.since > self._until:
            return None
        solved = planted.resolved_by
        resolved_at = solved.at if solved is not None and solved.at <= self._until else None
        state: State = "withdrawn" if planted.withdrawn else "open" if resolved_at is None else "resolved"
        return Trouble(
            kind=planted.kind,
            scenario=scenario,
            customer=customer,
            since=planted.since,
            evidence=tuple(step.key for step in evidence),
            state=state,
            resolved_at=resolved_at,
            arrived_at=max(step.arrived_at for step in evidence),
            joined=all("crm_id" in step.event["customer"] for step in evidence),
        )


def _next_start(after: Micros, rng: Random) -> Micros:
    """When a customer's next story begins: mostly after more than a week of silence, sometimes sooner."""
    days = 8 + rng.expovariate(1 / 6) if rng.random() < 0.7 else 2 + 4 * rng.random()
    day = after + int(days * 86_400) * SECOND
    return max(waking_start(day, rng), after + SECOND)
