"""The compatibility gate: small changes, each let through or refused with a reason that names the field."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.compatibility import accept, main, narrowings, refusals
from schemas.documents import event_schemas
from schemas.vocabulary import CHANNELS

Schema = dict[str, Any]
Change = Callable[[Schema], None]
SCHEMAS = event_schemas()


def changed(channel: str, change: Change) -> list[str]:
    new = copy.deepcopy(SCHEMAS[channel])
    change(new)
    assert new != SCHEMAS[channel], "the change changed nothing"
    return narrowings(SCHEMAS[channel], new)


def field(schema: Schema, name: str, model: str | None = None) -> Schema:
    found: Schema = (schema["$defs"][model] if model else schema)["properties"][name]
    return found


def value_of(schema: Schema, name: str, model: str | None = None) -> Schema:
    """What an optional field holds when it is not null."""
    found: Schema = field(schema, name, model)["anyOf"][0]
    return found


def put(target: Schema, **values: Any) -> None:
    target.update(values)


@pytest.mark.parametrize("name", [*CHANNELS, "event"])
def test_the_same_contract_is_compatible(name: str) -> None:
    assert narrowings(SCHEMAS[name], copy.deepcopy(SCHEMAS[name])) == []


REFUSED: list[tuple[str, Change, str]] = [
    ("removed field", lambda s: s["properties"].pop("ivr_path"), "ivr_path: the field was removed"),
    (
        "removed nested field",
        lambda s: s["$defs"]["Price"]["properties"].pop("ref"),
        "price.ref: the field was removed",
    ),
    (
        "renamed field",
        lambda s: put(s["properties"], route=s["properties"].pop("ivr_path")),
        "ivr_path: the field was removed",
    ),
    ("required field", lambda s: s["required"].append("text"), "text: is now required; old events lack it"),
    (
        "new required field",
        lambda s: (put(s["properties"], tenant={"type": "string"}), s["required"].append("tenant")),
        "tenant: is new and required; old events lack it",
    ),
    (
        "narrowed enum",
        lambda s: field(s, "direction")["enum"].remove("outbound"),
        "direction: outbound would be refused",
    ),
    (
        "narrowed optional enum",
        lambda s: value_of(s, "outcome")["enum"].remove("unknown"),
        "outcome: unknown would be refused",
    ),
    (
        "enum of a free string",
        lambda s: put(field(s, "id"), enum=["a"]),
        "id: any value was accepted and would be restricted to a",
    ),
    (
        "lower maximum",
        lambda s: put(value_of(s, "wait_seconds"), maximum=60),
        "wait_seconds: maximum changed from 1000000000 to 60",
    ),
    (
        "higher minimum",
        lambda s: put(value_of(s, "sentiment"), minimum=0),
        "sentiment: minimum changed from -1 to 0",
    ),
    ("shorter", lambda s: put(field(s, "id"), maxLength=64), "id: maxLength changed from 256 to 64"),
    ("longer at the least", lambda s: put(field(s, "id"), minLength=2), "id: minLength changed from 1 to 2"),
    ("new bound", lambda s: put(value_of(s, "text"), minLength=1), "text: minLength 1 is new"),
    (
        "other pattern",
        lambda s: put(value_of(s, "currency", "Price"), pattern="^EUR$"),
        "price.currency: pattern changed from ^[A-Z]{3}$ to ^EUR$",
    ),
    (
        "null refused",
        lambda s: field(s, "text")["anyOf"].pop(),
        "text: null was accepted and would be refused, only string is left",
    ),
    (
        "nested null refused",
        lambda s: field(s, "currency", "Price")["anyOf"].pop(),
        "price.currency: null was accepted and would be refused, only string is left",
    ),
    (
        "other type",
        lambda s: put(value_of(s, "wait_seconds"), type="integer"),
        "wait_seconds: number was accepted and would be refused, only integer is left",
    ),
    (
        "stricter object",
        lambda s: s["$defs"]["Price"]["anyOf"].pop(),
        "price: the condition across its fields became stricter",
    ),
    (
        "new condition across fields",
        lambda s: put(s["$defs"]["Subject"], anyOf=[{"required": ["reason"]}]),
        "subject: a new condition across its fields",
    ),
    (
        "narrower attributes",
        lambda s: put(value_of(s, "attributes"), maxProperties=5),
        "attributes: maxProperties changed from 100 to 5",
    ),
    (
        "shorter attribute values",
        lambda s: put(value_of(s, "attributes")["additionalProperties"]["anyOf"][0], maxLength=10),
        "attributes.*: maxLength changed from 8192 to 10",
    ),
    (
        "shorter attribute names",
        lambda s: put(value_of(s, "attributes")["propertyNames"], maxLength=10),
        "attributes.(name): maxLength changed from 256 to 10",
    ),
    (
        "a keyword that the gate does not know",
        lambda s: put(field(s, "id"), contentEncoding="base64"),
        "id: contentEncoding changed, and the gate cannot compare it",
    ),
]


@pytest.mark.parametrize(
    ("change", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_refuses_old_events_is_refused_with_the_field(change: Change, reason: str) -> None:
    reasons = changed("phone", change)
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


ALLOWED: list[tuple[str, Change]] = [
    ("new optional field", lambda s: put(s["properties"], tenant={"type": "string"})),
    ("no longer required", lambda s: s["required"].remove("direction")),
    ("wider enum", lambda s: field(s, "direction")["enum"].append("internal")),
    ("higher maximum", lambda s: put(value_of(s, "wait_seconds"), maximum=10**12)),
    ("no maximum", lambda s: value_of(s, "wait_seconds").pop("maximum")),
    ("no pattern", lambda s: field(s, "id").pop("pattern")),
    ("longer", lambda s: put(field(s, "id"), maxLength=512)),
    ("whole numbers become numbers", lambda s: put(value_of(s, "transfers"), type="number")),
    (
        "null accepted",
        lambda s: put(s["properties"], direction={"anyOf": [s["properties"]["direction"], {"type": "null"}]}),
    ),
    ("opened", lambda s: put(s["$defs"]["Subject"], additionalProperties=True)),
    ("no condition across fields", lambda s: s["$defs"]["Price"].pop("anyOf")),
    ("other words", lambda s: put(field(s, "id"), description="Another sentence.", title="Other")),
    ("tagged as personal", lambda s: put(field(s, "id"), **{"x-personal-data": "identifier"})),
]


@pytest.mark.parametrize("change", [case[1] for case in ALLOWED], ids=[case[0] for case in ALLOWED])
def test_what_only_widens_is_allowed(change: Change) -> None:
    assert changed("phone", change) == []


def test_closing_an_open_object_is_refused() -> None:
    open_schema = copy.deepcopy(SCHEMAS["phone"])
    del open_schema["$defs"]["Subject"]["additionalProperties"]
    assert narrowings(open_schema, SCHEMAS["phone"]) == [
        "subject: unknown fields were accepted and would be refused"
    ]


def test_a_type_that_leaves_a_union_of_models_is_named() -> None:
    reasons = changed(
        "online", lambda s: s["$defs"]["OnlineActivity"]["properties"]["type"]["enum"].remove("review")
    )
    assert reasons == ["type: review would be refused"]


def test_the_contract_of_now_accepts_what_the_baseline_accepts() -> None:
    assert refusals() == []
    assert main([]) == 0


def test_a_baseline_that_accepted_more_is_refused_with_channel_and_field(tmp_path: Path) -> None:
    accept(tmp_path)
    assert refusals(tmp_path) == []
    file = tmp_path / "phone.json"
    old = json.loads(file.read_text(encoding="utf-8"))
    old["properties"]["fax_number"] = {"type": "string"}
    file.write_text(json.dumps(old), encoding="utf-8")
    assert refusals(tmp_path) == ["phone: fax_number: the field was removed"]


def test_an_example_of_the_baseline_that_no_longer_decodes_is_named(tmp_path: Path) -> None:
    accept(tmp_path)
    file = tmp_path / "examples" / "phone" / "only_what_is_mandatory.json"
    event = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(event | {"fax": 1}), encoding="utf-8")
    (reason,) = refusals(tmp_path)
    assert reason.startswith(f"{file}: a valid example of the baseline is refused: fax: unknown field")


def test_a_removed_channel_and_a_missing_baseline_are_named(tmp_path: Path) -> None:
    (line,) = refusals(tmp_path)
    assert "no baseline" in line
    accept(tmp_path)
    (tmp_path / "phone.json").rename(tmp_path / "fax.json")
    assert refusals(tmp_path) == ["fax: the contract was removed"]


def test_facts_are_a_contract_like_the_channels(tmp_path: Path) -> None:
    accept(tmp_path)
    file = tmp_path / "identity.json"
    old = json.loads(file.read_text(encoding="utf-8"))
    several = old["$defs"]["NamedIdentifiers"]["properties"]["phone"]["anyOf"][1]
    several["maxItems"] += 1
    several["items"]["maxLength"] += 1
    file.write_text(json.dumps(old), encoding="utf-8")
    assert refusals(tmp_path) == [
        "identity: identifiers.phone: maxItems changed from 101 to 100",
        "identity: identifiers.phone[]: maxLength changed from 321 to 320",
    ]
    example = tmp_path / "examples" / "identity" / "only_what_is_mandatory.json"
    fact = json.loads(example.read_text(encoding="utf-8"))
    example.write_text(json.dumps(fact | {"operation": "merge"}), encoding="utf-8")
    assert any("a valid example of the baseline is refused" in line for line in refusals(tmp_path))
