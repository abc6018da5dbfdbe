"""What `doctor` checks on this machine: Python, settings, disk, ports, and what the embedded servers need."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import schemas
from schemas.ahead import PURE, Mode
from streams.settings import Settings, SettingsError, load_settings

Status = Literal["ok", "warn", "fail"]

LITTLE_SPACE: Final = 5 * 10**9
NO_SPACE: Final = 500 * 10**6
LOOPBACK: Final = "127.0.0.1"


class Check(NamedTuple):
    """One thing that was looked at. `what_to_do` is empty when there is nothing to do."""

    name: str
    status: Status
    found: str
    what_to_do: str = ""


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Run one check; one that raises has failed with what it raised and must not hide the others."""
    from streams.commands.failures import explain

    try:
        return check()
    except Exception as error:
        failure = explain(error)
        return Check(name, "fail", failure.message, failure.what_to_do)


def check_settings() -> tuple[Check, Settings | None]:
    """The settings as this command would use them."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return Check("settings", "fail", str(error), "docs/settings.md lists every setting"), None
    given = sorted(name for name in os.environ if name.startswith("TOUCHLINE_"))
    found = f"valid ({', '.join(given)})" if given else "valid, no environment variable set"
    return Check("settings", "ok", found), settings


def check_machine(settings: Settings) -> Iterator[Check]:
    """Everything about this machine; what only the embedded servers need is left out where others are
    configured.
    """
    yield check_python(sys.version_info[:3])
    yield check_speed(schemas.MODE)
    yield guarded("home", lambda: check_home(settings.home))
    if settings.kafka.bootstrap is None:
        yield guarded("java", check_java)
        yield guarded("kafka jars", check_jars)
    if settings.clickhouse.url is None:
        yield guarded("chdb", check_chdb)
    for name, port, setting in local_ports(settings):
        yield guarded(f"port {port}", lambda n=name, p=port, s=setting: check_port(settings, n, p, s))  # type: ignore[misc]


def check_python(version: tuple[int, int, int]) -> Check:
    """Python 3.11, as pyproject.toml asks for."""
    found = ".".join(map(str, version))
    if version[:2] == (3, 11):
        return Check("python", "ok", found)
    return Check(
        "python", "fail", found, "run Touchline with Python 3.11 (`make setup` makes such an environment)"
    )


def check_speed(mode: Mode) -> Check:
    """Whether the hot path runs compiled; as Python it does the same, slower."""
    match mode:
        case "compiled":
            return Check("hot path", "ok", "compiled")
        case "pure":
            return Check("hot path", "ok", f"Python, as {PURE} asks for")
        case "stale":
            return Check(
                "hot path", "warn", "Python: its sources have changed since it was compiled", "`make compile`"
            )
    return Check("hot path", "ok", "Python; `make compile` makes it faster where a C compiler is")


def check_home(home: Path) -> Check:
    """The home can be written, and has room."""
    place = home.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check(
            "home", "fail", f"{place} cannot be written", "set TOUCHLINE_HOME to a directory of your own"
        )
    return judge_space(home, shutil.disk_usage(place).free)


def judge_space(home: Path, free: int) -> Check:
    """`free` is in bytes."""
    found = f"{home.absolute()}, {free / 10**9:,.1f} GB free"
    if free < NO_SPACE:
        return Check("home", "fail", found, "free some space, or set TOUCHLINE_HOME to another disk")
    if free < LITTLE_SPACE:
        return Check("home", "warn", found, "little space: Kafka keeps raw events for a week")
    return Check("home", "ok", found)


def check_java() -> Check:
    """Java 17 and Maven, for the real Kafka; without them the mock broker does for a demonstration."""
    from sinks.embedded.errors import ToolMissingError
    from sinks.embedded.kafka.java import find_java
    from sinks.embedded.kafka.maven import find_maven

    try:
        java, maven = find_java(), find_maven()
    except ToolMissingError as error:
        return Check(
            "java", "warn", "the mock broker will be used: it forgets all data when it stops", str(error)
        )
    return Check("java", "ok", f"Java {java.version} ({java.executable}), Maven ({maven})")


def check_jars() -> Check:
    """Kafka's jars in the cache are those that are pinned; absent ones are fetched at the first start."""
    from sinks.embedded.errors import JarsError
    from sinks.embedded.kafka.maven import KAFKA_VERSION, cache_directory, pinned_jars, verify_jars

    copies = [path for path in cache_directory().glob(f"kafka-{KAFKA_VERSION}-*") if path.is_dir()]
    if not copies:
        return Check(
            "kafka jars", "ok", f"Kafka {KAFKA_VERSION} not fetched yet: the first `touchline up` does it"
        )
    problems = []
    for copy in copies:
        try:
            verify_jars(copy, pinned_jars())
        except JarsError as error:
            problems.append(str(error))
        else:
            return Check("kafka jars", "ok", f"Kafka {KAFKA_VERSION}, checksums verified")
    return Check(
        "kafka jars", "warn", problems[0], "nothing: the next start removes them and fetches them anew"
    )


def check_chdb() -> Check:
    """The engine of the embedded ClickHouse can be loaded."""
    try:
        import chdb
    except (ImportError, OSError) as error:
        return Check(
            "chdb", "fail", f"cannot be loaded: {error}", "run `make setup`, or set TOUCHLINE_CLICKHOUSE__URL"
        )
    return Check("chdb", "ok", f"chdb {chdb.__version__}, engine {chdb.engine_version}")


def local_ports(settings: Settings) -> Iterator[tuple[str, int, str]]:
    """(what, port, setting) of each port that an embedded server would take; 0 means any free one."""
    local = settings.local
    ports = []
    if settings.kafka.bootstrap is None:
        ports.append(("Kafka", local.kafka_port, "TOUCHLINE_LOCAL__KAFKA_PORT"))
    if settings.clickhouse.url is None:
        ports.append(("ClickHouse", local.clickhouse_port, "TOUCHLINE_LOCAL__CLICKHOUSE_PORT"))
        ports.append(("ClickHouse HTTP", local.clickhouse_http_port, "TOUCHLINE_LOCAL__CLICKHOUSE_HTTP_PORT"))
    return (entry for entry in ports if entry[1])


def check_port(settings: Settings, what: str, port: int, setting: str) -> Check:
    """The port is free, or held by the server of ours that runs in this home."""
    from sinks.embedded.errors import PortTakenError
    from sinks.embedded.home import Home
    from sinks.embedded.ports import check_port_free

    state = Home(settings.home).read_state()
    ours = (state.bootstrap, state.clickhouse_native, state.clickhouse_http) if state is not None else ()
    if any(address is not None and address.endswith(f":{port}") for address in ours):
        return Check(f"port {port}", "ok", f"{what}, of this home's `touchline up`")
    try:
        check_port_free(LOOPBACK, port, what, setting=setting)
    except PortTakenError as error:
        return Check(f"port {port}", "fail", str(error), f"or set {setting}=0 for any free port")
    return Check(f"port {port}", "ok", f"free for {what}")
