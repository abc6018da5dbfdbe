"""The command line itself: what it lists, what it imports, how it ends."""

import logging
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from clickhouse_driver.errors import SocketTimeoutError

from streams import cli
from streams.commands.failures import CommandFailed, NotAsExpected, explain
from streams.settings import SettingsError

HEAVY = (
    "pydantic",
    "kafka",
    "aiokafka",
    "faust",
    "clickhouse_driver",
    "chdb",
    "confluent_kafka",
    "aiohttp",
    "rich",
)


@pytest.mark.parametrize("name", cli.ENTRIES)
def test_every_listed_command_loads_and_explains_itself(name: str) -> None:
    command = cli.load(cli.ENTRIES[name])
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_help_lists_every_command_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for entry in cli.ENTRIES.values():
        assert f"  {entry.name} " in text
        assert f"$ {entry.example}" in text
        assert entry.example.startswith(f"touchline {entry.name}")


def test_help_imports_nothing_heavy() -> None:
    program = f"""
import sys
from streams import cli
cli.run(["--help"])
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"imported: {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [[], ["rules"]])
def test_a_group_without_a_command_shows_its_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*arguments, "--help"]) == 0
    asked_for = capsys.readouterr().out
    assert cli.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == asked_for


def test_version_names_touchline_and_python(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("touchline ")


def test_a_misspelt_command_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["reconcil"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: No such command 'reconcil'. Did you mean 'reconcile'?")


def test_an_unknown_option_says_where_help_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["reconcile", "--jsn"]) == 2
    assert "`touchline reconcile --help` shows how" in capsys.readouterr().err


def test_an_option_without_its_argument_says_where_help_of_its_command_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["query", "SELECT 1", "--format"]) == 2
    assert "`touchline query --help` shows how" in capsys.readouterr().err


def test_a_closed_standard_output_is_one_that_says_nothing() -> None:
    program = """
import socket, sys
from streams import cli
cli.run = lambda: sys.stdout.buffer.write(b"result") - 6 or socket.socket().fileno() - 3
cli.main()
"""
    # `>&-` is a shell's; its first new file would be number 1, then.
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, program],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def fails_with(monkeypatch: pytest.MonkeyPatch) -> "list[BaseException]":
    """A list whose one element the command `doctor` raises."""
    errors: list[BaseException] = []

    @click.command()
    def command() -> None:
        raise errors[0]

    monkeypatch.setattr(cli, "load", lambda _entry: command)
    return errors


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CommandFailed("the door is shut", "open it"), 1, "error: the door is shut\n  open it\n"),
        (NotAsExpected(), 1, ""),
        (SettingsError("TOUCHLINE_X: wrong"), 2, "error: TOUCHLINE_X: wrong\n"),
        (FileNotFoundError(2, "No such file or directory", "events.jsonl"), 1, "events.jsonl"),
        (ConnectionRefusedError(111, "Connection refused"), 1, "error: Connection refused"),
        (EOFError(), 1, "the server closed the connection"),
        (SocketTimeoutError("(db:9000)"), 1, "no answer within TOUCHLINE_CLICKHOUSE__TIMEOUT (db:9000)"),
        (ZeroDivisionError("division by zero"), 1, "unexpected ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_how_a_command_that_fails_ends(
    fails_with: "list[BaseException]",
    error: BaseException,
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fails_with.append(error)
    assert cli.run(["doctor"]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_debug_shows_the_traceback(
    fails_with: "list[BaseException]", capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with.append(ZeroDivisionError("division by zero"))
    assert cli.run(["--debug", "doctor"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_bug_is_called_one(fails_with: "list[BaseException]", capsys: pytest.CaptureFixture[str]) -> None:
    fails_with.append(RuntimeError("impossible"))
    cli.run(["doctor"])
    assert "this is a bug in touchline" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    program = """
import sys
from streams import cli
import click

@click.command()
def endless():
    while True:
        sys.stdout.buffer.write(b"line\\n" * 10_000)

cli.load = lambda entry: endless
sys.exit(cli.run(["query"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=10) in (0, 1)


def test_a_password_that_clickhouse_refuses_names_its_setting() -> None:
    from clickhouse_driver.errors import ServerException

    failure = explain(ServerException("default: Authentication failed. Stack trace: 0. at x", 516))
    assert failure.message == "default: Authentication failed"
    assert "TOUCHLINE_CLICKHOUSE__PASSWORD" in failure.what_to_do


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """As in a process of its own that was asked for all; what the command line sets is taken back."""
    names = ("kafka", "kafka.protocol.parser", "kafka.net.connection", "aiokafka", "aiokafka.conn")
    before = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    caplog.set_level(logging.DEBUG)
    for logger in before:
        logger.setLevel(logging.NOTSET)
    yield
    for logger, level in before.items():
        logger.setLevel(level)


@pytest.mark.usefixtures("everything_logged")
def test_what_logs_passwords_does_not_even_in_detail() -> None:
    cli.run(["--debug", "rules", "--help"])
    assert logging.getLogger("kafka.net.manager").isEnabledFor(logging.DEBUG)
    for name in ("kafka.protocol.parser", "kafka.net.connection", "aiokafka.conn"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG), name
