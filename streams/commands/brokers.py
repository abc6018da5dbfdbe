"""The option `--broker` of `up` and `demo`: an embedded broker of a kind, or the address of one that runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from streams.commands.failures import CommandFailed
from streams.settings.addresses import broker_addresses

KINDS: Final = ("kafka", "mock")


class BrokerType(click.ParamType):
    """`kafka`, `mock`, or HOST:PORT[,HOST:PORT]."""

    name = "broker"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """How help shows it."""
        return "kafka|mock|HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse; anything else is a usage error, before a server is started."""
        text = str(value)
        if text in KINDS:
            return text
        try:
            return broker_addresses(text)
        except ValueError:
            self.fail(f"{text!r} is neither kafka, nor mock, nor HOST:PORT", param, ctx)


BROKER: Final = BrokerType()


@contextmanager
def named_by_option(broker: str | None) -> Iterator[None]:
    """Within the block, when no broker answers at the address that `--broker` gave, that option is what to check.

    Raises `CommandFailed` then; what is wrong with a broker of the settings is told as everywhere.
    """
    from streams.kafka.admin import BrokerUnreachable

    try:
        yield
    except BrokerUnreachable as error:
        if broker is None or broker in KINDS:
            raise
        raise CommandFailed(str(error), f"check --broker {broker}") from error
