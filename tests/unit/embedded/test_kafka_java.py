import pytest

from sinks.embedded.errors import ToolMissingError
from sinks.embedded.kafka import java
from sinks.embedded.kafka.java import Java, find_java


@pytest.fixture
def fake_java(tmp_path):
    """Make a directory whose `bin/java` says that it is the given version."""

    def make(name, version):
        executable = tmp_path / name / "bin" / "java"
        executable.parent.mkdir(parents=True)
        executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
        executable.chmod(0o755)
        return executable

    return make


@pytest.fixture(autouse=True)
def no_package(monkeypatch):
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda _name: None)


def test_java_home_comes_before_path(fake_java, monkeypatch):
    home, path = fake_java("home", "21.0.1"), fake_java("path", "25")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    monkeypatch.setenv("PATH", str(path.parent))
    assert find_java() == Java(home, "21.0.1")


def test_java_17_is_old_enough_and_16_is_passed_over(fake_java, monkeypatch):
    home, path = fake_java("home", "16.0.2"), fake_java("path", "17")
    monkeypatch.setenv("JAVA_HOME", str(home.parent.parent))
    monkeypatch.setenv("PATH", str(path.parent))
    assert find_java() == Java(path, "17")


def test_java_8_is_not_taken_for_version_180(fake_java, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(fake_java("path", "1.8.0_392").parent))
    with pytest.raises(ToolMissingError, match=r"version 1\.8\.0_392") as missing:
        find_java()
    assert "--broker mock" in str(missing.value)


def test_without_any_java_the_message_says_where_we_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match=r"JAVA_HOME: .*gone/bin/java is no Java"):
        find_java()
