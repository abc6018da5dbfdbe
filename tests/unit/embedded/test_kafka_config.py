import json
from pathlib import Path

from sinks.embedded.kafka.broker import _new_cluster_id
from sinks.embedded.kafka.config import server_properties


def settings(data):
    return dict(line.split("=", 1) for line in server_properties(9092, 9093, data).splitlines())


def test_every_listener_is_on_loopback():
    found = settings(Path("/data"))
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"


def test_nothing_is_made_or_dropped_by_default():
    found = settings(Path("/data"))
    assert found["auto.create.topics.enable"] == "false"
    assert found["log.retention.ms"] == "-1"


def test_a_path_in_any_script_survives_javas_properties():
    directory = Path("/home/Ґанна \\ 😀")
    written = settings(directory)["log.dirs"]
    assert written.isascii()
    # Java's \\uXXXX are UTF-16 units, and an escaped backslash is one backslash: as in JSON.
    assert json.loads(f'"{written}"') == str(directory)


def test_a_cluster_id_is_22_characters_and_no_option():
    for _ in range(500):
        identity = _new_cluster_id()
        assert len(identity) == 22
        assert not identity.startswith("-")
