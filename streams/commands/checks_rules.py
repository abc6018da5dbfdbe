"""What `doctor` checks of rules: that those of the folder are valid, and that the workers accept what is published."""

from streams.catalogue.rule_files import RuleProblem, load_rules
from streams.catalogue.rule_sets import rules_folder
from streams.commands.candidate_rules import horizon_of
from streams.commands.checks import Check
from streams.commands.rules_in_force import InForce, broker_or_none
from streams.kafka.access import KafkaAccess
from streams.settings import Settings


def check_rules(settings: Settings, access: KafkaAccess) -> Check:
    """The configured folder against what the broker says is in force."""
    folder, horizon = rules_folder(settings.rules.directory), horizon_of(settings)
    force = broker_or_none(access, settings.kafka.prefix, horizon)
    try:
        version = load_rules(folder, horizon).version
    except RuleProblem as problem:
        found = f"refused, those in force stay: {problem.problems[0]}"
        return Check("rules", "warn", found, f"`touchline rules check {folder}` tells all that is wrong")
    return judge_rules(version, force)


def judge_rules(version: str, force: InForce | None) -> Check:
    """Whether the folder's set, of that version, is the one in force; a worker publishes it within seconds."""
    if force is None:
        return Check("rules", "ok", f"valid, version {version}; none were published yet")
    if force.refused:
        stays = f"those before stay, version {force.version}" if force.version else "none are in force"
        return Check(
            "rules",
            "warn",
            f"{stays}; refused as published last: {force.refused.splitlines()[0]}",
            "this version of Touchline is stricter than the one that published them: correct the folder of whoever did",
        )
    if force.version != version:
        return Check(
            "rules",
            "warn",
            f"version {force.version} is in force, the folder has {version}",
            "look again: when it stays so, another folder is configured for the workers, or none runs",
        )
    return Check("rules", "ok", f"in force, version {version}")
