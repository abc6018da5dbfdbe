"""What several commands have in common on the command line: durations, instants, and how JSON is printed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from streams.durations import parse_duration


class DurationType(click.ParamType):
    """A duration as the settings accept it: 7d, 90s, P7D."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse; a wrong one is a usage error that shows the accepted forms."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class InstantType(click.ParamType):
    """An instant in RFC 3339, with an offset: 2026-03-01T10:00:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse into aware UTC; a time without an offset is refused, because nobody could say which zone it
        means.
        """
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(str(value))
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            self.fail(f"{value!r} is not a time with an offset; write 2026-03-01T10:00:00Z", param, ctx)
        return instant.astimezone(UTC)


DURATION = DurationType()
INSTANT = InstantType()


def print_json(document: Any) -> None:
    """Print one JSON document on standard output: one line, any script as itself, times as RFC 3339."""
    click.echo(json.dumps(document, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise TypeError(f"{type(value).__name__} has no JSON form")
