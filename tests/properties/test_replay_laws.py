"""Replays of parts, one after the other, end in what one replay of all of it ends in."""

import io
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Decoder
from schemas.interaction import DAY
from streams.catalogue.rule_files import load_rules
from streams.core.detection.customer import Detection
from streams.core.identity import customer_of
from streams.core.policy import JourneyPolicy
from streams.history.line_files import Source
from streams.history.replay import Replay
from tests.builders import instant
from tests.shown_rows import ShownRows, Stands

RULES = load_rules()
UNTIL = instant("2026-04-15")
PHONES = {"A": "+359888000111", "B": "+359888000222"}

tellings = st.fixed_dictionaries(
    {
        "hour": st.integers(0, 24 * 40),
        "owner": st.sampled_from(["A", "B", None]),
        "by": st.sampled_from(["crm_id", "phone", "both"]),
        "channel": st.sampled_from(["visit", "email"]),
        "case": st.sampled_from([None, "C1", "C2"]),
        "treatment": st.sampled_from([None, None, "rude", "indifferent"]),
        "outcome": st.sampled_from([None, "resolved", "unresolved"]),
    }
)
histories = st.lists(
    st.lists(st.tuples(st.integers(0, 2), tellings), min_size=1, max_size=3), min_size=1, max_size=9
)
"""Interactions, each with what was told of it: in a revision, perhaps the same one twice."""


def line_of(number: int, revision: int, told: dict[str, Any]) -> bytes:
    """A line of a file."""
    owner, by = told["owner"], told["by"]
    customer = {}
    if owner is not None and by != "phone":
        customer["crm_id"] = owner
    if owner is not None and by != "crm_id":
        customer["phone"] = PHONES[owner]
    day, hour = divmod(told["hour"], 24)
    event = {
        "id": f"i{number}",
        "source": "s",
        "revision": revision,
        "channel": told["channel"],
        "type": "visit" if told["channel"] == "visit" else "message",
        "occurred_at": f"2026-{3 + day // 28:02d}-{1 + day % 28:02d}T{hour:02d}:00:00Z",
        "customer": customer,
        "subject": {"case_id": told["case"]} if told["case"] else {},
    }
    event |= {name: told[name] for name in ("treatment", "outcome") if told[name]}
    if told["channel"] == "email":
        event["direction"] = "inbound"
    return json.dumps(event).encode()


def replayed(shown: ShownRows, lines: Sequence[bytes], version: int) -> None:
    """One run over what stands."""
    Replay(
        Decoder("BG", 300_000_000, customer_of),
        JourneyPolicy(gap=7 * DAY),
        shown,
        version=version,
        clock=UNTIL,
        standing=Stands(shown) if shown.placed else None,
        detection=Detection(RULES),
    ).run([Source(f"{version}.jsonl", io.BytesIO(b"\n".join(lines)))], UNTIL)


def told_by(shown: ShownRows) -> dict[str, Any]:
    """What people read, without the numbers of lines."""
    findings = {}
    for finding_id, finding in shown.findings.items():
        evidence = [msgspec.structs.replace(one, topic="", partition=0, offset=0) for one in finding.evidence]
        findings[finding_id] = msgspec.structs.replace(finding, evidence=tuple(evidence))
    return {
        "interactions": {
            key: (revision, placed.interaction.customer, placed.journey_id)
            for key, (revision, _, placed) in shown.placed.items()
        },
        "journeys": shown.journeys,
        "findings": findings,
        "lights": {customer: (light.score, light.colour) for customer, light in shown.lights.items()},
    }


def lines_of(history: list[list[tuple[int, dict[str, Any]]]]) -> list[bytes]:
    """Every telling of a history, a line each."""
    return [
        line_of(number, revision, told)
        for number, tellings in enumerate(history)
        for revision, told in tellings
    ]


@settings(max_examples=200)
@given(histories, st.integers(0, 2**32), st.integers(2, 4))
def test_replays_of_parts_end_in_what_one_of_all_ends_in(
    history: list[list[tuple[int, dict[str, Any]]]], seed: int, parts: int
) -> None:
    lines = lines_of(history)
    rng = Random(seed)
    rng.shuffle(lines)
    whole = ShownRows()
    replayed(whole, lines, 1)
    cuts = sorted(rng.randint(0, len(lines)) for _ in range(parts - 1))
    partly = ShownRows()
    for version, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(lines)], strict=True), 1):
        replayed(partly, lines[start:end], version)
    assert told_by(partly) == told_by(whole)
    for changes in partly.history.values():
        numbers = sorted(changes)
        assert numbers == list(range(1, len(numbers) + 1)), "changes are numbered without a gap"
        assert changes[1].kind == "raised"
        last = changes[numbers[-1]].finding
        assert partly.findings.get(last.finding_id, last) == last
        assert (last.state == "withdrawn") == (last.finding_id not in partly.findings)


@settings(max_examples=30)
@given(histories)
def test_replaying_again_changes_nothing_and_tells_nothing(
    history: list[list[tuple[int, dict[str, Any]]]],
) -> None:
    lines = lines_of(history)
    shown = ShownRows()
    replayed(shown, lines, 1)
    before, history_before = told_by(shown), {key: dict(told) for key, told in shown.history.items()}
    placed_before = dict(shown.placed)
    replayed(shown, lines, 2)
    assert told_by(shown) == before
    assert shown.history == history_before
    assert shown.placed == placed_before
