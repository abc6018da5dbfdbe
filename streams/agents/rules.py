"""Hot reload: the one worker that is in charge tells all partitions which rules are in force.

In charge is who owns the first raw partition. It looks at its rules folder; when that has changed and validates,
the set goes as a control record to every partition of the interactions topic. A set that does not validate is refused
with file, line and field, and the one before stays in force.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer

from schemas.interaction import Micros
from schemas.rule_sets import RULES_KEY, encode_rules
from streams.kafka.delivery import deliver
from streams.rule_files import RuleProblem
from streams.rule_sets import read_folder, signature

log = logging.getLogger(__name__)


class RulesPublisher:
    """Publishes the rules of a folder while in charge. `look` is called every few seconds."""

    def __init__(
        self,
        folder: Path,
        horizon: Micros,
        producer: Callable[[], AIOKafkaProducer],
        topic: str,
        partitions: Sequence[int],
    ) -> None:
        self._folder = folder
        self._horizon = horizon
        self._producer = producer
        self._topic = topic
        self._partitions = partitions
        self._seen: object = None
        self._published = ""

    async def look(self, in_charge: bool) -> None:
        """Publish when in charge and the folder differs from what this worker published last."""
        if not in_charge:
            # Whoever is in charge now may publish others: be ready to publish ours again.
            self._seen, self._published = None, ""
            return
        seen = await asyncio.to_thread(signature, self._folder)
        if seen == self._seen:
            return
        try:
            rules = await asyncio.to_thread(read_folder, self._folder, self._horizon)
        except RuleProblem as problem:
            self._seen = seen
            log.error("rules refused, those in force stay: %s", problem)
            return
        if rules.version != self._published:
            value = encode_rules(rules)
            await asyncio.gather(
                *(
                    deliver(self._producer(), self._topic, partition, [(RULES_KEY, value)])
                    for partition in self._partitions
                )
            )
            log.info("rules published: version %s, %d files", rules.version, len(rules.files))
        self._seen, self._published = seen, rules.version
