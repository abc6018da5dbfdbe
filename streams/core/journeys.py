"""From a timeline to journeys: the pure function that live, replay and back-test share."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from schemas.interaction import Micros
from schemas.records import Journey
from schemas.vocabulary import CHANNELS, Channel
from streams.core.facets import effort_seconds, is_contact, known_outcome, subjects_of
from streams.core.policy import JourneyPolicy
from streams.core.timeline import CHANNEL_BITS, CONTACT, NOT_RESOLVED, RESOLVED, Step, Timeline

__all__ = [
    "Outcome",
    "add_up",
    "effort_seconds",
    "evaluate",
    "held_counts",
    "is_contact",
    "journey_id_of",
    "known_outcome",
    "subjects_of",
]


class Outcome(NamedTuple):
    """What is known of a customer at an instant.

    `journeys`: oldest first; together they hold every interaction of the timeline exactly once, in its order.
    `next_due`: the earliest instant at which the journeys would change with no new interaction, None if
    never.
    """

    journeys: tuple[Journey, ...]
    next_due: Micros | None


def journey_id_of(customer: str, source: str, id: str, key: bytes) -> str:  # noqa: A002 - the contract's own word
    """The id of the journey that begins with interaction `(source, id)`: 32 hexadecimal digits.

    BLAKE2b (RFC 7693) with a digest of 16 bytes and the `key` (`JourneyPolicy.id_key`; empty: none) over the UTF-8 of
    `LEN:customer LEN:source id` without the spaces, LEN being the number of characters in decimal; no two different
    triples are written alike.
    """
    text = f"{len(customer)}:{customer}{len(source)}:{source}{id}"
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()


def held_counts(journeys: Sequence[Journey], carried: Sequence[Journey]) -> list[int]:
    """How many steps of a timeline belong to each of its journeys; what is carried begins the first ones."""
    counts = [journey.interactions for journey in journeys]
    for index, earlier in enumerate(carried):
        counts[index] -= earlier.interactions
    return counts


def evaluate(timeline: Timeline, now: Micros, policy: JourneyPolicy) -> Outcome:
    """Cut a timeline into journeys, as they stand at `now`. Pure: same arguments, same outcome.

    Two interactions exactly `gap` apart belong to one journey. A journey is closed once `now` is strictly
    more than
    `gap` after its end, so an open one is due at `ended_at + gap + 1` microsecond.
    """
    customer, steps, carried = timeline
    gap = policy.gap
    journeys: list[Journey] = []
    continued: Journey | None = None
    if carried:
        journeys.extend(add_up(customer, earlier, (), now, policy) for earlier in carried[:-1])
        continued = carried[-1]
    start = 0
    ended = continued.ended_at if continued is not None else None
    for index, step in enumerate(steps):
        occurred_at = step.occurred_at
        if ended is not None and occurred_at - ended > gap:
            journeys.append(add_up(customer, continued, steps[start:index], now, policy))
            continued = None
            start = index
        ended = occurred_at
    if ended is not None:
        journeys.append(add_up(customer, continued, steps[start:] if start else steps, now, policy))
    next_due: Micros | None = None
    for journey in journeys:
        if not journey.closed:
            next_due = journey.ended_at + gap + 1
            break
    return Outcome(tuple(journeys), next_due)


def add_up(
    customer: str, earlier: Journey | None, steps: Sequence[Step], now: Micros, policy: JourneyPolicy
) -> Journey:
    """One journey: what it carried so far (`earlier`) and its held steps, added up in the timeline's order.

    The path keeps the latest `max_interactions` channels. Sums run from left to right, so that folding steps
    into `earlier` gives the same floating-point result as holding them.
    """
    if earlier is None:
        first = steps[0]
        journey_id = journey_id_of(customer, first.source, first.id, policy.id_key)
        started_at = first.occurred_at
        ended_at = started_at
        contacts = interactions = 0
        path: list[Channel] = []
        channels: list[Channel] = []
        subjects: tuple[str, ...] = ()
        waited: float | None = None
        effort: float | None = None
        transfers: int | None = None
        outcome = 0
    else:
        journey_id = earlier.journey_id
        started_at = earlier.started_at
        ended_at = earlier.ended_at
        contacts = earlier.contacts
        interactions = earlier.interactions
        path = list(earlier.path)
        channels = list(earlier.channels)
        subjects = earlier.subjects
        waited = earlier.wait_seconds
        effort = earlier.effort_seconds
        transfers = earlier.transfers
        outcome = 0 if earlier.resolved is None else (RESOLVED if earlier.resolved else NOT_RESOLVED)
    named: set[str] | None = None
    for step in steps:
        traits = step.traits
        channel = CHANNELS[traits & CHANNEL_BITS]
        path.append(channel)
        if channel not in channels:
            channels.append(channel)
        if traits > CHANNEL_BITS:
            if traits & CONTACT:
                contacts += 1
            if traits > CONTACT | CHANNEL_BITS:
                outcome = traits
        seconds = step.effort_seconds
        if seconds is not None:
            effort = seconds if effort is None else effort + seconds
            seconds = step.wait_seconds
            if seconds is not None:
                waited = seconds if waited is None else waited + seconds
        count = step.transfers
        if count is not None:
            transfers = count if transfers is None else transfers + count
        about = step.subjects
        if about:
            if named is None:
                named = set(about)
            else:
                named.update(about)
    if steps:
        ended_at = steps[-1].occurred_at
        interactions += len(steps)
    if named is not None:
        named.update(subjects)
        if len(named) > len(subjects):
            subjects = tuple(sorted(named))
    resolved = None
    if outcome:
        resolved = outcome & RESOLVED != 0
    if len(path) > policy.max_interactions:
        del path[: -policy.max_interactions]
    return Journey(
        journey_id,
        customer,
        started_at,
        ended_at,
        now - ended_at > policy.gap,
        interactions,
        contacts,
        tuple(path),
        tuple(channels),
        subjects,
        waited,
        transfers,
        effort,
        resolved,
        None if resolved is None else resolved and contacts == 1,
        interactions - len(path),
    )
