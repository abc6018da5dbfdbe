"""SIGTERM ends a command as Ctrl-C does: what it started is stopped first."""

import os
import signal
from collections.abc import Callable

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


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_unwinds_the_command_and_is_told(
    number: int, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unwound: list[str] = []
    busy = _while(lambda: os.kill(os.getpid(), number), unwound)
    monkeypatch.setattr(cli, "load", lambda _entry: busy)
    before = signal.getsignal(signal.SIGTERM)
    # A test run in the background of a shell has Ctrl-C ignored.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.run(["up"]) == status
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert unwound == ["stopped"]
    assert said in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
