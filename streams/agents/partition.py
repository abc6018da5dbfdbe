"""One partition's live state in one generation of the group."""

from collections.abc import Iterable

from schemas.rule_sets import RULES_KEY
from streams.agents.agenda import Agenda
from streams.agents.clocks import CLOCK_KEY, load_clock
from streams.agents.custody import Custody, Knowledge
from streams.agents.erasing import Erasing
from streams.agents.owed import OWED_KEYS, Debts
from streams.agents.register import Register
from streams.agents.reserved import (
    ERASURES_KEY,
    IDENTITIES_KEY,
    INTENT_KEY,
    dump_written,
    is_customers,
    load_intent,
    load_limits,
    load_position,
)
from streams.core.batch import BatchResult
from streams.core.state import next_due
from streams.kafka.store import State


class PartitionState:
    """Timelines, agenda, clock, the rules in force; what is to be judged and told of identity.

    It begins with a control record of its own in the partition, at the offset `term`: all that is written counts as
    later than what an owner before wrote. A batch that fails leaves it unusable (its due customers are off the agenda);
    that only happens when the partition is fenced, and then the next generation builds it anew.
    """

    def __init__(
        self,
        number: int,
        generation: int,
        timelines: State,
        sources: Iterable[str],
        *,
        knowledge: Knowledge,
        partitions: int,
        term: int,
    ) -> None:
        self.generation = generation
        self.timelines = timelines
        self.term = term
        self.agenda = Agenda(
            (due, key)
            for key, state in timelines.items()
            if is_customers(key) and (due := next_due(state)) is not None
        )
        self.clock = load_clock(timelines.get(CLOCK_KEY), sources)
        self.rules = timelines.get(RULES_KEY)
        self.custody = Custody(timelines, knowledge)
        self.intent = frozenset(load_intent(timelines.get(INTENT_KEY)))
        """Who was about to lose interactions when an owner before died: written again until `term` is read past."""
        self.named_at = 0
        """What the sender knew whose records are being read; before the first control record of one, nothing."""
        told = timelines.get(IDENTITIES_KEY)
        self.register = Register(number, partitions, knowledge, load_position(told), load_limits(told))
        self.debts = Debts(key for key in OWED_KEYS if key in timelines)
        self.erasing = Erasing(timelines, knowledge, load_position(timelines.get(ERASURES_KEY)))

    def adopt(self, rules: bytes) -> None:
        """From now on these rules are in force: every customer is to be looked at again."""
        self.rules = rules
        for key in self.timelines:
            if is_customers(key):
                self.agenda.put(key, 0)

    def noted(self, result: BatchResult) -> None:
        """The states of a step are stored: when its customers are due, and what they hold."""
        for key, due in result.due.items():
            self.agenda.put(key, due)
        self.custody.hold(result.marks)

    def position_to_store(self) -> dict[bytes, bytes | None]:
        """Where the next owner's register shall begin, if that is not what is stored."""
        register, stored = self.register, self.timelines.get(IDENTITIES_KEY)
        if stored is None and not register.written_to:
            return {}
        position = dump_written(register.written_to, register.written_under)
        return {} if position == stored else {IDENTITIES_KEY: position}

    def store(self, changes: dict[bytes, bytes | None]) -> None:
        """What is in the changelog now."""
        timelines = self.timelines
        for key, value in changes.items():
            if value is None:
                timelines.pop(key, None)
            else:
                timelines[key] = value
        self.debts.stored(changes)
