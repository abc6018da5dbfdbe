"""Hot reload: the one worker that is in charge tells all partitions which rules are in force.

In charge is who owns the first raw partition. It looks at its rules folder; when that has changed and validates,
the set goes as a control record to every partition of the interactions topic. A set that does not validate is refused
with file, line and field, and the one before stays in force.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.interaction import Micros
from schemas.rule_sets import RULES_KEY, RuleFiles, encode_rules
from streams.catalogue.rule_files import RuleProblem, Unreadable
from streams.catalogue.rule_sets import FileContents, read_contents, validated
from streams.kafka.delivery import deliver

log = logging.getLogger(__name__)

_NO_FOLDER: Final[FileContents] = {"": Unreadable("no folder", is_gone=True)}


class RulesPublisher:
    """Publishes the rules of a folder while in charge. `look` is called every second."""

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
        self._forget()

    def _forget(self) -> None:
        self._seen: FileContents | None = None
        """What the last look saw."""
        self._judged: FileContents | None = None
        """What was published or refused last: nothing is to be done while the folder is like that."""
        self._published = ""
        self._hindrance = ""
        """What is in the way of publishing at all, and was logged."""

    async def look(self, in_charge: bool) -> None:
        """Publish when in charge and the folder differs from what this worker published last.

        A folder that is another than at the look before is left alone until the next one: somebody is writing there,
        and half of a set may be valid. What is wrong with folder or broker does not go up: it is logged once, and
        looked at again.
        """
        if not in_charge:
            # Whoever is in charge now may publish others: be ready to publish ours again.
            self._forget()
            return
        try:
            contents = await asyncio.to_thread(read_contents, self._folder)
        except RuleProblem as problem:
            self._seen, self._judged = _NO_FOLDER, None
            self._hindered(f"rules refused, those in force stay: {problem}")
            return
        is_at_rest = self._seen in (None, contents)
        self._seen = contents
        if not is_at_rest or contents == self._judged:
            return
        try:
            rules = await asyncio.to_thread(validated, contents, self._horizon)
        except RuleProblem as problem:
            self._judged = contents
            log.error("rules refused, those in force stay: %s", problem)
            return
        if rules.version == self._published:
            log.info("the rules of the folder are those in force: version %s", rules.version)
        else:
            try:
                await self._publish(rules)
            except KafkaError as error:
                self._hindered(f"rules not published, tried again until they are: {error!r}")
                return
            log.info("rules published: version %s, %d files", rules.version, len(rules.files))
        self._judged, self._published, self._hindrance = contents, rules.version, ""

    async def _publish(self, rules: RuleFiles) -> None:
        """To all partitions; raises `KafkaError`, and then some may have it. Having it twice changes nothing."""
        record = RULES_KEY, encode_rules(rules)
        results = await asyncio.gather(
            *(deliver(self._producer(), self._topic, number, [record]) for number in self._partitions),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _hindered(self, by: str) -> None:
        if by != self._hindrance:
            log.error("%s", by)
        self._hindrance = by
