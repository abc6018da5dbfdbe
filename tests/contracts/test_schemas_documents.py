"""The generated documents: committed as generated, valid by their own rules, complete."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas import topics
from schemas.dead_letters import HEADERS
from schemas.documents import (
    FOLDER,
    ROOT,
    asyncapi,
    contracts,
    dead_letter_header_schema,
    drifted,
    event_schemas,
    main,
    write,
)
from schemas.event import personal_fields
from schemas.vocabulary import CHANNELS


def test_the_committed_documents_are_what_the_models_say() -> None:
    assert drifted() == []


def test_a_drifted_a_missing_and_a_stale_file_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    assert drifted(tmp_path) == []
    (tmp_path / "schemas" / "json" / "phone.json").write_text("{}", encoding="utf-8")
    (tmp_path / "schemas" / "json" / "email.json").unlink()
    (tmp_path / "schemas" / "json" / "fax.json").write_text("{}", encoding="utf-8")
    assert drifted(tmp_path) == [
        f"{tmp_path}/schemas/json/phone.json: differs from the models",
        f"{tmp_path}/schemas/json/email.json: missing",
        f"{tmp_path}/schemas/json/fax.json: no model has it",
    ]
    write(tmp_path)
    assert drifted(tmp_path) == []


def test_check_exits_with_1_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    monkeypatch.setattr("schemas.documents.CONTRACT_VERSION", "9.9.9")
    assert main(["--check"]) == 1
    message = capsys.readouterr().err
    assert "asyncapi.yaml: differs" in message
    assert "python -m schemas.documents" in message


@pytest.mark.parametrize("name", [*CHANNELS, "event", "identity"])
def test_json_schemas_are_valid_and_closed(name: str) -> None:
    schema = {**event_schemas(), **contracts()}[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    for model in _objects(schema):
        assert model["additionalProperties"] is False, model.get("title")
        assert model["description"]
        assert all(field.get("description") for field in model["properties"].values())


def _objects(node: Any) -> list[dict[str, Any]]:
    found = []
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            found.append(node)
        for value in node.values():
            found += _objects(value)
    elif isinstance(node, list):
        for item in node:
            found += _objects(item)
    return found


def test_the_page_for_people_lists_every_field_and_its_example_is_valid() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    for schema in event_schemas().values():
        for model in _objects(schema):
            assert [name for name in model["properties"] if f"| `{name}` |" not in page] == []
    example = page.split("```json\n")[1].split("```")[0]
    jsonschema.Draft202012Validator(event_schemas()["event"]).validate(json.loads(example))


def test_the_tag_of_personal_data_stands_in_the_schema() -> None:
    tags = str(event_schemas()["event"]).count("'x-personal-data'")
    assert tags >= len(personal_fields())


def test_the_headers_of_a_dead_letter_are_described() -> None:
    schema = dead_letter_header_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(HEADERS) == set(schema["required"])


class TestAsyncApi:
    """Structure of AsyncAPI 3.0: required members, and references that lead somewhere."""

    document = asyncapi()

    def test_required_members(self) -> None:
        assert self.document["asyncapi"] == "3.0.0"
        assert {"title", "version"} <= set(self.document["info"])
        assert all({"host", "protocol"} <= set(server) for server in self.document["servers"].values())
        for operation in self.document["operations"].values():
            assert operation["action"] in ("send", "receive")
            assert operation["channel"]["$ref"].startswith("#/channels/")

    def test_every_reference_leads_somewhere(self) -> None:
        references = list(_references(self.document))
        assert references
        for reference in references:
            if reference.startswith("#/"):
                target: Any = self.document
                for part in reference[2:].split("/"):
                    target = target[part]
            else:
                assert (FOLDER / reference).is_file(), reference

    def test_messages_of_an_operation_are_messages_of_its_channel(self) -> None:
        for operation in self.document["operations"].values():
            channel = operation["channel"]["$ref"]
            assert all(
                message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"]
            )

    def test_every_topic_is_a_channel_with_its_kafka_configuration(self) -> None:
        channels = self.document["channels"]
        assert [channel["address"] for channel in channels.values()] == [t.full_name() for t in topics.ALL]
        for topic in topics.ALL:
            kafka = channels[topic.name]["bindings"]["kafka"]
            assert kafka["partitions"] == (1 if topic.sole_partition else topics.DEFAULT_PARTITIONS)
            assert kafka["topicConfiguration"]["cleanup.policy"] == topic.cleanup.split(",")
            retention = topic.config().get("retention.ms")
            assert kafka["topicConfiguration"].get("retention.ms") == (retention and int(retention))

    def test_the_committed_file_is_yaml_of_the_same_document(self) -> None:
        assert yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8")) == self.document


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        return (
            [node["$ref"]] if "$ref" in node else [r for value in node.values() for r in _references(value)]
        )
    return [r for item in node for r in _references(item)] if isinstance(node, list) else []
