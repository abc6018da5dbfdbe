"""Fixtures of rules: stories in YAML, played through the same core as live events.

`rules/fixtures/<rule>/*.yaml` hold lists of stories: `story` (what it shows), then `events`, `now` and `expect`, or
several such `steps`, where events of a later step arrive later and `expect` is what stands after it, including what
it withdrew. An event is written as in the contract, with `is` for channel, type and direction (`call`, `mail`, ...),
`at` for `occurred_at`, the source named after the channel and the customer `{crm_id: ann}` unless given. An expectation
names the fields of the finding that matter (`anchor`, `evidence`, `counterfactual` and `cause` by interaction ids).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from schemas.codec import Decoder
from schemas.findings import Finding, FindingChange
from schemas.interaction import DAY, Interaction, Micros
from schemas.timestamps import format_timestamp, parse_timestamp
from streams.catalogue.rule_files import CATALOGUE, load_yaml
from streams.core.detection.detect import detect
from streams.core.detection.lifecycle import transition
from streams.core.detection.ruleset import RuleSet
from streams.core.identity import customer_of

FIXTURES: Final = CATALOGUE / "fixtures"

KINDS: Final[dict[str, dict[str, str]]] = {
    "call": {"channel": "phone", "type": "call", "direction": "inbound"},
    "outbound_call": {"channel": "phone", "type": "call", "direction": "outbound"},
    "sms": {"channel": "phone", "type": "sms", "direction": "inbound"},
    "mail": {"channel": "email", "type": "message", "direction": "inbound"},
    "reply": {"channel": "email", "type": "message", "direction": "outbound"},
    "visit": {"channel": "visit", "type": "visit"},
    "feedback": {"channel": "visit", "type": "feedback"},
    **{
        kind: {"channel": "online", "type": kind}
        for kind in (
            "page_view", "self_service", "form", "chat", "order", "payment", "delivery", "review", "survey",
            "case_update",
        )
    },
}  # fmt: skip


class Result(NamedTuple):
    """How one story went; `problem` says what was expected and what came, empty when it passed."""

    rule: str
    file: str
    story: str
    problem: str

    @property
    def passed(self) -> bool:
        """Whether it went as told."""
        return not self.problem


class FixtureError(ValueError):
    """A fixture that cannot be played; the message names the file and the story."""


def run_fixtures(rule: str, rules: RuleSet, folder: Path = FIXTURES) -> list[Result]:
    """Play all stories of a rule with a rule set; raises `FixtureError` for one that cannot be played."""
    return [
        Result(rule, file.name, story["story"], _played(rule, rules, story, f"{file.name}: {story['story']}"))
        for file, story in stories_of(rule, folder)
    ]


def stories_of(rule: str, folder: Path = FIXTURES) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The stories of a rule with the files that tell them."""
    for file in sorted((folder / rule).glob("*.yaml")):
        try:
            stories = load_yaml(file.read_text("utf-8"))
        except yaml.YAMLError as error:
            raise FixtureError(f"{file}: {error}") from None
        if not isinstance(stories, list) or not all(isinstance(s, dict) and "story" in s for s in stories):
            raise FixtureError(f"{file}: a fixture file is a list of stories, each with `story:`")
        for story in stories:
            yield file, story


def _played(rule: str, rules: RuleSet, story: Mapping[str, Any], name: str) -> str:
    """Play a story; the problem, or nothing."""
    held: dict[tuple[str, str], Interaction] = {}
    known: tuple[Finding, ...] = ()
    steps = story.get("steps", [story])
    for number, step in enumerate(steps, 1):
        arrivals = [interaction_of(event, name) for event in step.get("events", ())]
        for arrival in arrivals:
            earlier = held.get(arrival.key)
            if earlier is None or arrival.revision > earlier.revision:
                held[arrival.key] = arrival
        line = sorted(held.values(), key=lambda one: one.position)
        now = instant(step["now"]) if "now" in step else line[-1].occurred_at
        detected = detect("crm:ann", line, now, rules)
        after = transition(known, detected, arrivals, now, rules)
        known = after.known
        withdrawn = [change for change in after.changes if change.kind == "withdrawn"]
        stands: list[tuple[Finding, FindingChange | None]]
        stands = [(one, None) for one in known if one.rule == rule]
        stands += [(change.finding, change) for change in withdrawn if change.finding.rule == rule]
        problem = _compared(step["expect"], stands)
        if problem:
            return f"step {number}: {problem}" if len(steps) > 1 else problem
    return ""


def _compared(wanted: list[dict[str, Any]], stands: list[tuple[Finding, FindingChange | None]]) -> str:
    told = [_told(finding, change) for finding, change in stands]
    left = list(told)
    for one in wanted:
        expected = {key: sorted(value) if isinstance(value, list) else value for key, value in one.items()}
        match = next(
            (it for it in left if all(it.get(key) == value for key, value in expected.items())), None
        )
        if match is None:
            return f"expected {one}, but there is {told}"
        left.remove(match)
    return f"not expected: {left}" if left else ""


def _told(finding: Finding, change: FindingChange | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "case": finding.case,
        "severity": finding.severity,
        "state": finding.state,
        "channel": finding.channel,
        "anchor": finding.anchor.id,
        "evidence": sorted(one.id for one in finding.evidence),
        "counterfactual": sorted(identity.id for identity in finding.counterfactual),
        "raised_at": _short(finding.raised_at),
        "resolved_at": None if finding.resolved_at is None else _short(finding.resolved_at),
        "subjects": sorted(finding.subjects),
        "sentence": finding.sentence,
    }
    if change is not None:
        told["cause"] = None if change.cause is None else change.cause.id
    return told


def _short(at: Micros) -> str:
    return format_timestamp(at).removesuffix("Z").replace("T", " ").removesuffix(":00")


def instant(text: str) -> Micros:
    """`2026-03-02 10:00` (UTC), with seconds and fractions if need be, or RFC 3339."""
    text = text.replace(" ", "T")
    if len(text) == len("2026-03-02T10:00"):
        text += ":00"
    return parse_timestamp(text if text.endswith("Z") else text + "Z")


_DECODER: Final = Decoder("BG", 365_000 * DAY, customer_of)


def interaction_of(event: Mapping[str, Any], name: str) -> Interaction:
    """An event of a story through the contract's own decoder; raises `FixtureError`."""
    told = dict(event)
    kind = told.pop("is", None)
    if kind is not None:
        if kind not in KINDS:
            raise FixtureError(f"{name}: is: {kind!r} is none of {', '.join(KINDS)}")
        told = {**KINDS[kind], **told}
    if "at" in told:
        told["occurred_at"] = format_timestamp(instant(told.pop("at")))
    told.setdefault("source", told.get("channel", ""))
    told.setdefault("customer", {"crm_id": "ann"})
    decoded = _DECODER.decode(msgspec.json.encode(told), (), "fixture", 0, 0, None, 0)
    if not isinstance(decoded, Interaction):
        raise FixtureError(f"{name}: event {told.get('id')}: {decoded.message}")
    return decoded
