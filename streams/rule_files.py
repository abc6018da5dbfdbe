"""Reading the catalogue: rule files (YAML) to a rule set. The only input of detection that is not an argument.

Errors name file, line and field: `rules/overcharge.yaml:12: stands_when.0.within: write a duration such as 7d`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from schemas.interaction import DAY, Micros
from streams.civil_time import UnknownCountry, UnknownZone, holidays_of, zone_of
from streams.core.detection.calendars import Calendar
from streams.core.detection.rule import CalendarFile, RuleFile, parse_rule
from streams.core.detection.ruleset import RuleSet, compile_rules

CATALOGUE: Final = Path(__file__).parent / "rules"
"""The rules that ship."""


class RuleProblem(ValueError):
    """What is wrong with rule files, one line a problem; a set with a problem is refused whole."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load_rules(folder: Path = CATALOGUE, horizon: Micros = 30 * DAY) -> RuleSet:
    """Read every `*.yaml` of a folder and compile the enabled rules; raises `RuleProblem` with all problems."""
    if not folder.is_dir():
        raise RuleProblem([f"{folder}: no such folder; give the folder that holds the rule files"])
    return compile_files(read_rules(sorted(folder.glob("*.yaml"))), horizon)


def compile_files(rules: Iterable[RuleFile], horizon: Micros = 30 * DAY) -> RuleSet:
    """Compile rules with the time zones and holidays of this machine's tables."""
    return compile_rules(list(rules), calendar_of, horizon)


def read_rules(files: Sequence[Path]) -> list[RuleFile]:
    """Read rule files; raises `RuleProblem` with the problems of all of them."""
    rules: list[RuleFile] = []
    problems: list[str] = []
    homes: dict[str, Path] = {}
    for file in files:
        try:
            rule = read_rule(file.read_text("utf-8"), str(file))
        except RuleProblem as problem:
            problems.extend(problem.problems)
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: cannot be read: {error}")
            continue
        if rule.id in homes:
            problems.append(
                f"{file}: id: {homes[rule.id]} is called {rule.id!r} already; give each rule its own"
            )
        homes[rule.id] = file
        rules.append(rule)
    if problems:
        raise RuleProblem(problems)
    return rules


def read_rule(text: str, name: str) -> RuleFile:
    """One rule from the text of its file; `name` is the file's, for the errors. Raises `RuleProblem`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = load_yaml(text)
    except yaml.YAMLError as error:
        raise RuleProblem([_unreadable(error, name)]) from None
    if not isinstance(node, yaml.MappingNode) or not isinstance(data, dict):
        raise RuleProblem([f"{name}:1: a rule file is a mapping that begins with id: ..."])
    try:
        rule = parse_rule(data)
    except ValidationError as error:
        raise RuleProblem([_problem(name, node, problem) for problem in error.errors()]) from None
    try:
        calendar_of(rule.calendar)
    except (UnknownZone, UnknownCountry) as error:
        field = "zone" if isinstance(error, UnknownZone) else "country"
        line = line_of(node, ("calendar", field))
        raise RuleProblem([f"{name}:{line}: calendar.{field}: {error}"]) from None
    return rule


def calendar_of(file: CalendarFile) -> Calendar:
    """The calendar that a file describes; raises `UnknownZone` or `UnknownCountry`."""
    return _calendar(file.zone, file.blocks(), file.country, file.subdivision, tuple(sorted(file.holidays)))


@lru_cache(maxsize=64)
def _calendar(
    zone: str,
    week: tuple[tuple[tuple[int, int], ...], ...],
    country: str | None,
    subdivision: str | None,
    dates: tuple[str, ...],
) -> Calendar:
    return Calendar(week, zone_of(zone), holidays_of(country, subdivision, dates))


class _Loader(yaml.SafeLoader):
    """YAML as people mean it in a rule file: an entry given twice is an error, dates and times stay text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is given twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """A YAML document with the rules of `_Loader`; raises `yaml.YAMLError`."""
    return yaml.load(text, Loader=_Loader)


def _unreadable(error: yaml.YAMLError, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else 1
    return f"{name}:{line}: {getattr(error, 'problem', None) or error}"


def _problem(name: str, node: yaml.MappingNode, problem: Mapping[str, Any]) -> str:
    path = (*problem["loc"], *problem.get("ctx", {}).get("path", ()))
    known, line = _follow(node, path)
    where = ".".join(map(str, known)) or str(path[-1] if path else "rule")
    if problem["type"] == "missing":
        where = ".".join(map(str, (*known, path[-1])))
        return f"{name}:{line}: {where}: is missing"
    if problem["type"] == "extra_forbidden":
        return f"{name}:{line}: {where}: there is no such entry"
    return f"{name}:{line}: {where}: {problem['msg']}"


def line_of(node: yaml.Node, path: Sequence[str | int]) -> int:
    """The line of the entry at a path, or of the nearest one above it; the first line is 1."""
    return _follow(node, path)[1]


def _follow(node: yaml.Node, path: Sequence[str | int]) -> tuple[list[str | int], int]:
    """As much of a path as the document has, and the line there; parts that it has not (a union's tag) are
    skipped.
    """
    line = node.start_mark.line + 1
    known: list[str | int] = []
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    node, line = value, key.start_mark.line + 1
                    known.append(part)
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
            known.append(part)
    return known, line
