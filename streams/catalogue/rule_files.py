"""Reading the catalogue: rule files (YAML) to a rule set. The only input of detection that is not an argument.

Errors name file, line and field: `rules/overcharge.yaml:12: stands_when.0.within: write a duration such as 7d`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml
from pydantic import ValidationError

from schemas.interaction import DAY, Micros
from streams.catalogue.civil_time import UnknownCountry, UnknownZone, holidays_of, zone_of
from streams.core.detection.calendars import Calendar
from streams.core.detection.rule import RuleFile, parse_rule
from streams.core.detection.rule_calendar import CalendarFile
from streams.core.detection.ruleset import RuleSet, compile_rules

CATALOGUE: Final = Path(__file__).parents[1] / "rules"
"""The rules that ship."""

_LEFTOVERS: Final = (".", "#", "~")
"""How names of files begin that are no rule files: hidden ones, locks and autosaves of editors."""


class Unreadable(NamedTuple):
    """Why a file cannot be read."""

    why: str
    is_gone: bool


class RuleProblem(ValueError):
    """What is wrong with rule files, one line a problem; a set with a problem is refused whole."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder in the order of their names: its `*.yaml`, less hidden files and what editors leave
    beside a file that they have open. Raises `RuleProblem` where the folder is none, or cannot be listed.
    """
    if not folder.is_dir():
        raise RuleProblem([f"{folder}: no such folder; give the folder that holds the rule files"])
    try:
        names = [file.name for file in folder.iterdir()]
    except OSError as error:
        raise RuleProblem([f"{folder}: cannot be read: {error.strerror}"]) from None
    return [
        folder / name for name in sorted(names) if name.endswith(".yaml") and not name.startswith(_LEFTOVERS)
    ]


def load_rules(folder: Path = CATALOGUE, horizon: Micros = 30 * DAY) -> RuleSet:
    """Read every rule file of a folder and compile the enabled rules; raises `RuleProblem` with all problems."""
    return compile_files(read_rules(rule_files(folder)), horizon)


def compile_files(rules: Iterable[RuleFile], horizon: Micros = 30 * DAY) -> RuleSet:
    """Compile rules with the time zones and holidays of this machine's tables."""
    return compile_rules(list(rules), calendar_of, horizon)


def read_rules(files: Sequence[Path]) -> list[RuleFile]:
    """Read rule files; raises `RuleProblem` with the problems of all of them."""
    return parse_rules({str(file): content_of(file) for file in files})


def content_of(file: Path) -> "bytes | Unreadable":
    """What a file holds, or why it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        return Unreadable(error.strerror or str(error), isinstance(error, FileNotFoundError))


def parse_rules(files: Mapping[str, "bytes | Unreadable"]) -> list[RuleFile]:
    """The rules of files, by the names that errors give them; raises `RuleProblem` with the problems of all of them."""
    rules: list[RuleFile] = []
    problems: list[str] = []
    homes: dict[str, str] = {}
    for name, content in files.items():
        try:
            rule = read_rule(_text(content, name), name)
        except RuleProblem as problem:
            problems.extend(problem.problems)
            continue
        if rule.id in homes:
            line = _line_of_id(_text(content, name))
            problems.append(
                f"{name}:{line}: id: {homes[rule.id]} is called {rule.id!r} already; give each rule its own"
            )
        homes[rule.id] = name
        rules.append(rule)
    if problems:
        raise RuleProblem(problems)
    return rules


def _text(content: bytes | Unreadable, name: str) -> str:
    if isinstance(content, Unreadable):
        raise RuleProblem([f"{name}: cannot be read: {content.why}"])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RuleProblem(
            [f"{name}:{line}: is not text in UTF-8: {error.reason}; save it as UTF-8"]
        ) from None


def read_rule(text: str, name: str) -> RuleFile:
    """One rule from the text of its file; `name` is the file's, for the errors. Raises `RuleProblem`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = load_yaml(text)
    except yaml.YAMLError as error:
        raise RuleProblem([_unreadable(error, name, text)]) from None
    except RecursionError:
        raise RuleProblem([f"{name}: is nested too deeply to be a rule"]) from None
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

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError) as error:  # `!!int x`, a number of 5,000 digits
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "the name of an entry is text", key.start_mark
                )
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


def _unreadable(error: yaml.YAMLError, name: str, text: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{name}:{line}: the character U+{error.character:04X} cannot stand here; take it out"
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


def _line_of_id(text: str) -> int:
    node = yaml.compose(text, Loader=_Loader)
    return 1 if node is None else line_of(node, ("id",))


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
