"""Fetch Kafka's jars with Maven, once, and let none run that is not pinned.

`kafka.pom.xml` names the versions, `kafka.sha256` every jar that results. The jars live in the user's cache,
in a directory named for both; it appears there whole (fetched beside it, verified, renamed) or not at all,
also when several processes want it at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from sinks.embedded.errors import JarsError, ToolMissingError

KAFKA_VERSION = "4.4.0"

# Generous: a slow line needs minutes for 40 MB and Maven's own plugins.
_MAVEN_TIMEOUT_SECONDS = 900

_PINS = "kafka.sha256"
_POM = "kafka.pom.xml"


def find_maven() -> Path:
    """Return Maven's launcher. Raises `ToolMissingError` when PATH has none."""
    if found := shutil.which("mvn"):
        return Path(found)
    raise ToolMissingError(
        "The jars of Apache Kafka are fetched by Maven, but PATH has no `mvn`. "
        "Install it, or choose the mock broker with --broker mock."
    )


def cache_directory() -> Path:
    """Where fetched things are kept: `touchline` in XDG_CACHE_HOME, by default in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "touchline"


def pinned_jars() -> dict[str, str]:
    """The name of each jar with its SHA-256 in hexadecimal."""
    lines = resources.files(__package__).joinpath(_PINS).read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def fetch_jars(
    progress: Callable[[str], None],
    *,
    cache: Path | None = None,
    pins: Mapping[str, str] | None = None,
    download: Callable[[Path], None] | None = None,
) -> Path:
    """Return the directory of Kafka's jars, all verified; fetch them first when they are not there.

    `progress` is told, for people, what takes time. `cache`, `pins` and `download` (fills a directory)
    default to the user's cache, the committed pins and Maven. Raises `ToolMissingError` and `JarsError`;
    after the latter the directory is gone, so that the next try begins anew.
    """
    cache = cache or cache_directory()
    pins = pins or pinned_jars()
    target = cache / f"kafka-{KAFKA_VERSION}-{_fingerprint(pins)}"
    lock = target.with_name(target.name + ".lock")
    with only_one(lock, lambda: progress("Another process fetches Kafka; waiting for it")):
        if not target.exists():
            progress(f"Fetching Apache Kafka {KAFKA_VERSION} (about 40 MB, only this once) into {target}")
            with _scratch(cache) as scratch:
                (download or run_maven)(scratch)
                verify_jars(scratch, pins)
                scratch.rename(target)
            return target
        try:
            verify_jars(target, pins)
        except JarsError as error:
            shutil.rmtree(target)
            raise JarsError(
                f"{error} The copy was removed: run the command again to fetch it anew."
            ) from None
    return target


def verify_jars(directory: Path, pins: Mapping[str, str]) -> None:
    """Raise `JarsError` unless `directory` holds exactly the pinned jars, byte for byte."""
    found = {path.name for path in directory.iterdir()}
    problems = [f"{name} is missing" for name in sorted(pins.keys() - found)]
    problems += [f"{name} is unknown" for name in sorted(found - pins.keys())]
    problems += [
        f"{name} differs from its checksum"
        for name in sorted(found & pins.keys())
        if _sha256(directory / name) != pins[name]
    ]
    if problems:
        raise JarsError(
            f"The jars of Kafka in {directory} are not those that Touchline pins: {', '.join(problems)}. "
            "If this comes again after a new fetch, remove the jar from Maven's own repository (~/.m2) too."
        )


def run_maven(directory: Path) -> None:
    """Fill `directory` with the jars of `kafka.pom.xml`. Raises `ToolMissingError` or `JarsError`."""
    maven = find_maven()
    # A copy: Maven would write beside the pom, and an installed package may be read-only.
    with tempfile.TemporaryDirectory(prefix="touchline-maven-") as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_bytes(resources.files(__package__).joinpath(_POM).read_bytes())
        command = [str(maven), "--batch-mode", "--quiet", "--no-transfer-progress", "--file", str(pom)]
        command += [
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={directory}",
        ]
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                timeout=_MAVEN_TIMEOUT_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise JarsError(
                f"Maven did not fetch Kafka within {_MAVEN_TIMEOUT_SECONDS} s. Is there a network?"
            ) from None
        except subprocess.CalledProcessError as error:
            said = "\n".join((error.stdout + error.stderr).strip().splitlines()[:10])
            raise JarsError(
                "Maven could not fetch Kafka. Check the network and Maven's settings.xml, or choose the mock "
                f"broker with --broker mock. It said:\n{said}"
            ) from None


@contextlib.contextmanager
def only_one(lock_file: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold `lock_file` against other processes; call `waiting` once when another one has it."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A new directory in `parent`, gone at the end unless it was renamed."""
    directory = Path(tempfile.mkdtemp(prefix=".fetch-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _fingerprint(pins: Mapping[str, str]) -> str:
    """Eight characters that differ for other pins, so that versions of Touchline do not share a directory."""
    return hashlib.sha256(_pin_lines(pins).encode()).hexdigest()[:8]


def _pin_lines(pins: Mapping[str, str]) -> str:
    return "".join(f"{pins[name]}  {name}\n" for name in sorted(pins))


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def pin() -> None:
    """For maintainers, after a change of the pom: write `kafka.sha256` anew from what Maven resolves now."""
    with tempfile.TemporaryDirectory(prefix="touchline-pin-") as scratch:
        run_maven(Path(scratch))
        pins = {path.name: _sha256(path) for path in Path(scratch).iterdir()}
    Path(__file__).with_name(_PINS).write_text(_pin_lines(pins))


if __name__ == "__main__":
    pin()
