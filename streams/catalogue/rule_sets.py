"""Rule sets on their way: from a folder to a record on Kafka, and from the record to compiled rules."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from schemas.interaction import Micros
from schemas.rule_sets import RuleFiles, decode_rules, encode_rules
from streams.catalogue.rule_files import (
    CATALOGUE,
    RuleProblem,
    Unreadable,
    compile_files,
    content_of,
    parse_rules,
    rule_files,
)
from streams.core.detection.ruleset import RuleSet

FileContents = Mapping[str, bytes | Unreadable]
"""What each rule file holds, by its path in the order of names."""

NO_RULES: Final = encode_rules(RuleFiles("none", {}))
"""The record of a set without any rules."""


def rules_folder(configured: Path | None) -> Path:
    """Where the rule files are: the configured folder, else the catalogue that ships."""
    return configured or CATALOGUE


def read_folder(folder: Path, horizon: Micros) -> RuleFiles:
    """The rule files of a folder, validated together; raises `RuleProblem` with every problem."""
    return validated(read_contents(folder), horizon)


def read_contents(folder: Path) -> FileContents:
    """What stands in the rule files of a folder, each read once; raises `RuleProblem` where that is no folder.

    A file that vanishes on the way is none. One that cannot be read is in the way of the whole set.
    """
    contents = {file: content_of(file) for file in rule_files(folder)}
    return {
        str(file): content
        for file, content in contents.items()
        # A link that leads nowhere has not vanished.
        if not (isinstance(content, Unreadable) and content.is_gone and not file.is_symlink())
    }


def validated(contents: FileContents, horizon: Micros) -> RuleFiles:
    """The very contents, to be published, once all of them are valid together; raises `RuleProblem` if they are not."""
    rules = compile_files(parse_rules(contents), horizon)
    texts = {
        Path(file).name: content.decode() for file, content in contents.items() if isinstance(content, bytes)
    }
    return RuleFiles(rules.version, texts)


@lru_cache(maxsize=8)
def compile_record(value: bytes, horizon: Micros) -> RuleSet:
    """Compile the rules of a control record. All partitions of a worker share one compiled set.

    Raises `RuleProblem` where this version of Touchline refuses the record. It does so by the record alone, so that all
    workers, and whoever reads the log again, decide alike.
    """
    try:
        files = decode_rules(value).files
    except msgspec.DecodeError as error:
        raise RuleProblem([f"not a record of rules that this version can read: {error}"]) from None
    return compile_files(parse_rules({name: text.encode() for name, text in sorted(files.items())}), horizon)


def told_version(value: bytes) -> str:
    """The version of the set in a control record as whoever published it says, also where it is refused."""
    try:
        return decode_rules(value).version
    except msgspec.DecodeError:
        return "unknown"
