import hashlib
import multiprocessing
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sinks.embedded.errors import JarsError, ToolMissingError
from sinks.embedded.kafka import maven
from sinks.embedded.kafka.maven import KAFKA_VERSION, fetch_jars, find_maven, pinned_jars

JARS = {"a.jar": b"alpha", "b.jar": b"beta"}
PINS = {name: hashlib.sha256(content).hexdigest() for name, content in JARS.items()}


def deliver(directory):
    for name, content in JARS.items():
        (directory / name).write_bytes(content)
    with (directory.parent / "downloads").open("a") as log:
        log.write("x")


def fetch(cache, download=deliver):
    return fetch_jars(lambda _message: None, cache=cache, pins=PINS, download=download)


def fetch_and_name(cache):
    return str(fetch(cache))


def downloads(cache):
    return len((cache / "downloads").read_text())


def test_the_pom_the_pins_and_the_code_name_one_version():
    pom = ET.parse(Path(maven.__file__).with_name("kafka.pom.xml"))
    version = pom.find("./m:dependencies/m:dependency/m:version", {"m": "http://maven.apache.org/POM/4.0.0"})
    assert version is not None
    assert version.text == KAFKA_VERSION
    pins = pinned_jars()
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in pins
    assert all(len(digest) == 64 for digest in pins.values())


def test_jars_are_downloaded_once_and_leave_nothing_else(tmp_path):
    first, second = fetch(tmp_path), fetch(tmp_path)
    assert first == second
    assert {path.name: path.read_bytes() for path in first.iterdir()} == JARS
    assert downloads(tmp_path) == 1
    assert not list(tmp_path.glob(".fetch-*"))


def test_two_processes_that_fetch_at_once_download_once(tmp_path):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        places = pool.map(fetch_and_name, [tmp_path] * 4, chunksize=1)
    assert len(set(places)) == 1
    assert downloads(tmp_path) == 1


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda where: (where / "a.jar").write_bytes(b"alpha!"), "a.jar differs from its checksum"),
        (lambda where: (where / "b.jar").unlink(), "b.jar is missing"),
        (lambda where: (where / "c.jar").write_bytes(b""), "c.jar is unknown"),
    ],
)
class TestASpoiltJar:
    def test_in_the_download_is_refused_and_not_kept(self, tmp_path, spoil, complaint):
        def download(directory):
            deliver(directory)
            spoil(directory)

        with pytest.raises(JarsError, match=complaint):
            fetch(tmp_path, download)
        assert not [path for path in tmp_path.iterdir() if path.is_dir()]

    def test_in_the_cache_is_refused_removed_and_fetched_anew(self, tmp_path, spoil, complaint):
        place = fetch(tmp_path)
        spoil(place)
        with pytest.raises(JarsError, match=complaint):
            fetch(tmp_path)
        assert not place.exists()
        assert fetch(tmp_path) == place
        assert downloads(tmp_path) == 2


def test_other_pins_have_a_directory_of_their_own(tmp_path):
    fewer = {"a.jar": PINS["a.jar"]}
    other = fetch_jars(
        lambda _message: None,
        cache=tmp_path,
        pins=fewer,
        download=lambda directory: (directory / "a.jar").write_bytes(b"alpha"),
    )
    assert other != fetch(tmp_path)
    assert other.exists()


def test_without_maven_the_message_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="--broker mock"):
        find_maven()


def test_what_maven_says_is_passed_on(tmp_path, monkeypatch):
    fake = tmp_path / "mvn"
    fake.write_text("#!/bin/sh\necho 'the repository is on fire'; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(JarsError, match="the repository is on fire"):
        maven.run_maven(tmp_path)


def test_the_cache_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert maven.cache_directory() == tmp_path / "touchline"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert maven.cache_directory() == Path.home() / ".cache" / "touchline"
