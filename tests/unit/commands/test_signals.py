"""SIGTERM ends a command as Ctrl-C does: what it started is stopped first."""

import os
import signal
from collections.abc import Callable, Iterator

import click
import pytest

from streams import cli


def _while(happens: Callable[[], None], unwound: list[str]) -> click.Command:
    @click.command()
    def busy() -> None:
        try:
            happens()
        finally:
            unwound.append("stopped")

    return busy


@pytest.fixture
def hearing() -> Iterator[None]:
    """A test run in the background of a shell has Ctrl-C ignored; here it is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_unwinds_the_command_and_is_told(
    number: int, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unwound: list[str] = []
    busy = _while(lambda: os.kill(os.getpid(), number), unwound)
    monkeypatch.setattr(cli, "load", lambda _entry: busy)
    before = signal.getsignal(number)
    assert cli.run(["up"]) == status
    assert unwound == ["stopped"]
    assert said in capsys.readouterr().err
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_library_that_makes_another_error_of_a_signal_is_no_bug_of_ours(
    number: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build_a_schema() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise ValueError("error building the validator") from None

    monkeypatch.setattr(cli, "load", lambda _entry: _while(build_a_schema, []))
    assert cli.run(["up"]) == status
    assert "bug" not in capsys.readouterr().err


def test_ctrl_c_that_a_shell_has_its_background_jobs_ignore_stays_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "load", lambda _entry: _while(lambda: os.kill(os.getpid(), signal.SIGINT), []))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert cli.run(["up"]) == 0
    finally:
        signal.signal(signal.SIGINT, before)
