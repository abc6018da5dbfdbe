"""Rule sets on their way: from a folder to a record on Kafka, and from the record to compiled rules."""

from functools import lru_cache
from pathlib import Path

from schemas.interaction import Micros
from schemas.rule_sets import RuleFiles, decode_rules
from streams.core.detection.ruleset import RuleSet
from streams.rule_files import CATALOGUE, compile_files, load_rules, read_rule


def rules_folder(configured: Path | None) -> Path:
    """Where the rule files are: the configured folder, else the catalogue that ships."""
    return configured or CATALOGUE


def read_folder(folder: Path, horizon: Micros) -> RuleFiles:
    """The rule files of a folder, validated together; raises `RuleProblem` with every problem."""
    rules = load_rules(folder, horizon)
    files = {file.name: file.read_text("utf-8") for file in sorted(folder.glob("*.yaml"))}
    return RuleFiles(rules.version, files)


@lru_cache(maxsize=8)
def compile_record(value: bytes, horizon: Micros) -> RuleSet:
    """Compile the rules of a control record. All partitions of a worker share one compiled set."""
    files = decode_rules(value).files
    return compile_files([read_rule(text, name) for name, text in sorted(files.items())], horizon)


def signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a rule file is added, removed or written: names, sizes and times; cheap to ask often."""
    return tuple(
        (file.name, stat.st_size, stat.st_mtime_ns)
        for file in sorted(folder.glob("*.yaml"))
        for stat in (file.stat(),)
    )
