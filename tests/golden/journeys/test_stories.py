"""Stories: events in, rows out. Each `NAME.jsonl` is read as batches; `NAME.rows.json` is what every batch
writes.

A line of a story is an event (a builder of `tests.builders`, its time, what it says) or the end of a batch
with the instant at which it is evaluated. `revises` names the line's id that it tells again.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.interaction import Interaction
from schemas.records import Journey
from streams.core.batch import BatchResult, advance_batch
from streams.core.policy import DEFAULT_POLICY
from tests import builders

STORIES = sorted(Path(__file__).parent.glob("stories/*.jsonl"))


def event_of(line: dict[str, Any], told: dict[str, Interaction]) -> Interaction:
    """One line as an interaction."""
    said = dict(line)
    if "revises" in said:
        earlier = told[said.pop("revises")]
        if "at" in said:
            said["occurred_at"] = builders.instant(said.pop("at"))
        event = builders.revised(earlier, **said)
    else:
        kind, at = next(iter(said.items()))
        del said[kind]
        build = getattr(builders, kind, None)
        event = build(at, **said) if build is not None else builders.online(kind, at, **said)
    told[event.id] = event
    return event


def row_of(journey: Journey) -> dict[str, Any]:
    """A journey as people read it; what is unknown is left out."""
    row = {name: getattr(journey, name) for name in journey.__struct_fields__}
    row["started_at"] = builders.written(journey.started_at)
    row["ended_at"] = builders.written(journey.ended_at)
    return {name: value for name, value in row.items() if value is not None}


def written_by(result: BatchResult) -> dict[str, Any]:
    """The rows of one batch, in an order of their own."""
    return {
        "interactions": sorted(
            [
                one.interaction.id,
                one.interaction.revision,
                "beyond the horizon" if one.beyond_horizon else one.journey_id or "anonymous",
            ]
            for one in result.interactions
        ),
        "journeys": sorted(
            map(row_of, result.journeys), key=lambda row: (row["started_at"], row["journey_id"])
        ),
        "retracted": sorted(journey_id for _, journey_id in result.retracted),
        "superseded": len(result.superseded),
    }


def rows_of(story: Path) -> list[dict[str, Any]]:
    """Play a story; what each batch writes."""
    states: dict[bytes, bytes | None] = {}
    due: dict[bytes, int | None] = {}
    told: dict[str, Interaction] = {}
    batch: list[Interaction] = []
    rows: list[dict[str, Any]] = []
    for line in map(json.loads, story.read_text(encoding="utf-8").splitlines()):
        if "evaluated at" not in line:
            batch.append(event_of(line, told))
            continue
        now = builders.instant(line["evaluated at"])
        ready = [key for key, instant in due.items() if instant is not None and instant <= now]
        result = advance_batch(states.get, batch, ready, now, DEFAULT_POLICY)
        states.update(result.states)
        due.update(result.due)
        rows.append({"evaluated at": line["evaluated at"], **written_by(result)})
        batch = []
    assert not batch, f"{story.name}: the last line must say when the last batch is evaluated"
    return rows


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_a_story_ends_in_its_rows(story: Path, regenerate: bool) -> None:
    expected = story.with_suffix(".rows.json")
    rows = json.loads(json.dumps(rows_of(story)))
    if regenerate:
        expected.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert rows == json.loads(expected.read_text(encoding="utf-8"))


def test_every_story_has_rows_and_every_row_a_story() -> None:
    assert STORIES
    told = {story.stem for story in STORIES}
    assert told == {
        rows.name.removesuffix(".rows.json") for rows in Path(__file__).parent.glob("stories/*.rows.json")
    }
