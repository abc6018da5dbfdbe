"""Every example under schemas/examples, through the codec, the models and the JSON Schemas."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.codec import Decoder, Rejected
from schemas.documents import event_schemas
from schemas.interaction import Interaction
from schemas.timestamps import parse_timestamp
from schemas.vocabulary import CHANNELS, INTERACTION_TYPES
from schemas.wire import decode_fast

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
VALID = sorted(file for channel in CHANNELS for file in EXAMPLES.glob(f"{channel}/valid/*.json"))
INVALID = sorted(file for channel in CHANNELS for file in EXAMPLES.glob(f"{channel}/invalid/*.json"))
NOW = parse_timestamp("2026-06-01T00:00:00Z")
DECODER = Decoder("BG", 0, lambda *_: None)

BEYOND_JSON_SCHEMA = {
    "phone/invalid/from_the_future.json",
    "phone/invalid/leap_second.json",
    "email/invalid/date_that_does_not_exist.json",
    "visit/invalid/before_1970.json",
}
"""What only the codec can know: the clock and the calendar."""


def _name(file: Path) -> str:
    return file.relative_to(EXAMPLES).as_posix()


def _decoded(value: bytes) -> Interaction | Rejected:
    return DECODER.decode(value, (), "example", 0, 0, None, NOW)


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema.Draft202012Validator(event_schemas()["event"])


@pytest.mark.parametrize("file", VALID, ids=_name)
def test_valid_examples_are_accepted(file: Path, validator: Any) -> None:
    result = _decoded(file.read_bytes())
    assert isinstance(result, Interaction), result
    assert result.channel == file.parts[-3]
    event = json.loads(file.read_text(encoding="utf-8"))
    if "specversion" not in event:
        validator.validate(event)


@pytest.mark.parametrize("file", INVALID, ids=_name)
def test_invalid_examples_are_refused_for_the_expected_reason(file: Path, validator: Any) -> None:
    example = json.loads(file.read_text(encoding="utf-8"))
    value = example["raw"] if "raw" in example else json.dumps(example["event"])
    result = _decoded(value.encode())
    assert isinstance(result, Rejected), "accepted, although the example is invalid"
    assert result.error == example["error"]
    assert example["expect"] in result.message
    if "event" in example and "specversion" not in example["event"]:
        assert validator.is_valid(example["event"]) == (_name(file) in BEYOND_JSON_SCHEMA)


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_has_at_least_eight_examples_of_each_kind(channel: str) -> None:
    for kind in ("valid", "invalid"):
        assert len(list(EXAMPLES.glob(f"{channel}/{kind}/*.json"))) >= 8


def test_every_type_that_a_row_can_have_is_shown() -> None:
    shown: set[tuple[str, str]] = set()
    for file in VALID:
        result = _decoded(file.read_bytes())
        assert isinstance(result, Interaction)
        shown.add((result.channel, result.type))
    wanted = {(channel, kind) for channel, kinds in INTERACTION_TYPES.items() for kind in kinds}
    assert wanted - shown == set()


def test_the_fast_road_takes_the_examples_of_every_channel() -> None:
    left_to_the_models = []
    for file in VALID:
        try:
            decode_fast(file.read_bytes())
        except ValueError:
            left_to_the_models.append(_name(file))
    assert left_to_the_models == [
        "online/valid/cloudevent_around_the_event.json",
        "phone/valid/greatest_revision.json",
    ]
