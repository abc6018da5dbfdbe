"""Customers as people name them, and as ClickHouse does: normalised, and hashed where they are weak identifiers."""

from contextlib import suppress
from typing import Any, Final

from schemas.identifiers import Normaliser
from streams.commands.failures import CommandFailed
from streams.named_identifiers import read_name
from streams.pseudonymity import pseudonyms_of
from streams.settings import Settings

ACCESS_DENIED: Final = 497
"""ClickHouse's code for what a user has no right to."""


def stored_name(settings: Settings, text: str) -> str:
    """How the customer that a person names is stored. A stored name, as a query shows it, names itself.

    Raises `SinkMisconfigured` when the key of the hashes cannot be read.
    """
    pseudonyms = pseudonyms_of(settings)
    name = text
    with suppress(ValueError):  # no identifier in its own right, yet perhaps the name of something stored
        name = read_name(text, Normaliser(settings.identity.region))
    return pseudonyms.stored_customer(text if pseudonyms.is_stored(text) else name)


def present_name(client: Any, stored: str) -> str | None:
    """Whose an identifier is now, where it is another customer's; None where it is not."""
    rows = client.execute(
        "SELECT customer FROM identity WHERE name = %(name)s AND customer != name", {"name": stored}
    )
    return rows[0][0] if rows else None


def clear_name(client: Any, settings: Settings, stored: str) -> str:
    """The customer whom a stored name stands for: what topics are keyed by.

    Raises `CommandFailed` when it is a hash of which nothing is known, or which this user may not resolve.
    """
    from clickhouse_driver import errors

    from sinks.clickhouse.migrate import private_database

    pseudonyms = pseudonyms_of(settings)
    if pseudonyms.clear or not pseudonyms.is_stored(stored):
        return stored
    table = f"{private_database(settings.clickhouse.database)}.identifiers"
    try:
        rows = client.execute(f"SELECT clear_name FROM {table} WHERE name = %(name)s", {"name": stored})
    except errors.ServerException as error:
        if error.code != ACCESS_DENIED:
            raise
        rows = []
    if not rows:
        raise CommandFailed(
            f"what {stored} stands for is not known here",
            f"it needs the right to read {table}: docs/identity.md says how to give it",
        )
    return str(rows[0][0])
