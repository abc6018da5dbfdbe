"""Rule sets that a command is given: a file or a folder, whole or not at all."""

from datetime import timedelta
from pathlib import Path

from schemas.interaction import Micros
from streams.catalogue.rule_files import RuleProblem, compile_files, read_rules, rule_files
from streams.commands.failures import CommandFailed
from streams.core.detection.ruleset import RuleSet
from streams.settings import Settings


def horizon_of(settings: Settings) -> Micros:
    """The horizon that rules are compiled with: it is part of what they mean."""
    return settings.journeys.horizon // timedelta(microseconds=1)


def files_of(path: Path) -> list[Path]:
    """The rule files that a path means: itself, or those of a folder; raises `CommandFailed` without any."""
    if not path.is_dir():
        return [path]
    try:
        files = rule_files(path)
    except RuleProblem as problem:
        raise CommandFailed(str(problem), "let this user read it, or name another folder") from None
    if not files:
        raise CommandFailed(
            f"{path}: no rule files (*.yaml) in this folder", "name a rule file, or another folder"
        )
    return files


def candidate(path: Path, horizon: Micros) -> RuleSet:
    """The enabled rules of a file or a folder, compiled; raises `CommandFailed` with every problem, file and line."""
    try:
        rules = compile_files(read_rules(files_of(path)), horizon)
    except RuleProblem as problem:
        raise CommandFailed(str(problem), f"`touchline rules check {path}` checks them again") from None
    if not rules.rules:
        raise CommandFailed(f"{path}: no enabled rule", "remove `enabled: false`, or name another file")
    return rules
