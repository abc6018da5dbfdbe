"""What a command says when it cannot do its work: one line of what is wrong, one of what to do.

CommandFailed            exit 1: the outside world is not as the command needs it
|- NotAsExpected         exit 1: the answer itself is negative (not balanced, a check failed); already said
SettingsError            exit 2: a setting is wrong (streams.settings)
click.UsageError         exit 2: the command line is wrong
anything else            a bug: exit 1, and a traceback with --debug
"""

from collections.abc import Callable
from typing import Final, NamedTuple

AUTHENTICATION_FAILED: Final = 516
"""ClickHouse's code for a user or a password that it does not take."""

CHECK_PASSWORD: Final = "check TOUCHLINE_CLICKHOUSE__USER and TOUCHLINE_CLICKHOUSE__PASSWORD"


class CommandFailed(Exception):
    """The command could not do its work. `what_to_do` is a second sentence for the person who reads it."""

    def __init__(self, reason: str, what_to_do: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.what_to_do = what_to_do


class NotAsExpected(CommandFailed):
    """The command did its work and the answer is no; its output has said so, nothing is added."""

    def __init__(self) -> None:
        super().__init__("")


class Failure(NamedTuple):
    """How an exception ends the program. `bug` means that nobody foresaw it."""

    message: str
    what_to_do: str
    status: int
    bug: bool = False


def _module_of(error: BaseException) -> str:
    return type(error).__module__ or ""


def _settings(error: BaseException) -> Failure | None:
    if type(error).__name__ == "SettingsError" and _module_of(error) == "streams.settings.tree":
        return Failure(str(error), "docs/settings.md lists every setting", 2)
    return None


def _rules(error: BaseException) -> Failure | None:
    if type(error).__name__ == "RuleProblem" and _module_of(error) == "streams.catalogue.rule_files":
        return Failure(str(error), "`touchline rules check` shows every problem", 1)
    return None


def _embedded(error: BaseException) -> Failure | None:
    """The embedded servers' own errors say what to do themselves; bugs there are not their classes."""
    return Failure(str(error), "", 1) if _module_of(error).startswith("sinks.embedded") else None


def _database(error: BaseException) -> Failure | None:
    module, name = _module_of(error), type(error).__name__
    if module.startswith("sinks.clickhouse"):
        return Failure(str(error), "`touchline doctor` tells more" if name == "SinkUnavailable" else "", 1)
    if isinstance(error, EOFError):
        return Failure("the server closed the connection in the middle of an answer", "run the same again", 1)
    if not module.startswith("clickhouse_driver"):
        return None
    if name in ("NetworkError", "SocketTimeoutError"):
        # Of a time that is over the driver says nothing but its code and the address.
        late = f"no answer within TOUCHLINE_CLICKHOUSE__TIMEOUT {error}".replace("Code: 209. ", "")
        reason = " ".join((late if name == "SocketTimeoutError" else str(error)).split())
        return Failure(
            f"cannot reach ClickHouse: {reason}",
            "check TOUCHLINE_CLICKHOUSE__URL, or run `touchline doctor`",
            1,
        )
    if getattr(error, "code", None) in (60, 81):  # UNKNOWN_TABLE, UNKNOWN_DATABASE
        return Failure(first_line(str(getattr(error, "message", error))), "run `touchline migrate` first", 1)
    if getattr(error, "code", None) == AUTHENTICATION_FAILED:
        return Failure(first_line(str(getattr(error, "message", error))), CHECK_PASSWORD, 1)
    return Failure(first_line(str(getattr(error, "message", error))), "", 1)


def _broker(error: BaseException) -> Failure | None:
    if _module_of(error) == "streams.kafka.admin":
        what_to_do = getattr(
            error, "what_to_do", "check TOUCHLINE_KAFKA__BOOTSTRAP, or run `touchline doctor`"
        )
        return Failure(str(error), what_to_do, 1)
    if not _module_of(error).startswith("kafka."):
        return None
    return Failure(
        f"Kafka: {first_line(str(error)) or type(error).__name__}",
        "check TOUCHLINE_KAFKA__BOOTSTRAP, or run `touchline doctor`",
        1,
    )


def _system(error: BaseException) -> Failure | None:
    """Files that are missing, full disks, refused connections: the operating system's own words are clear."""
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        return Failure(f"{error.strerror or error}{where}", "", 1)
    return None


_KNOWN: tuple[Callable[[BaseException], Failure | None], ...] = (
    _settings,
    _rules,
    _embedded,
    _database,
    _broker,
    _system,
)


def explain(error: BaseException) -> Failure:
    """How `error` is told to a person. Classes are recognised by name: no heavy module is imported."""
    if isinstance(error, CommandFailed):
        return Failure(error.reason, error.what_to_do, 1)
    for known in _KNOWN:
        failure = known(error)
        if failure is not None:
            return failure
    return Failure(
        f"unexpected {type(error).__name__}: {first_line(str(error))}",
        "this is a bug in touchline; run the same with `touchline --debug ...` and report what it prints",
        1,
        bug=True,
    )


def first_line(text: str) -> str:
    """The first line of a message, without the stack trace that ClickHouse appends."""
    return text.partition("Stack trace:")[0].strip().partition("\n")[0].rstrip(". ")
