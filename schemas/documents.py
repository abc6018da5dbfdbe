"""The documents of the contract, generated and never edited: JSON Schemas, the AsyncAPI document.

python -m schemas.documents            writes schemas/json/*.json and schemas/asyncapi.yaml
python -m schemas.documents --check    exits 1 and names each file that is not what would be written
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from schemas import topics
from schemas.alert_documents import ALERT_RECORD
from schemas.dead_letters import HEADERS, OFFSET, PARTITION
from schemas.event import EVENT, MODELS
from schemas.identity import FACT
from schemas.interaction import Interaction
from schemas.reference import events_page
from schemas.topics import Topic
from schemas.vocabulary import CHANNELS

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parent
_EVENTS_PAGE: Final = Path("docs", "events.md")
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
CONTRACT_VERSION: Final = "1.0.0"
_JSON_FORMAT: Final = "application/schema+json;version=draft-2020-12"

_TITLES: Final[dict[str, str]] = {
    "phone": "A telephone event",
    "email": "An e-mail event",
    "visit": "An office event",
    "online": "An online event",
}
_HEADER_WORDS: Final[dict[str, str]] = {
    "topic": "Topic that the record came from",
    "partition": "Partition that the record came from",
    "offset": "Offset of the record in that partition",
    "stage": "Where it failed: decode, validate or process",
    "exception.class.name": "Class of the error: a stable word to group by",
    "exception.message": "What is wrong, naming the field",
}

Document = dict[str, Any]


def event_schemas() -> dict[str, Document]:
    """JSON Schemas (draft 2020-12) by name: one for each channel, and `event` for any of them."""
    schemas: dict[str, Document] = {
        channel: _schema(TypeAdapter(MODELS[channel]), channel, _TITLES[channel]) for channel in CHANNELS
    }
    schemas["event"] = _schema(EVENT, "event", "An event of any channel")
    return schemas


def fact_schema() -> Document:
    """JSON Schema of a fact about who is whom."""
    return _schema(FACT, "identity", "A fact about who is whom")


def contracts() -> dict[str, Document]:
    """JSON Schemas by name of what others write: one for each channel, and `identity`."""
    return {**{channel: event_schemas()[channel] for channel in CHANNELS}, "identity": fact_schema()}


def alert_schema() -> Document:
    """JSON Schema of a record of the alerts topic; readers ignore names that they do not know."""
    return {
        "$schema": DIALECT,
        "$id": "urn:touchline:alert",
        "title": "An alert, or an acknowledgement",
        **ALERT_RECORD.json_schema(),
    }


def dead_letter_header_schema() -> Document:
    """JSON Schema of what a dead letter has in headers besides the original ones (values as UTF-8)."""
    return {
        "$schema": DIALECT,
        "$id": "urn:touchline:dead-letter-headers",
        "title": "The headers of a dead letter",
        "description": "Header names of Kafka Connect's error reporter; the original headers stay before them.",
        "type": "object",
        "required": list(HEADERS),
        "properties": {
            name: {
                "type": "string",
                "description": _HEADER_WORDS[name.removeprefix("__connect.errors.")],
                **({"pattern": "^[0-9]+$"} if name in (PARTITION, OFFSET) else {}),
            }
            for name in HEADERS
        },
        "additionalProperties": True,
    }


def asyncapi() -> Document:
    """The AsyncAPI 3.0 document: every topic with its Kafka bindings, what is read from and written to it."""
    channels = {topic.name: _channel(topic) for topic in topics.ALL}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Touchline",
            "version": CONTRACT_VERSION,
            "description": "Events of four channels and facts about who is whom in; validated interactions, "
            "alerts and dead letters out.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "embedded": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "The broker that `touchline up` starts; production names its own.",
            }
        },
        "channels": channels,
        "operations": {
            **{f"receive-{topic.name}": _operation("receive", topic) for topic in topics.SOURCES},
            "send-interactions": _operation("send", topics.INTERACTIONS),
            "receive-interactions": _operation("receive", topics.INTERACTIONS),
            "send-dead-letters": _operation("send", topics.DEAD_LETTERS),
            "send-alerts": _operation("send", topics.ALERTS),
            "receive-alerts": _operation("receive", topics.ALERTS),
            "send-timelines": _operation("send", topics.TIMELINES),
            "send-alert-books": _operation("send", topics.ALERT_BOOKS),
            "send-links": _operation("send", topics.LINKS),
            "receive-links": _operation("receive", topics.LINKS),
            "send-corrections": _operation("send", topics.CORRECTIONS),
            "receive-corrections": _operation("receive", topics.CORRECTIONS),
            "send-sightings": _operation("send", topics.SIGHTINGS),
            "receive-sightings": _operation("receive", topics.SIGHTINGS),
            "send-erasures": _operation("send", topics.ERASURES),
            "receive-erasures": _operation("receive", topics.ERASURES),
        },
        "components": {"messages": _messages()},
    }


def rendered() -> dict[Path, str]:
    """Every generated file, relative to the repository, with its text."""
    schemas = event_schemas()
    documents = {
        **schemas,
        "identity": fact_schema(),
        "alert": alert_schema(),
        "dead-letter-headers": dead_letter_header_schema(),
    }
    files = {
        Path("schemas", "json", f"{name}.json"): json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }
    text = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    files[Path("schemas", "asyncapi.yaml")] = (
        f"# Generated by `python -m schemas.documents`; do not edit.\n{text}"
    )
    files[_EVENTS_PAGE] = events_page(schemas, CHANNELS)
    return files


def drifted(root: Path = ROOT) -> list[str]:
    """What differs between the files under `root` and what would be written, one line a file."""
    expected = rendered()
    lines = []
    for path, text in expected.items():
        file = root / path
        if not file.exists():
            lines.append(f"{file}: missing")
        elif file.read_text(encoding="utf-8") != text:
            lines.append(f"{file}: differs from the models")
    return lines + [f"{file}: no model has it" for file in _stale(root, expected)]


def write(root: Path = ROOT) -> None:
    """Write every file; remove JSON Schemas that no model has any more."""
    files = rendered()
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for file in _stale(root, files):
        file.unlink()


def _stale(root: Path, files: Iterable[Path]) -> list[Path]:
    return sorted(set(root.glob("schemas/json/*.json")) - {root / path for path in files})


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m schemas.documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file has drifted")
    if not parser.parse_args(arguments).check:
        write()
        return 0
    lines = drifted()
    if lines:
        sys.stderr.write(
            "\n".join([*lines, "run `python -m schemas.documents` and commit the result"]) + "\n"
        )
    return 1 if lines else 0


def _schema(adapter: TypeAdapter[Any], name: str, title: str) -> Document:
    generated = _tidied(adapter.json_schema(mode="validation"))
    return {"$schema": DIALECT, "$id": f"urn:touchline:{name}", **generated, "title": title}


def _tidied(node: Any) -> Any:
    """The generated schema in a plainer and, for maps, a stricter form.

    A default of null goes: absent is unknown, so it says nothing. A map whose keys have a pattern is generated with
    `patternProperties`, which lets keys that do not match hold anything; it becomes `propertyNames` and
    `additionalProperties`, which do not.
    """
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidied(value) for key, value in node.items() if not (key == "default" and value is None)}
    if "patternProperties" in tidy:
        ((pattern, values),) = tidy.pop("patternProperties").items()
        tidy["propertyNames"] = {**tidy.get("propertyNames", {}), "pattern": pattern}
        tidy["additionalProperties"] = values
    return tidy


def _channel(topic: Topic) -> Document:
    config = topic.config()
    kafka: Document = {
        "topic": topic.full_name(),
        "partitions": topic.partitions(topics.DEFAULT_PARTITIONS),
        "topicConfiguration": {
            name: value.split(",") if name == "cleanup.policy" else int(value)
            for name, value in config.items()
        },
        "bindingVersion": "0.5.0",
    }
    return {
        "address": topic.full_name(),
        "description": f"{topic.value[0].upper()}{topic.value[1:]}. Key: {topic.key}.",
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {"kafka": kafka},
    }


def _operation(action: str, topic: Topic) -> Document:
    channel = f"#/channels/{topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{topic.name}"}],
    }


def _messages() -> Document:
    messages: Document = {
        channel: {
            "name": channel,
            "title": _TITLES[channel],
            "contentType": "application/json",
            "payload": {"schemaFormat": _JSON_FORMAT, "schema": {"$ref": f"./json/{channel}.json"}},
            "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
        }
        for channel in CHANNELS
    }
    messages[topics.IDENTITY.name] = {
        "name": topics.IDENTITY.name,
        "title": "A fact about who is whom",
        "summary": "Known by source and id; a higher revision replaces it. Compaction keeps the latest.",
        "contentType": "application/json",
        "payload": {"schemaFormat": _JSON_FORMAT, "schema": {"$ref": "./json/identity.json"}},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }
    messages[topics.INTERACTIONS.name] = {
        "name": topics.INTERACTIONS.name,
        "title": "A validated interaction",
        "summary": "Internal. A MessagePack array; its fields in order are listed in the payload.",
        "contentType": "application/msgpack",
        "payload": {"type": "array", "x-fields": list(Interaction.__struct_fields__)},
    }
    messages[topics.DEAD_LETTERS.name] = {
        "name": topics.DEAD_LETTERS.name,
        "title": "A record that could not be used",
        "summary": "The value and the key are the original bytes; the headers say why.",
        "contentType": "application/octet-stream",
        "headers": {"schemaFormat": _JSON_FORMAT, "schema": {"$ref": "./json/dead-letter-headers.json"}},
    }
    messages[topics.ALERTS.name] = {
        "name": topics.ALERTS.name,
        "title": "An alert, or an acknowledgement",
        "summary": (
            "What has become of a finding, and who takes care of it. In the order of each customer. Records with the "
            "key U+0000 'erasure' are Touchline's own: that a customer was forgotten."
        ),
        "contentType": "application/json",
        "payload": {"schemaFormat": _JSON_FORMAT, "schema": {"$ref": "./json/alert.json"}},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }
    messages[topics.TIMELINES.name] = {
        "name": topics.TIMELINES.name,
        "title": "The state of one customer's timeline",
        "summary": "Internal. A MessagePack array; only Touchline reads it.",
        "contentType": "application/msgpack",
    }
    messages[topics.LINKS.name] = {
        "name": topics.LINKS.name,
        "title": "A link between two identifiers, or a fact",
        "summary": "Internal. A MessagePack array; every worker reads all of them.",
        "contentType": "application/msgpack",
    }
    messages[topics.CORRECTIONS.name] = {
        "name": topics.CORRECTIONS.name,
        "title": "That an interaction was told again",
        "summary": "Internal. A MessagePack array; every worker reads all of them.",
        "contentType": "application/msgpack",
    }
    messages[topics.SIGHTINGS.name] = {
        "name": topics.SIGHTINGS.name,
        "title": "Of which interactions a first revision was told, and of whom",
        "summary": "Internal. Hashes of twelve bytes, one behind the other; every worker reads all of them.",
        "contentType": "application/octet-stream",
    }
    messages[topics.ERASURES.name] = {
        "name": topics.ERASURES.name,
        "title": "That a customer was forgotten",
        "summary": "Internal. A MessagePack array with keyed hashes; every worker reads all of them.",
        "contentType": "application/msgpack",
    }
    messages[topics.ALERT_BOOKS.name] = {
        "name": topics.ALERT_BOOKS.name,
        "title": "Who was told what of one customer's findings",
        "summary": "Internal. A MessagePack array; only Touchline reads it.",
        "contentType": "application/msgpack",
    }
    return messages


if __name__ == "__main__":
    sys.exit(main())
