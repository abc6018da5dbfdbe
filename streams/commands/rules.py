"""`touchline rules`: check rule files, list them, try them on history."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from schemas.findings import SEVERITIES
from streams.catalogue.rule_files import RuleProblem, compile_files, read_rules, rule_files
from streams.catalogue.rule_fixtures import FixtureError, Result, run_fixtures
from streams.catalogue.rule_sets import rules_folder
from streams.commands.backtesting import backtest, diff
from streams.commands.candidate_rules import files_of, horizon_of
from streams.commands.columns import table
from streams.commands.failures import CommandFailed, NotAsExpected
from streams.commands.options import print_json
from streams.commands.rules_in_force import InForce, broker_or_none, found_by
from streams.commands.servers import locate
from streams.core.detection.rule import RuleFile
from streams.core.detection.ruleset import version_of
from streams.settings import Settings, load_settings


@click.group()
def rules() -> None:
    """See the rules, check them, and try them on history before they are in force.

    One file is one rule. Workers watch the folder of TOUCHLINE_RULES__DIRECTORY and change over when all of its files
    are valid; a set that is not is refused and the one before stays in force.
    """


rules.add_command(backtest)
rules.add_command(diff)


class Checked(NamedTuple):
    """One rule file: what is wrong with it, and how its fixtures went."""

    file: Path
    rule: RuleFile | None
    problems: tuple[str, ...]
    stories: tuple[Result, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and all(story.passed for story in self.stories)

    def complaints(self) -> Iterator[str]:
        """Each problem as one line."""
        yield from self.problems
        for story in self.stories:
            if not story.passed:
                yield f"{self.file}: fixture {story.file}, {story.story!r}: {story.problem}"


@rules.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(paths: tuple[Path, ...], as_json: bool) -> None:
    """Validate rule files and play their fixtures; exit status 1 when anything is wrong.

    PATHS are files or folders; default: the configured folder, else the catalogue that ships. Fixtures are looked for
    in `fixtures/RULE/*.yaml` beside the rule's file, and played together with the other rules of its folder.
    """
    settings = load_settings()
    files = list(
        dict.fromkeys(
            file for path in paths or (rules_folder(settings.rules.directory),) for file in files_of(path)
        )
    )
    checked = check_files(files, horizon_of(settings))
    valid = all(one.valid for one in checked)
    if as_json:
        print_json({"valid": valid, "files": [_checked(one) for one in checked]})
    else:
        for one in checked:
            for complaint in one.complaints():
                click.echo(complaint)
        wrong = sum(not one.valid for one in checked)
        played = sum(len(one.stories) for one in checked)
        without = [one.rule.id for one in checked if one.rule is not None and not one.stories]
        if without:
            click.echo(f"without fixtures: {', '.join(without)}")
        verdict = f"{counted(wrong, 'file')} with problems" if wrong else "all good"
        click.echo(f"{counted(len(checked), 'file')}, {counted(played, 'fixture')}: {verdict}")
    if not valid:
        raise NotAsExpected


def check_files(files: Sequence[Path], horizon: int) -> list[Checked]:
    """Check files, each with its fixtures. Two with the same id are a problem of the later one."""
    checked: list[Checked] = []
    homes: dict[str, Path] = {}
    for file in files:
        try:
            (rule,) = read_rules([file])
        except RuleProblem as problem:
            checked.append(Checked(file, None, problem.problems))
            continue
        if rule.id in homes:
            problem_line = (
                f"{file}:1: id: {homes[rule.id]} is called {rule.id!r} already; give each rule its own"
            )
            checked.append(Checked(file, rule, (problem_line,)))
            continue
        homes[rule.id] = file
        checked.append(_played(file, rule, horizon))
    return checked


def _played(file: Path, rule: RuleFile, horizon: int) -> Checked:
    """Play a rule's fixtures among the rules of its folder, also when it is not enabled."""
    company = [one for one in _neighbours(file) if one.id != rule.id]
    rule_set = compile_files([*company, rule.model_copy(update={"enabled": True})], horizon)
    try:
        return Checked(file, rule, (), tuple(run_fixtures(rule.id, rule_set, file.parent / "fixtures")))
    except FixtureError as error:
        return Checked(file, rule, (str(error),))


def _neighbours(file: Path) -> Iterator[RuleFile]:
    """The rules of the file's folder that are valid; of the others their own check tells."""
    known: set[str] = set()
    for other in rule_files(file.parent):
        try:
            (rule,) = read_rules([other])
        except RuleProblem:
            continue
        if rule.id not in known:
            known.add(rule.id)
            yield rule


def _checked(one: Checked) -> dict[str, Any]:
    return {
        "file": str(one.file),
        "rule": None if one.rule is None else one.rule.id,
        "rule_version": None if one.rule is None else version_of(one.rule),
        "valid": one.valid,
        "problems": list(one.problems),
        "fixtures": [
            {
                "file": story.file,
                "story": story.story,
                "passed": story.passed,
                "problem": story.problem or None,
            }
            for story in one.stories
        ],
    }


@rules.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_command(as_json: bool) -> None:
    """List the rules of the configured folder, and which versions the workers have in force.

    What is in force is known from the broker or from ClickHouse when they are there; nothing is started to ask.
    """
    settings = load_settings()
    folder = rules_folder(settings.rules.directory)
    horizon = horizon_of(settings)
    files = files_of(folder)
    try:
        found = read_rules(files)
        rule_set = compile_files(found, horizon)
    except RuleProblem as problem:
        raise CommandFailed(str(problem), f"`touchline rules check {folder}` checks them again") from None
    force = in_force(settings, horizon)
    listed = [_listed(file, rule, force) for file, rule in zip(files, found, strict=True)]
    strangers = sorted(force.versions.keys() - {rule.id for rule in found}) if force is not None else []
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "version": rule_set.version,
                "in_force": None if force is None else force.document(),
                "rules": listed,
                "in_force_only": strangers,
            }
        )
        return
    for line in table(
        ("rule", "severity", "version", "in force", "title"),
        [
            (
                one["rule"] + ("" if one["enabled"] else " (off)"),
                ", ".join(one["severities"]),
                one["rule_version"],
                told_of(one, force),
                one["title"],
            )
            for one in listed
        ],
    ):
        click.echo(line)
    click.echo("")
    click.echo(f"{counted(len(listed), 'rule')} in {folder}, version {rule_set.version}")
    click.echo(about_force(force, rule_set.version))
    if force is not None and force.refused:
        click.echo(f"refused by the workers: {force.refused}")
    if strangers:
        click.echo(f"in force and not in this folder: {', '.join(strangers)}")


def _listed(file: Path, rule: RuleFile, force: InForce | None) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "title": rule.title,
        "severities": _severities(rule),
        "rule_version": version_of(rule),
        "enabled": rule.enabled,
        "file": str(file),
        "in_force": None if force is None else force.versions.get(rule.id),
    }


def told_of(listed: dict[str, Any], force: InForce | None) -> str:
    """The version in force of a listed rule in a word: `yes` where it is the listed one."""
    if force is None:
        return ""
    if listed["in_force"] == listed["rule_version"]:
        return "yes"
    absent = "" if force.version is None and not force.refused else "no"
    return listed["in_force"] or absent


def counted(number: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _severities(rule: RuleFile) -> list[str]:
    """What a rule can raise, mildest first."""
    told: set[str] = set()
    for case in rule.stands_when:
        document = case.model_dump()
        levels = document.get("levels") or []
        told.update([level["severity"] for level in levels] or [case.severity])
        for graver in ("worse", "from_excess"):
            if document.get(graver):
                told.add(document[graver]["severity"])
    return [severity for severity in SEVERITIES if severity in told]


def about_force(force: InForce | None, version: str) -> str:
    """What is in force, against the version of the folder's set."""
    if force is None:
        return "in force: not known (no broker and no ClickHouse here has any rules or findings)"
    if force.refused and not force.versions:
        return f"in force: none ({force.source})"
    if force.version is None:
        return f"in force: known from {force.source} only"
    same = "the same set" if force.version == version else f"another set, version {force.version}"
    return f"in force: {same} ({force.source})"


def in_force(settings: Settings, horizon: int) -> InForce | None:
    """What is in force, from what runs or is configured; None where nothing tells."""
    found = locate(settings)
    force = broker_or_none(found.kafka, settings.kafka.prefix, horizon)
    if force is not None or found.clickhouse is None:
        return force
    from clickhouse_driver.errors import Error

    from sinks.clickhouse.client import connect

    client = connect(found.clickhouse)
    try:
        return found_by(client)
    except (Error, OSError, EOFError):
        return None
    finally:
        client.disconnect()
