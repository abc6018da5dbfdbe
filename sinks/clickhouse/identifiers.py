"""What hashed customers stand for, for those who may read it."""

from collections.abc import Collection

from clickhouse_driver import Client
from clickhouse_driver import errors as driver

from sinks.clickhouse.errors import classify
from sinks.clickhouse.migrate import private_database


def clear_customers(client: Client, database: str, stored: Collection[str]) -> dict[str, str]:
    """The clear name of each of these customers; one that is not hashed stands for itself.

    Raises a `SinkError`: `SinkMisconfigured` for a user without the right to read `DATABASE_private.identifiers`.
    """
    clear = {name: name for name in stored}
    if clear:
        try:
            clear |= dict(
                client.execute(
                    f"SELECT name, clear_name FROM `{private_database(database)}`.identifiers WHERE name IN %(names)s",
                    {"names": tuple(clear)},
                )
            )
        except (driver.Error, EOFError, OSError) as error:
            raise classify(error) from error
    return clear
