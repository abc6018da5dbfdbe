"""The key of the hashes that identifiers are stored as: where it comes from, and that a database has only one.

With two keys one customer would have two names and count twice. So the first worker leaves the key's fingerprint in
the database, and whoever comes with another key is turned away. Likewise with the ids of journeys and findings, which
had no key once: a database that was begun with such ids goes on with them, or each journey would stand in it twice.
"""

import logging
import os
import secrets
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from clickhouse_driver import Client
from clickhouse_driver import errors as driver

from schemas.links import WEAK_PREFIXES
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.errors import SinkMisconfigured, classify
from sinks.clickhouse.pseudonyms import WEAK, Pseudonyms

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
KEY_FILE: Final = "identity-hash.key"

_WRITTEN_IN_CLEAR: Final = (
    "SELECT count() FROM (SELECT 1 FROM placed_interactions_raw WHERE "
    + " OR ".join(f"{kind} IS NOT NULL" for kind in WEAK)
    + " LIMIT 1 UNION ALL SELECT 1 FROM journeys_raw WHERE "
    + " OR ".join(f"startsWith(customer, '{prefix}')" for prefix in WEAK_PREFIXES)
    + " LIMIT 1)"
)
"""Whether there are weak identifiers at all; asked where no key has been named, so that they cannot be hashes."""


_WITH_IDS: Final = (
    "SELECT count() FROM (SELECT 1 FROM journeys_raw LIMIT 1 UNION ALL SELECT 1 FROM findings_raw LIMIT 1)"
)
"""Whether there are journeys or findings at all; asked where no key has been named, so that their ids have none."""

KEYED: Final = "keyed"
PLAIN: Final = "plain"


class _Begun(NamedTuple):
    """What a database was begun with."""

    fingerprint: str
    ids: str


def key_of_secret(secret: str) -> bytes:
    """The key that a secret of any length stands for. ValueError for one shorter than 16 characters."""
    if len(secret) < 16:
        raise ValueError("the secret must have 16 characters or more")
    return blake2b(secret.encode(), digest_size=KEY_BYTES, person=b"touchline").digest()


def kept_key(home: Path) -> bytes:
    """The key in the home directory, made at random by whoever comes first; only its owner can read it.

    Raises `SinkMisconfigured` when the file holds something else.
    """
    file = home / KEY_FILE
    if not file.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = home / f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_hex(KEY_BYTES) + "\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            # A link appears whole or not at all, and never in the place of another's.
            with suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
    with suppress(ValueError):
        key = bytes.fromhex(file.read_text(encoding="utf-8"))
        if len(key) == KEY_BYTES:
            return key
    raise SinkMisconfigured(
        f"{file} does not hold a key of {2 * KEY_BYTES} hex digits: restore it from a backup, or set "
        "TOUCHLINE_IDENTITY__HASH_KEY"
    )


def hold_to_key(target: ClickHouseTarget, pseudonyms: Pseudonyms) -> bytes:
    """Return the key of ids in this database (`JourneyPolicy.id_key`), when it holds nothing that was hashed with
    another key, or in clear text where we hash.

    That is `Pseudonyms.id_key`; none where the database was begun with ids without a key. The first to come leaves the
    fingerprint of its key, and how ids are made. Raises `SinkMisconfigured`, which says what to do, or another
    `SinkError` when the database cannot be asked.
    """
    client = connect(target)
    try:
        begun = _begun(client)
        if begun is None:
            if not pseudonyms.clear and client.execute(_WRITTEN_IN_CLEAR)[0][0]:
                begun = _Begun("clear", PLAIN)
            else:
                has_ids = client.execute(_WITH_IDS)[0][0]
                ids = PLAIN if pseudonyms.clear or has_ids else KEYED
                entry = (pseudonyms.fingerprint, time.time_ns() // 1_000, ids)
                client.execute("INSERT INTO hash_keys_raw (fingerprint, at, ids) VALUES", [entry])
                begun = _begun(client)
    except (driver.Error, EOFError, OSError) as error:
        raise classify(error) from error
    finally:
        client.disconnect()
    if begun is None or begun.fingerprint != pseudonyms.fingerprint:
        raise SinkMisconfigured(_refusal(target.database, begun.fingerprint if begun else "", pseudonyms))
    if begun.ids == KEYED:
        return pseudonyms.id_key
    if not pseudonyms.clear:
        log.warning(
            "database %s was begun when ids of journeys and findings had no key, and goes on so: who reads them can "
            "try names. To give them one, set TOUCHLINE_CLICKHOUSE__DATABASE to a new one and fill it with "
            "`touchline replay`",
            target.database,
        )
    return b""


def id_key_of(client: Client, pseudonyms: Pseudonyms) -> bytes:
    """The key of ids in this database for one who only reads it: none where it has none, or another than ours."""
    begun = _begun(client)
    if begun is None or (begun.fingerprint, begun.ids) != (pseudonyms.fingerprint, KEYED):
        return b""
    return pseudonyms.id_key


def _begun(client: Client) -> _Begun | None:
    """Of two that came at once the earlier one counts."""
    rows = client.execute("SELECT fingerprint, ids FROM hash_keys_raw ORDER BY at, fingerprint, ids LIMIT 1")
    return _Begun(*rows[0]) if rows else None


def _refusal(database: str, found: str, pseudonyms: Pseudonyms) -> str:
    rebuild = "or set TOUCHLINE_CLICKHOUSE__DATABASE to a new one and fill it with `touchline replay`"
    if found == "clear":
        return (
            f"database {database} holds telephone numbers, addresses and devices in clear text: set "
            f"TOUCHLINE_IDENTITY__CLEAR_TEXT=true to go on so, {rebuild}"
        )
    if pseudonyms.clear:
        return (
            f"database {database} holds hashed identifiers: unset TOUCHLINE_IDENTITY__CLEAR_TEXT to go on so, "
            f"{rebuild}"
        )
    return (
        f"database {database} holds identifiers hashed with another key (fingerprint {found}, ours is "
        f"{pseudonyms.fingerprint}): set TOUCHLINE_IDENTITY__HASH_KEY to the key that it was filled with, or put its "
        f"file {KEY_FILE} into TOUCHLINE_HOME, {rebuild}"
    )
