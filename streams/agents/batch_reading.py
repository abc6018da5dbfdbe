"""What a batch of the interactions topic says: interactions, and the control records among them."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas.interaction import CONTROL_KEY, Interaction, decode_interaction, decode_watermarks
from schemas.records import DeadLetter
from schemas.rule_sets import RULES_KEY
from streams.agents.partition import PartitionState
from streams.agents.refusals import dead_letter_of
from streams.core.watermarks import PartitionClock


class Told(NamedTuple):
    """What a batch says, read record by record; `foreign` are records that are not ours."""

    interactions: list[Interaction]
    foreign: list[DeadLetter]
    clock: PartitionClock
    rules: list[bytes]
    """Other rules, in the order in which they are to come into force."""
    links_seen: int
    """The most that any sender knew."""
    named_at: int
    """The least that a sender of these interactions knew."""
    named_at_end: int


def told_by(records: Sequence[ConsumerRecord], partition: PartitionState) -> Told:
    """Read a batch. Interactions were named by what the control record before them says: whoever sends them puts one
    in front, and nobody else's come between.
    """
    clock = partition.clock
    rules: list[bytes] = []
    interactions: list[Interaction] = []
    foreign: list[DeadLetter] = []
    links_seen, position = 0, partition.named_at
    named_at = position
    for record in records:
        if record.key == RULES_KEY:
            if record.value is not None:
                rules.append(record.value)
            continue
        try:
            if record.key != CONTROL_KEY:
                interactions.append(decode_interaction(record.value))
                continue
            report = decode_watermarks(record.value)
        except (msgspec.DecodeError, TypeError) as error:
            why, now = f"not a record that Touchline wrote: {error}", time.time_ns() // 1000
            foreign.append(dead_letter_of(record, "decode", "foreign", why, now))
            continue
        links_seen = max(links_seen, report.links_seen)
        if report.marks:
            clock = clock.after(report)
        else:
            position = report.links_seen
            named_at = min(named_at, position)
    return Told(interactions, foreign, clock, rules, links_seen, named_at, position)
